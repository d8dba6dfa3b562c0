"""Whatever names a setting names one that the code reads: manifests, examples and documentation."""

import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from fastapi_baseline import Settings
from fastapi_baseline.settings import DEFAULTS
from fastapi_baseline.settings.contract import find_unread, names_in_env_file, nested_names_in
from tests.template.publishing import CURRENT, Repository, replace

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template"
SCHEMA = TEMPLATE / "{% if 'helm' in deploy %}helm{% endif %}/values.schema.json"
PROGRAMS = Path(sys.executable).parent
# What other programs read that manifests start: servers, installers and CI.
OF_OTHERS = re.compile(r"DOCKER_|GF_|PATH$|PIP_|POSTGRES_|PYTHON|UV_")
# What pages show as misspelt, together with what is said of it.
MISSPELT = frozenset({"LOG__LEVLE"})
ANSWERS: dict[str, dict[str, Any]] = {
    "default": {},
    "own-users": {"auth": "builtin", "deploy": ["compose", "helm", "monitoring"]},
    "company": {"deploy": ["compose", "helm"], "ci": "gitlab"},
    "stateless": {"database": "none", "deploy": ["compose", "helm"], "capabilities": []},
    "bare": {"auth": "none", "database": "none", "deploy": [], "ci": "none"},
}

Render = Callable[..., Path]
Run = Callable[..., str]


@pytest.fixture(scope="module", params=ANSWERS)
def service(request: pytest.FixtureRequest, render_for_session: Render) -> Path:
    return render_for_session(f"told-{request.param}", **ANSWERS[request.param])


@pytest.fixture(scope="module")
def derived() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts/derive_settings.py"))


def texts_of(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


def unread(names: list[str]) -> list[str]:
    found = find_unread(names, Settings)
    return [one.name for one in found if not OF_OTHERS.match(one.name)]


def variables_in(content: Any) -> Iterator[str]:
    """Give the variables that a manifest sets, wherever it does."""
    if isinstance(content, list):
        for item in cast("list[Any]", content):
            yield from variables_in(item)
    if not isinstance(content, dict):
        return
    mapping = cast("dict[str, Any]", content)
    if mapping.keys() == {"name", "value"}:
        yield str(mapping["name"])
    for key, value in mapping.items():
        if key in {"environment", "env", "variables", "containerEnv"} and isinstance(value, dict):
            yield from cast("dict[str, Any]", value)
        yield from variables_in(value)


def test_no_file_of_a_service_names_a_setting_that_is_not_read(service: Path) -> None:
    wrong = {name: unread([*nested_names_in(text)]) for name, text in texts_of(service)}

    assert {name: names for name, names in wrong.items() if names} == {}


def test_no_manifest_sets_a_variable_that_is_not_read(service: Path) -> None:
    checked: set[str] = set()
    wrong: dict[str, list[str]] = {}
    for name, text in texts_of(service):
        if name.startswith("helm/templates") or not re.search(r"(?<!schema)\.(ya?ml|json)$", name):
            continue
        names = [found for page in yaml.safe_load_all(text) for found in variables_in(page)]
        wrong[name] = unread(names)
        checked |= set(names)

    assert {name: names for name, names in wrong.items() if names} == {}
    assert "ENVIRONMENT" in checked or not {"compose.yaml", "helm"} & {
        path.name for path in service.iterdir()
    }


def test_the_chart_sets_what_is_read_and_takes_secrets_from_where_they_are(service: Path) -> None:
    path = service / "helm/values.yaml"
    values: dict[str, Any] = {}
    if path.exists():
        values = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert unread([*values.get("env", {}), *values.get("secrets", {})]) == []


def test_the_image_sets_no_variable_that_is_not_read(service: Path) -> None:
    path = service / "Dockerfile"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = re.findall(r"^ENV (.+)$", text, re.MULTILINE)

    assert unread([part.partition("=")[0] for line in lines for part in line.split()]) == []


def test_the_example_names_settings_and_has_values_that_they_take(
    service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (service / ".env.example").read_text(encoding="utf-8")
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    monkeypatch.chdir(tmp_path)

    (tmp_path / ".env").write_text(
        "".join(f"{line}\n" for line in lines if names_in_env_file(line)), encoding="utf-8"
    )

    assert unread([*names_in_env_file(text, with_comments=True)]) == []
    assert len(names_in_env_file((tmp_path / ".env").read_text(encoding="utf-8"))) > 8
    Settings.load()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("LOG__LEVEL=INFO # and CACHE__EXPIRY=5", ["CACHE__EXPIRY"]),
        ("AUTH__TOKENS__TIMEOUT, DATABASE__POOLSIZE", ["DATABASE__POOLSIZE"]),
    ],
)
def test_a_name_that_is_not_read_would_be_found(text: str, found: list[str]) -> None:
    assert unread([*nested_names_in(text)]) == found


