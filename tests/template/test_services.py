import json
import re
import shutil
import signal
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastapi_baseline.testing import free_port, server_process

Run = Callable[..., str]
Render = Callable[..., Path]

ANSWERS: dict[str, dict[str, Any]] = {
    "order-service": {},
    "y" * 32: {"description": 'He said "hi" \\ {{ x }}', "owner": "'A' & \"B\""},
    "b": {"include_example": False},
    "club-service": {"auth": "builtin"},
    "open-service": {"auth": "none"},
    "bare-service": {"database": "none", "deploy": [], "ci": "none"},
}


@pytest.fixture(scope="module")
def services(render_for_session: Render, install: Callable[[Path], None]) -> dict[str, Path]:
    made = {name: render_for_session(name, **answers) for name, answers in ANSWERS.items()}
    for folder in made.values():
        install(folder)
    return made


@pytest.fixture(params=ANSWERS)
def service(request: pytest.FixtureRequest, services: dict[str, Path]) -> Path:
    return services[request.param]


@pytest.fixture(scope="module")
def default_service(render_for_session: Render, install: Callable[[Path], None]) -> Path:
    folder = render_for_session("shop-service")
    install(folder)
    return folder


def test_passes_its_own_lint_and_needs_no_formatting(
    service: Path, run: Run, environment: Path
) -> None:
    run(environment / "ruff", "check", cwd=service)

    run(environment / "ruff", "format", "--check", cwd=service)


def test_passes_its_own_type_check(
    default_service: Path, services: dict[str, Path], run: Run, environment: Path
) -> None:
    command = (environment / "pyright", "--pythonpath", environment / "python")
    # One run for all, since most of what it takes is to read what they all import.
    together = default_service.parent
    configuration = pyright_of(default_service) | {
        "include": [f"{name}/{part}" for name in services for part in ("src", "tests")],
        "executionEnvironments": [
            {"root": root, "extraPaths": [f"{name}/src"]}
            for name in services
            for root in (f"{name}/tests", name)
        ],
    }
    (together / "pyrightconfig.json").write_text(json.dumps(configuration), encoding="utf-8")

    said = run(*command, "--project", together, cwd=together)
    run(*command, cwd=default_service)

    assert "0 errors" in said
    assert {str(pyright_of(service)) for service in services.values()} == {
        str(pyright_of(default_service))
    }


def pyright_of(service: Path) -> dict[str, Any]:
    return tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "pyright"
    ]


def test_passes_its_own_tests(service: Path, run: Run, environment: Path) -> None:
    said = run(environment / "pytest", "-q", cwd=service)

    assert "passed" in said
    assert "skipped" not in said


def test_documents_every_route(default_service: Path, run: Run, environment: Path) -> None:
    code = "import json; from shop_service.main import app; print(json.dumps(app.openapi()))"
    said = run(environment / "python", "-c", code, cwd=default_service)
    document = json.loads(next(line for line in said.splitlines() if line.startswith('{"openapi')))
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/items")
    ]

    assert len(operations) == 5
    for path, method, operation in operations:
        where = f"{method} {path}"
        assert operation["tags"] == ["items"], where
        assert operation["summary"], where
        assert operation["description"], where
        assert "default" in operation["responses"], where
        for status, response in operation["responses"].items():
            if status.startswith("4"):
                problem = response["content"]["application/problem+json"]
                for example in problem["examples"].values():
                    assert example["value"]["status"] == int(status), where
        assert not without_example(operation, document), where
    assert {"404", "409"} <= set(document["paths"]["/items/{item_id}"]["delete"]["responses"])


