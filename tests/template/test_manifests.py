"""What checks a service elsewhere, builds its image and starts it there, read by what reads it there."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from fastapi_baseline.cli.commands import app
from tests.template.deployed import DEPLOYED, PROGRAMS, image_of

Render = Callable[..., Path]
Run = Callable[..., str]
Values = dict[str, Any]


@pytest.fixture(scope="module", params=DEPLOYED)
def service(request: pytest.FixtureRequest, deployed: dict[str, Path]) -> Path:
    return deployed[request.param]


@pytest.fixture(scope="module")
def default(deployed: dict[str, Path]) -> Path:
    return deployed["order-service"]


def test_holds_composed_containers_to_the_same(service: Path) -> None:
    compose = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))
    own = [container for container in compose["services"].values() if "build" in container]

    assert own
    for container in own:
        assert container["read_only"] is True
        assert container["tmpfs"] == ["/tmp"]  # noqa: S108 -- in the container
        assert container["cap_drop"] == ["ALL"]
        assert container["security_opt"] == ["no-new-privileges:true"]


SCHEMAS = {
    "compose-spec": "compose.yaml",
    "github-workflows": ".github/workflows/*.yml",
    "gitlab-ci": ".gitlab-ci.yml",
    "renovate": "renovate.json",
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_has_files_that_their_readers_accept(
    schema: str, deployed: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    files = [path for folder in deployed.values() for path in folder.glob(SCHEMAS[schema])]

    said = run(
        *(PROGRAMS / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files),
        cwd=tmp_path,
    )

    assert files
    assert "ok" in said


def test_finds_what_readers_of_a_workflow_would_refuse(
    default: Path, run: Run, tmp_path: Path
) -> None:
    workflow = yaml.safe_load((default / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    workflow["jobs"]["check"]["run-on"] = workflow["jobs"]["check"].pop("runs-on")
    (tmp_path / "ci.yml").write_text(json.dumps(workflow), encoding="utf-8")

    run(
        *(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", "ci.yml"),
        cwd=tmp_path,
        code=1,
    )


def test_has_an_image_that_hadolint_has_nothing_against(
    deployed: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    files = [service / "Dockerfile" for service in deployed.values()]
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /app && sudo ls\n", encoding="utf-8")

    run(PROGRAMS / "hadolint", *files, cwd=tmp_path)
    run(PROGRAMS / "hadolint", "Dockerfile", cwd=tmp_path, code=1)


def test_says_in_the_image_which_build_it_is(default: Path) -> None:
    text = (default / "Dockerfile").read_text(encoding="utf-8")

    assert image_of(default).items() >= {
        ("BUILD__VERSION", "$VERSION"),
        ("BUILD__COMMIT", "$COMMIT"),
        ("BUILD__TIME", "$TIME"),
    }
    assert 'org.opencontainers.image.title="order-service"' in text
    for label in ("created=$TIME", "revision=$COMMIT", "version=$VERSION"):
        assert f"org.opencontainers.image.{label}" in text


def commands_of(job: Values) -> list[str]:
    lines = job.get("script") or [step["run"] for step in job["steps"] if "run" in step]
    return [" ".join(line.split()) for line in lines]


def test_checks_the_same_on_github_as_on_gitlab(render: Render) -> None:
    one, other = (render(ci, service_name="twin", ci=ci) for ci in ("github", "gitlab"))
    github = yaml.safe_load((one / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    gitlab = yaml.safe_load((other / ".gitlab-ci.yml").read_text(encoding="utf-8"))

    for job, twin in {"audit": "audit", "image": "container", "postgres": "postgres"}.items():
        told, said = commands_of(github[job]), commands_of(gitlab[twin])
        assert [line.replace("GITHUB_SHA", "CI_COMMIT_SHA") for line in told] == said
    assert commands_of(github["check"]) == commands_of(gitlab["check"])
    (matrix,) = gitlab["check"]["parallel"]["matrix"]
    assert github["check"]["strategy"]["matrix"]["python"] == matrix["PYTHON"]
    for variable in ("TEST_DATABASE_URL", "TEST_REDIS_URL"):
        assert variable in github["postgres"]["env"]
        assert variable in gitlab["postgres"]["variables"]


@pytest.mark.parametrize(
    ("answers", "jobs"),
    [
        ({}, {"audit", "check", "image", "postgres"}),
        ({"deploy": ["helm"]}, {"audit", "check", "image", "postgres"}),
        ({"deploy": [], "database": "none"}, {"audit", "check"}),
    ],
    ids=["default", "helm", "bare"],
)
def test_builds_an_image_only_where_one_is_deployed(
    answers: dict[str, Any], jobs: set[str], render: Render
) -> None:
    service = render("built", **answers)

    workflow = yaml.safe_load((service / ".github/workflows/ci.yml").read_text(encoding="utf-8"))

    assert set(workflow["jobs"]) == jobs


def test_uses_one_release_of_uv_and_one_of_python_everywhere(deployed: dict[str, Path]) -> None:
    for service in deployed.values():
        image = (service / "Dockerfile").read_text(encoding="utf-8")
        (uv,) = re.findall(r"astral-sh/uv:([\d.]+)", image)
        (python,) = set(re.findall(r"FROM python:([\d.]+)-slim", image))
        others = [service / ".devcontainer/devcontainer.json", service / ".gitlab-ci.yml"]
        for text in (path.read_text(encoding="utf-8") for path in others if path.exists()):
            assert re.findall(r"uv>=([\d.]+)", text) == [uv]
            assert set(re.findall(r"python:([\d.]+)-", text)) == {python}


@pytest.mark.parametrize(
    ("owner", "line"),
    [
        ("@acme/orders", "* @acme/orders"),
        ("@ada", "* @ada"),
        ("orders@example.com", "* orders@example.com"),
        ("platform", "# * @your-organisation/your-team"),
        ("Team Ünï @ Acme", "# * @your-organisation/your-team"),
    ],
)
def test_names_an_owner_whom_the_host_can_ask(owner: str, line: str, render: Render) -> None:
    service = render("owned", owner=owner)

    lines = (service / "CODEOWNERS").read_text(encoding="utf-8").splitlines()

    assert [found for found in lines if found.startswith(("*", "# *"))] == [line]
    assert lines[-1] == "# Yours go below this line."


def test_leaves_releases_of_the_template_to_the_template(default: Path) -> None:
    rules = json.loads((default / "renovate.json").read_text(encoding="utf-8"))["packageRules"]
    off = [rule for rule in rules if rule.get("enabled") is False]

    assert [(rule["matchManagers"], rule["matchUpdateTypes"]) for rule in off] == [
        (["copier"], ["patch"]),
        (["pep621"], ["minor", "major"]),
    ]
    assert off[1]["matchPackageNames"] == ["fastapi-baseline"]


def test_has_a_container_to_develop_in(default: Path) -> None:
    folder = default / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text(encoding="utf-8"))
    project = tomllib.loads((default / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert container["name"] == "order-service"
    assert container["forwardPorts"] == [8000]
    assert container["postCreateCommand"].endswith("uv sync")
    assert project["requires-python"] == ">=3.11"


def commands_in(text: str) -> Iterator[list[str]]:
    for line in re.findall(
        r"(?:uv run |\[cli\]' |^ {4})baseline ([a-z][a-z -]*[a-z])", text, flags=re.MULTILINE
    ):
        yield line.split(" --")[0].split()


@pytest.mark.parametrize("name", ["AGENTS.md", "README.md"])
def test_tells_of_commands_and_folders_that_there_are(name: str, service: Path) -> None:
    text = (service / name).read_text(encoding="utf-8")
    known = get_command(app)
    unknown: list[list[str]] = []
    for words in commands_in(text):
        command: Any = known
        for word in words:
            if hasattr(command, "commands"):
                command = command.commands.get(word)
        if command is None or hasattr(command, "commands"):
            unknown.append(words)

    assert list(commands_in(text))
    assert unknown == []
    for path in re.findall(r"`((?:src|tests|alembic|helm|monitoring)/[\w/.]*\w)`", text):
        if "NAME" not in path:
            assert (service / path).exists(), path
