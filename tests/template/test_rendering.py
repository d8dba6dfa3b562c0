import json
import keyword
import re
import sys
import tomllib
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastapi_baseline import __version__
from tests.template.answers import as_answers, axes_of, is_allowed, minimal, pairwise

ROOT = Path(__file__).parents[2]
# Four of them are for those who work on the service: agents, a container to develop in, who is asked
# to review, and how its dependencies stay fresh.
MAX_FILES = 29
HELM_FILES = 11
MONITORING_FILES = 4
USER_FILES = 3
MAX_LINES = 150
EXAMPLE = ROOT / "examples/default-service"
# By tools that were run on the example.
MADE = {".ruff_cache", ".venv", "__pycache__"}
AWKWARD = r"""He said "hi" \n '''x''' \ {{ y }} {% raw %} {# z #} ünïcode 😀: # - & <b> $HOME `a` %s {0}"""

Render = Callable[..., Path]

# Those that are hard to write down, and sets of choices in which each two occur together.
ANSWERS: dict[str, dict[str, Any]] = {
    "order-service": {},
    "a": {},
    "x" * 32: {"description": AWKWARD, "owner": '@org/team "A" \\ B'},
    "only-users": {"auth": "builtin", "include_example": False, "capabilities": []},
    "charted": {"deploy": ["helm"], "description": AWKWARD, "owner": '@org/team "A" \\ B'},
    "bare": minimal(ROOT / "copier.yml"),
    **{
        f"pair-{number}": as_answers(row)
        for number, row in enumerate(pairwise(axes_of(ROOT / "copier.yml")))
    },
}


@pytest.fixture(scope="module", params=ANSWERS)
def service(request: pytest.FixtureRequest, render_for_session: Render) -> Path:
    return render_for_session(request.param, **ANSWERS[request.param])


def test_is_rendered_with_every_pair_of_choices() -> None:
    axes = axes_of(ROOT / "copier.yml")
    pairs = {
        frozenset(pair.items())
        for first, second in combinations(axes, 2)
        for one, other in product(axes[first], axes[second])
        if is_allowed(pair := {first: one, second: other})
    }

    rows = pairwise(axes)

    assert [pair for pair in pairs if not any(pair <= set(row.items()) for row in rows)] == []
    assert all(is_allowed(row) for row in rows)
    assert len(rows) < len(pairs) / 4


def test_is_what_the_example_shows(render: Render) -> None:
    service = render("order-service")

    shown = {
        path.relative_to(EXAMPLE): path.read_bytes()
        for path in files_of(EXAMPLE)
        if not MADE & set(path.parts)
    }

    rendered = {path.relative_to(service): path.read_bytes() for path in files_of(service)}
    differences = sorted(
        str(name) for name in {*shown, *rendered} if shown.get(name) != rendered.get(name)
    )
    assert not differences, f"Run python scripts/render_example.py: {differences}"


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def answers_of(service: Path) -> dict[str, Any]:
    return yaml.safe_load((service / ".copier-answers.yml").read_text(encoding="utf-8"))


def test_stays_within_the_budget_of_a_thin_service(service: Path) -> None:
    files = files_of(service)
    counted = [
        path
        for path in files
        if path.suffix in {".py", ".mako"}
        and not {"tests", "items"} & set(path.relative_to(service).parts)
    ]

    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in counted)

    answers = answers_of(service)
    asked_for = MONITORING_FILES if "monitoring" in answers["deploy"] else 0
    asked_for += HELM_FILES if "helm" in answers["deploy"] else 0
    asked_for += USER_FILES if answers["auth"] == "builtin" else 0
    assert len(files) <= MAX_FILES + asked_for, [str(path.relative_to(service)) for path in files]
    assert lines <= MAX_LINES


def test_leaves_nothing_of_the_template_behind(service: Path) -> None:
    description = answers_of(service)["description"]

    for path in files_of(service):
        text = path.read_text(encoding="utf-8").replace(description, "")
        text = text.replace(json.dumps(description, ensure_ascii=False)[1:-1], "")
        if path.name == "README.md":
            text = re.sub(r"^He said.*$", "", text, flags=re.MULTILINE)
        # Helm's templates are templates.
        if path.name != ".copier-answers.yml" and path.parent.name != "templates":
            assert not re.search(r"(?<!\$)\{\{|\{%|\{#", text), path
        assert "jinja" not in text.lower(), path
        assert not re.search(r"[{}%'\"]", path.name), path


def test_names_no_place_of_the_machine_that_it_was_made_on(service: Path) -> None:
    places = {str(service.parent), str(Path.home()), str(ROOT), "/tmp/"}  # noqa: S108 -- looked for

    for path in files_of(service):
        text = path.read_text(encoding="utf-8")
        assert not [place for place in places if len(place) > 1 and place in text], path


def test_ends_every_file_with_one_newline_and_no_line_with_a_blank(service: Path) -> None:
    for path in files_of(service):
        text = path.read_text(encoding="utf-8")
        if path.name != "README.md":  # A description may end as it likes.
            assert not re.search(r"[ \t]$", text, flags=re.MULTILINE), path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert "\n\n\n\n" not in text, path


def test_writes_yaml_and_toml_that_can_be_read(service: Path) -> None:
    for path in files_of(service):
        if path.suffix in {".yaml", ".yml"} and path.parent.name != "templates":
            assert yaml.safe_load(path.read_text(encoding="utf-8")), path
        if path.suffix == ".toml":
            assert tomllib.loads(path.read_text(encoding="utf-8")), path


