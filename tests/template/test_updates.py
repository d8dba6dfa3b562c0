"""Updates, each from releases that users have: quick here, and all of them in tests/updates."""

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastapi_baseline import __version__
from tests.template.answers import Answers, axes_of, maximal, minimal
from tests.template.catalogue import EDITS, Edit, edits_at_once, find_losses, make_all
from tests.template.later import CHANGES, NEXT, find_missing, publish_what_comes_later
from tests.template.publishing import (
    CURRENT,
    ROOT,
    Repository,
    contents,
    find_conflicts,
    release_of,
)
from tests.updates.matrix import cases

LATER = f"v{NEXT}"
AWKWARD = """It's "quoted" \\ {{ service_name }} {% raw %} ünïcode: # -"""
# The example is the user's from the first minute.
MINE = re.compile(r"src/[^/]+/domains/(items|users)/|tests/domains/test_items\.py")

Run = Callable[..., str]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Give the releases there are, the working tree, and one to come that changes everything."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    publish_what_comes_later(repository)
    return repository


def test_has_a_release_to_update_from(repository: Repository) -> None:
    assert repository.releases()[0] == "v0.1.0"
    assert repository.releases()[-2:] == [CURRENT, LATER]


def test_has_edits_and_changes_enough_to_prove_something() -> None:
    assert len({edit.name for edit in EDITS}) >= 15
    assert len({change.name for change in CHANGES}) >= 10


@pytest.mark.parametrize("extent", ["default", "minimal", "oidc", "builtin"])
def test_brings_a_service_that_was_edited_all_over_from_release_to_release(
    extent: str, repository: Repository, tmp_path: Path
) -> None:
    first, *later = repository.releases()
    answers = answers_of_extent(extent, repository.checkout(first) / "copier.yml")
    service = repository.render(tmp_path / "s", answers, release=first)
    made = make_all(edits_at_once(), service)
    before = set(contents(service))
    repository.commit(service)

    for release in later:
        repository.update(service, to=release)
        repository.commit(service)

        assert find_conflicts(service) == [], release
        assert find_losses(made, service) == [], release
        assert release_of(service) == release
    assert find_missing(service) == []
    assert before <= set(contents(service))


def answers_of_extent(extent: str, copier_yml: Path) -> Answers:
    answers: Answers = {"service_name": "order-service"}
    if extent == "minimal":
        answers |= minimal(copier_yml)
    elif extent != "default":
        answers |= maximal(copier_yml) | {"auth": extent}
    return answers


def test_makes_each_edit_in_some_service(repository: Repository, tmp_path: Path) -> None:
    made: set[str] = set()
    for ci in ("github", "gitlab"):
        answers = maximal(ROOT / "copier.yml") | {"service_name": "order-service", "ci": ci}
        service = repository.render(tmp_path / ci, answers, release=CURRENT)
        made |= {edit.name for edit in EDITS if edit.is_for(service)}

    assert made == {edit.name for edit in EDITS}


def test_leaves_alone_what_the_user_has_taken_away_or_moved(
    repository: Repository, tmp_path: Path
) -> None:
    alone = [edit for edit in EDITS if edit.is_alone]
    service = repository.render(tmp_path / "s", {"service_name": "order-service"}, release="v0.1.0")
    made = make_all(alone, service)
    repository.commit(service)

    repository.update(service)

    assert made == alone
    assert find_losses(made, service) == []
    assert find_conflicts(service) == []


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"description": AWKWARD, "owner": AWKWARD},
        {"database": "none", "deploy": [], "ci": "none", "capabilities": []},
        {"auth": "builtin", "include_example": False},
    ],
    ids=["default", "awkward", "bare", "no-example"],
)
def test_makes_of_an_untouched_service_what_a_new_one_would_be(
    answers: dict[str, Any], repository: Repository, tmp_path: Path
) -> None:
    answers = {"service_name": "order-service", **answers}
    service = repository.render(tmp_path / "old", answers, release=CURRENT)
    repository.commit(service)

    repository.update(service)

    new = repository.render(tmp_path / "new", answers, release=LATER)
    assert find_differences(contents(service), contents(new)) == []