def without_example(operation: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Return which parameters and bodies of an operation are not shown by example.

    Those that every list has are the library's, which describes them.
    """
    parameters = operation.get("parameters", [])
    missing = [
        item["name"]
        for item in parameters
        if "example" not in json.dumps(item)
        and item["name"] not in {"cursor", "limit", "q", "sort"}
    ]
    bodies = [operation.get("requestBody", {})]
    bodies += [answer for code, answer in operation["responses"].items() if code.startswith("2")]
    for name in re.findall(r"#/components/schemas/(\w+)", json.dumps(bodies)):
        schema = document["components"]["schemas"][name]
        if "Page_" not in name and "examples" not in schema:
            missing.append(name)
    return missing


def test_migrates_its_database_and_back(default_service: Path, run: Run, environment: Path) -> None:
    baseline = environment / "baseline"
    run(baseline, "db", "check", cwd=default_service, code=1)

    run(baseline, "db", "revision", "-m", "create items", "--autogenerate", cwd=default_service)
    (revision,) = (default_service / "alembic/versions").glob("*.py")
    run(baseline, "db", "check", cwd=default_service, code=1)
    run(baseline, "db", "upgrade", cwd=default_service)
    run(baseline, "db", "check", cwd=default_service)
    current = run(baseline, "db", "current", cwd=default_service)
    run(environment / "ruff", "check", cwd=default_service)
    run(environment / "ruff", "format", "--check", cwd=default_service)
    run(baseline, "db", "downgrade", "base", cwd=default_service)
    run(baseline, "db", "check", cwd=default_service, code=1)

    text = revision.read_text(encoding="utf-8")
    # What people need who sign in as soon as the settings say how.
    assert all(f'"{table}"' in text for table in ("auth_session", "auth_login_entry"))
    (identifier,) = re.findall(r'^revision: str = "(\w+)"$', text, flags=re.MULTILINE)
    assert identifier in current
    assert "op.create_table" in text
    assert "op.drop_table" in text


def test_runs_on_postgresql_too(
    default_service: Path, run: Run, environment: Path, postgres_url: str
) -> None:
    extra = {"DATABASE_URL": postgres_url, "TEST_DATABASE_URL": postgres_url}
    baseline = environment / "baseline"
    versions = default_service / "alembic/versions"
    if not versions.is_dir() or not list(versions.glob("*.py")):
        # Written on SQLite, like the first one of every service.
        run(baseline, "db", "revision", "-m", "create items", cwd=default_service)

    tested = run(environment / "pytest", "-q", cwd=default_service, extra=extra)
    run(baseline, "db", "upgrade", cwd=default_service, extra=extra)
    run(baseline, "db", "check", cwd=default_service, extra=extra)
    run(baseline, "db", "downgrade", "base", cwd=default_service, extra=extra)

    assert "passed" in tested


def test_is_served_until_it_is_told_to_stop(default_service: Path, environment: Path) -> None:
    port = free_port()

    with server_process(
        lambda _port: [str(environment / "baseline"), "run"],
        env={"ENVIRONMENT": "test", "PORT": str(port)},
        cwd=default_service,
        port=port,
    ) as server:
        pass

    assert server.returncode == -signal.SIGTERM
    assert server.stderr == []
    assert all(json.loads(line)["logger"] for line in server.stdout)
    assert "Traceback" not in server.output()


def test_refuses_to_start_in_production_without_its_database(
    default_service: Path, run: Run, environment: Path
) -> None:
    said = run(
        *(environment / "baseline", "run", "--port", "0"),
        cwd=default_service,
        extra={"ENVIRONMENT": "production"},
        code=1,
    )

    assert len(said.splitlines()) == 1, said
    assert "DATABASE_URL" in said


def test_has_an_image_that_runs_without_root_and_without_secrets(default_service: Path) -> None:
    text = (default_service / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    last_stage = lines[max(n for n, line in enumerate(lines) if line[0] == "FROM") :]
    said = dict(last_stage)

    assert len([line for line in lines if line[0] == "FROM"]) == 2
    assert said["USER"] == "10001:10001"
    assert json.loads(said["CMD"])[:2] == ["baseline", "run"]
    health = said["HEALTHCHECK"].partition("CMD ")[2]
    assert json.loads(health)[0] == "python"
    compile(json.loads(health)[2], "HEALTHCHECK", "exec")
    assert not re.search(r"(?i)password|secret|token", text)
    # Whatever is given at the build can be read from the image.
    assert re.findall(r"(?m)^ARG (.*)$", text) == ['VERSION="" COMMIT="" TIME=""']


def test_has_a_compose_file_that_fits_the_service(default_service: Path) -> None:
    compose = yaml.safe_load((default_service / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]

    assert set(services) == {"api", "migrate", "postgres", "redis"}
    for name, service in services.items():
        assert ("build" in service) != ("image" in service), name
        assert set(service.get("depends_on", {})) < set(services), name
        for needed, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert services[needed]["healthcheck"]["test"][0] == "CMD"
        published = [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
        assert not published, name
    url = services["api"]["environment"]["DATABASE_URL"]
    database = services["postgres"]["environment"]
    expected = "postgresql://{POSTGRES_USER}:{POSTGRES_PASSWORD}@postgres:5432/{POSTGRES_DB}"
    assert url == expected.format(**database)
    assert services["migrate"]["environment"]["DATABASE_URL"] == url


def test_needs_no_database_container_without_a_database(render: Render) -> None:
    service = render("plain", database="none")

    compose = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))

    assert set(compose["services"]) == {"api", "redis"}
    assert "DATABASE_URL" not in (service / "compose.yaml").read_text(encoding="utf-8")
    assert "alembic" not in (service / "Dockerfile").read_text(encoding="utf-8")


def test_has_a_workflow_that_runs_its_checks(default_service: Path) -> None:
    workflow = yaml.safe_load(
        (default_service / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    )
    commands = [step.get("run") for step in workflow["jobs"]["check"]["steps"]]

    assert commands[2:] == [
        "uv sync --locked",
        "uv run ruff check",
        "uv run ruff format --check",
        "uv run pyright",
        "uv run baseline check",
        "uv run pytest",
    ]
    assert workflow["permissions"] == {"contents": "read"}


def test_has_an_image_whose_steps_work(
    render: Render,
    run: Run,
    uv: Sequence[str],
    wheelhouse: Path,
    tmp_path: Path,
) -> None:
    service = render("boxed-service")
    extra = {"UV_FIND_LINKS": str(wheelhouse)}
    run(*uv, "lock", "--quiet", "--refresh-package", "fastapi-baseline", cwd=service, extra=extra)
    dockerfile = (service / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    image = tmp_path / "app"
    image.mkdir()

    for line in dockerfile.splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                assert is_in_context(service, source), source
                copy(service / source, image / target)
        if instruction == "RUN" and "uv sync" in rest:
            command = rest[rest.index("uv sync") :].split()[1:]
            run(*uv, *command, "--quiet", cwd=image, extra=extra)

    said = run(
        image / ".venv/bin/baseline",
        "run",
        cwd=image,
        extra={
            "ENVIRONMENT": "production",
            "PORT": "0",
        },
        code=1,
    )
    assert "DATABASE_URL" in said
    installed = run(*uv, "pip", "list", "--python", image / ".venv/bin/python", cwd=image)
    assert "boxed-service" in installed
    assert "pytest" not in installed
    assert tomllib.loads((image / "pyproject.toml").read_text(encoding="utf-8"))


def is_in_context(service: Path, source: str) -> bool:
    kept = (service / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return f"!{source.removeprefix('./')}" in kept


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target / source.name if target.is_dir() else target)