def test_keeps_free_text_as_it_was_given(render: Render) -> None:
    service = render("quoting", description=AWKWARD, owner='@org/team "A" \\ B')

    project = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["description"] == AWKWARD
    assert project["maintainers"] == [{"name": '@org/team "A" \\ B'}]
    assert answers_of(service)["description"] == AWKWARD


def test_records_one_address_and_the_release_whatever_it_was_rendered_from(
    service: Path,
) -> None:
    answers = answers_of(service)

    assert answers["_src_path"] == "https://github.com/fastapi-baseline/fastapi-baseline.git"
    assert answers["_commit"] == f"v{__version__}"
    assert not [name for name in answers if name.startswith(("has_", "baseline_", "reserved"))]


def test_asks_for_the_library_of_the_same_release(service: Path) -> None:
    project = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))
    asked = project["project"]["dependencies"] + project["dependency-groups"]["dev"][:1]
    major, minor, *_ = (int(part) for part in __version__.split("."))

    assert len(asked) == 2
    for requirement in asked:
        assert requirement.endswith(f">={__version__},<{major}.{minor + 1}")


@pytest.mark.parametrize(
    ("capability", "traces"),
    [
        ("cache", ("[cache,", "CACHE__", "__cache_tag__", "caching", "cached")),
        ("ratelimit", (",ratelimit,", "RATE_LIMITS__", "rate_limiting", "limiter")),
    ],
)
def test_has_traces_of_a_capability_only_if_it_is_asked_for(
    capability: str, traces: tuple[str, ...], render: Render
) -> None:
    having = render("having", capabilities=[capability])
    lacking = render("lacking", capabilities=sorted({"cache", "ratelimit"} - {capability}))

    written, missing = (
        "\n".join(path.read_text(encoding="utf-8") for path in files_of(folder))
        for folder in (having, lacking)
    )
    assert [trace for trace in traces if trace not in written] == []
    assert [trace for trace in traces if trace in missing] == []


AUTH_TRACES = {
    "oidc": ("AUTH__ISSUER", "RequireScopes", "auth token"),
    "builtin": ("AUTH__USERS__", "MAIL__", "RequireRoles", "UserRecord", "/auth/sign-in"),
}


@pytest.mark.parametrize("auth", [*AUTH_TRACES, "none"])
def test_has_traces_of_one_way_to_say_who_one_is(auth: str, render: Render) -> None:
    service = render("guarded", auth=auth)

    text = "\n".join(path.read_text(encoding="utf-8") for path in files_of(service))
    found = {way for way, traces in AUTH_TRACES.items() if all(trace in text for trace in traces)}
    partly = {way for way, traces in AUTH_TRACES.items() if any(trace in text for trace in traces)}
    assert found == partly == {auth} - {"none"}
    assert (",oauth2," in text, "as_user" in text) == (auth != "none", auth != "none")


def test_puts_a_line_between_its_own_entries_and_those_of_the_user(service: Path) -> None:
    lines = (service / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    ends = [number for number, line in enumerate(lines) if line == "]"]

    assert len([number for number in ends if "Yours go below" in lines[number - 1]]) == 3


@pytest.mark.parametrize(
    "answers",
    [
        {"name": "Bad_Name"},
        {"name": "1st"},
        {"name": "double--dash"},
        {"name": "x" * 33},
        {"name": "json"},
        {"name": "class"},
        {"name": "fastapi-baseline"},
        {"name": "fine", "description": "two\nlines"},
        {"name": "fine", "description": "a\x00b"},
        {"name": "fine", "description": "a\u2028b"},
        {"name": "fine", "description": "half \ud83d"},
        {"name": "fine", "description": "  "},
        {"name": "fine", "description": "x" * 201},
        {"name": "fine", "owner": ""},
        {"name": "fine", "database": "mysql"},
        {"name": "fine", "auth": "builtin", "database": "none"},
        {"name": "fine", "auth": "magic"},
        {"name": "fine", "deploy": ["moon"]},
        {"name": "fine", "capabilities": ["telepathy"]},
    ],
    ids=repr,
)
def test_refuses_an_answer_that_would_not_work(
    answers: dict[str, Any], render: Render, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"Validation error|Invalid choice"):
        render(**answers)

    assert not files_of(tmp_path)


def test_reserves_every_name_that_python_has() -> None:
    content = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    shape = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
    names = {name for name in {*sys.stdlib_module_names, *keyword.kwlist} if shape.fullmatch(name)}

    assert names <= set(yaml.safe_load(content["reserved_names"]["default"]))


def test_runs_no_code_and_asks_for_no_secret() -> None:
    content = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    questions = [value for name, value in content.items() if not name.startswith("_")]

    assert not {"_tasks", "_migrations", "_jinja_extensions", "_secret_questions"} & set(content)
    assert not [question for question in questions if question.get("secret")]


def test_ships_no_revision_and_no_lock() -> None:
    names = {path.name for path in (ROOT / "template").rglob("*")}

    assert "versions" not in names
    assert not [name for name in names if "uv.lock" in name]


def test_is_the_same_from_a_wheel_as_from_a_checkout(
    environment: Path, run: Callable[..., str], render: Render, tmp_path: Path
) -> None:
    from_checkout = render("order-service")

    said = run(
        *(environment / "baseline", "new", "shelf/order-service"),
        cwd=tmp_path,
        # No proxy answers here, so that a request would fail.
        extra={"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
    )

    from_wheel = tmp_path / "shelf/order-service"
    assert "order-service is made" in said
    assert [path.relative_to(from_wheel) for path in files_of(from_wheel)] == [
        path.relative_to(from_checkout) for path in files_of(from_checkout)
    ]
    for path in files_of(from_wheel):
        assert path.read_bytes() == (from_checkout / path.relative_to(from_wheel)).read_bytes()