def find_differences(updated: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    """Return the files in which a service differs from a new one, but for what is the user's."""
    names = {name for name in {*updated, *new} if not MINE.match(name)}
    # What the template has given up stays where it is.
    names -= {".dockerignore"}
    return sorted(name for name in names if updated.get(name) != new.get(name))


def what_can_be_left_out() -> list[tuple[str, str]]:
    """Return what a service can do without, by question: `("deploy", "helm")`."""
    names = [name.partition(":") for name in axes_of(ROOT / "copier.yml")]
    return [(question, choice) for question, colon, choice in names if colon]


def test_gives_up_each_choice_and_takes_all_back_and_is_what_it_was(
    repository: Repository, tmp_path: Path
) -> None:
    everything = maximal(ROOT / "copier.yml") | {"service_name": "order-service"}
    service = repository.render(tmp_path / "s", everything, release=CURRENT)
    edits = [edit for edit in EDITS if edit.name in {"adds a dependency", "adds a setting"}]
    make_all(edits, service)
    repository.commit(service)
    before, left = contents(service), dict(everything)

    for question, choice in what_can_be_left_out():
        left[question] = [value for value in left[question] if value != choice]
        repository.answer(service, {question: left[question]})
        repository.commit(service)
    little = repository.render(tmp_path / "little", left, release=CURRENT)
    make_all(edits, little)
    without = contents(service)
    repository.answer(service, everything)

    assert find_differences(without, contents(little)) == []
    assert contents(service) == before


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_goes_elsewhere_for_its_checks_and_comes_back(
    ci: str, repository: Repository, tmp_path: Path
) -> None:
    answers = {"service_name": "order-service"}
    service = repository.render(tmp_path / "s", answers | {"ci": "none"}, release=CURRENT)
    repository.commit(service)
    before = contents(service)

    repository.answer(service, {"ci": ci})
    repository.commit(service)
    there = contents(service)
    repository.answer(service, {"ci": "none"})

    new = repository.render(tmp_path / "new", answers | {"ci": ci}, release=CURRENT)
    assert there == contents(new)
    assert contents(service) == before


@pytest.mark.parametrize(
    ("release", "extent"), [("v0.1.0", "oidc"), (CURRENT, "builtin")], ids=["first", "current"]
)
def test_is_green_with_everything_after_it_was_edited_and_updated(
    release: str,
    extent: str,
    repository: Repository,
    tmp_path: Path,
    run: Run,
    environment: Path,
    install: Callable[[Path], None],
) -> None:
    answers = answers_of_extent(extent, repository.checkout(release) / "copier.yml")
    service = repository.render(tmp_path / "s", answers, release=release)
    made = make_all(edits_at_once(), service)
    repository.commit(service)

    repository.update(service)

    assert release_of(service) == LATER
    assert find_conflicts(service) == []
    assert find_losses(made, service) == []
    assert find_missing(service) == []
    install(service)
    said = run(environment / "pytest", "-q", cwd=service)
    assert "passed" in said
    run(environment / "ruff", "check", cwd=service)
    run(environment / "ruff", "format", "--check", cwd=service)


def test_updates_a_service_in_a_folder_of_a_larger_repository(
    repository: Repository, tmp_path: Path
) -> None:
    answers = {"service_name": "order-service"}
    service = repository.render(tmp_path / "mono/services/orders", answers, release=CURRENT)
    (tmp_path / "mono/README.md").write_text("Ours.\n", encoding="utf-8")
    repository.commit(tmp_path / "mono")
    (tmp_path / "mono/README.md").write_text("Ours, and not committed.\n", encoding="utf-8")

    repository.update(service)

    assert release_of(service) == LATER
    assert find_conflicts(service) == []


def test_sees_a_conflict_where_there_is_one(repository: Repository, tmp_path: Path) -> None:
    service = repository.render(tmp_path / "s", {"service_name": "order-service"}, release=CURRENT)
    clash = Edit(
        name="bounds the library otherwise",
        replaced={"pyproject.toml": (f">={__version__},", f">={__version__}.1,")},
    )
    clash.make(service)
    repository.commit(service)

    repository.update(service)

    assert find_conflicts(service) == ["pyproject.toml"]


def test_sees_what_a_renamed_file_takes_with_it(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    folder = repository.folder / "template"
    shutil.move(folder / "README.md.jinja", folder / "LIESMICH.md.jinja")
    repository.publish(LATER)
    service = repository.render(tmp_path / "s", {"service_name": "order-service"}, release=CURRENT)
    edits = [edit for edit in EDITS if edit.name == "writes about itself"]
    make_all(edits, service)
    repository.commit(service)

    repository.update(service)

    # copier itself says nothing of it: this is what the gates of test_contract.py are for.
    assert find_conflicts(service) == []
    assert find_losses(edits, service) != []


@pytest.fixture
def of_the_first_release(
    repository: Repository, tmp_path: Path, run: Run, uv: Sequence[str], wheelhouse: Path
) -> Path:
    """Give an environment of its own that has the template of the first release."""
    folder = tmp_path / "first"
    (wheel,) = wheelhouse.glob("fastapi_baseline-*.whl")
    run(*uv, "venv", "--quiet", "--python", sys.executable, folder, cwd=tmp_path)
    run(
        *(*uv, "pip", "install", "--quiet", "--python", folder / "bin/python"),
        # Else its files would be those that uv keeps.
        *("--link-mode", "copy", f"fastapi-baseline[cli] @ {wheel.as_uri()}"),
        cwd=tmp_path,
    )
    (package,) = folder.glob("lib/python*/site-packages/fastapi_baseline")
    shutil.rmtree(package / "_template")
    shutil.copytree(repository.checkout("v0.1.0"), package / "_template")
    return folder


def test_updates_from_another_environment_without_a_network(
    of_the_first_release: Path,
    repository: Repository,
    tmp_path: Path,
    run: Run,
    environment: Path,
) -> None:
    # No proxy answers here, so that a request would fail.
    extra = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    run(of_the_first_release / "bin/baseline", "new", "order-service", cwd=tmp_path, extra=extra)
    shutil.rmtree(of_the_first_release)
    service = tmp_path / "order-service"
    made = make_all(edits_at_once(), service)
    repository.commit(service)
    command = (environment / "baseline", "update", "--no-lock", "--no-check", "--no-tests")

    said = run(*command, "--plan", "--json", cwd=service, extra=extra)
    plan = next(json.loads(line) for line in said.splitlines() if line.startswith("{"))
    was = release_of(service)
    run(*command, cwd=service, extra=extra)

    assert plan["counts"]["conflict"] == 0
    assert (was, release_of(service)) == ("v0.1.0", CURRENT)
    assert find_conflicts(service) == []
    assert find_losses(made, service) == []


def test_the_documentation_has_the_outcome_of_every_update_that_is_tried() -> None:
    page = (ROOT / "docs/explanation/updates.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\S+) \| (.+?) \| (\d+) \| \d+ \| \*\*0 in (\d+)\*\* \|$", page, flags=re.MULTILINE
    )

    # Each is done to a service as it was made, to one that was edited, and to one with less.
    tried = Counter((case.release, case.target) for case in cases() for _ in range(3))

    named = {CURRENT: CURRENT[1:], LATER: "a release to come", "v0.1.0": "0.1.0"}
    assert {(old, new): int(count) for old, new, count, _ in rows} == {
        (named[old], named[new]): count for (old, new), count in tried.items()
    }
    assert all(count == clean for *_, count, clean in rows)