def test_a_variable_that_is_not_read_would_be_found_in_each_kind_of_manifest() -> None:
    manifest = {
        "services": {"api": {"environment": {"REDIS_URI": "x"}}},
        "jobs": [{"env": {"LOG_LEVEL": "x"}}],
        "containers": [{"env": [{"name": "DATABASE_URI", "value": "x"}]}],
    }

    assert unread([*variables_in(manifest)]) == ["REDIS_URI", "LOG_LEVEL", "DATABASE_URI"]


def test_the_example_is_what_the_settings_say(derived: dict[str, Any]) -> None:
    written = (TEMPLATE / ".env.example.jinja").read_text(encoding="utf-8")

    assert written == derived["derive_example"](), "run: python scripts/derive_settings.py"


def test_containers_are_told_what_the_settings_say(derived: dict[str, Any]) -> None:
    written = derived["COMPOSE"].read_text(encoding="utf-8")
    edited = written.replace("    REDIS_URL: ", "    REDIS_URI: ")

    assert edited != written
    assert derived["derive_compose"](edited) == written, "run: python scripts/derive_settings.py"
    with pytest.raises(ValueError, match="tells 0 services something"):
        derived["derive_compose"]("services: {}")


def test_the_schema_of_the_chart_is_what_the_settings_say(derived: dict[str, Any]) -> None:
    written = SCHEMA.read_text(encoding="utf-8")

    assert written == derived["derive_schema"](written), "run: python scripts/derive_settings.py"


REFUSED: dict[str, dict[str, Any]] = {
    "misspelt": {"env": {"LOG__LEVL": "INFO"}},
    "no-choice": {"env": {"LOG__LEVEL": "LOUD"}},
    "no-truth": {"env": {"METRICS__ENABLED": "perhaps"}},
    "secret": {"env": {"DATABASE_URL": "postgresql://me:secret@db/x"}},
    "token": {"env": {"MANAGEMENT__TOKEN": "x" * 32}},
    "misspelt-secret": {"secrets": {"DATABASE__CURSER_KEY": {"name": "a", "key": "b"}}},
}
ACCEPTED: dict[str, dict[str, Any]] = {
    "settings": {"env": {"LOG__LEVEL": "info", "REQUESTS__TIMEOUT": 20, "DATABASE__ECHO": False}},
    "others": {"env": {"TZ": "UTC", "GREETING": "hello"}},
    "secrets": {"secrets": {"MANAGEMENT__TOKEN": {"name": "a", "key": "b"}}},
}


def test_the_chart_refuses_what_would_not_be_read_and_what_would_be_seen(
    render: Render, run: Run, tmp_path: Path
) -> None:
    service = render("charted", deploy=["helm"])
    values = yaml.safe_load((service / "helm/values.yaml").read_text(encoding="utf-8"))
    for name, change in (REFUSED | ACCEPTED).items():
        changed = {key: values[key] | part for key, part in change.items()}
        text = yaml.safe_dump(values | changed)
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    check = (PROGRAMS / "check-jsonschema", "--schemafile", SCHEMA)

    run(*check, *(f"{name}.yaml" for name in ACCEPTED), cwd=tmp_path)
    said = run(*check, *(f"{name}.yaml" for name in REFUSED), cwd=tmp_path, code=1)

    assert [name for name in REFUSED if f"{name}.yaml::" not in said] == []


def test_no_page_of_the_documentation_names_a_setting_that_is_not_read() -> None:
    pages = [
        path
        for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*"))
        if path.suffix in {".md", ".py"} and not {"_build", "_generated"} & set(path.parts)
    ]

    wrong = {
        path.relative_to(ROOT).as_posix(): names
        for path in pages
        if (names := {*unread([*nested_names_in(path.read_text(encoding="utf-8"))])} - MISSPELT)
    }

    assert len(pages) > 100
    assert wrong == {}


def test_a_new_service_has_the_latest_defaults(service: Path) -> None:
    (settings,) = service.glob("src/*/settings.py")

    text = settings.read_text(encoding="utf-8")

    assert f'    baseline_defaults: str = "{DEFAULTS.latest}"\n' in text


def test_an_update_leaves_the_defaults_of_a_service_as_they_are(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    answers = {"service_name": "order-service"}
    service = repository.render(tmp_path / "updated", answers, release=CURRENT)
    settings = service / "src/order_service/settings.py"
    replace(settings, f'"{DEFAULTS.latest}"', '"2999.02"')
    repository.commit(service)
    repository.edit("copier.yml", f'default: "{DEFAULTS.latest}"', 'default: "2999.03"')
    name = "template/src/{{ package_name }}/settings.py.jinja"
    repository.edit(name, "A field added here is read", "Any field added here is read")
    repository.publish("v99.0.0")

    repository.update(service)

    new = repository.render(tmp_path / "new", answers, release="v99.0.0")
    assert "Any field added here" in settings.read_text(encoding="utf-8")
    assert dates_in(settings) == ["2999.02"]
    assert dates_in(new / "src/order_service/settings.py") == ["2999.03"]


def dates_in(settings: Path) -> list[str]:
    text = settings.read_text(encoding="utf-8")
    return re.findall(r'baseline_defaults: str = "(.+)"', text)
