"""Every update that there can be: `nox -s updates`, which writes the table of the documentation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.template.catalogue import EDITS, edits_at_once, find_losses, make_all
from tests.template.later import NEXT, find_missing, publish_what_comes_later
from tests.template.publishing import Repository, contents, find_conflicts, release_of
from tests.template.test_updates import find_differences
from tests.updates.matrix import Case, cases, cases_to_the_last

Record = Callable[[str, object], None]
Run = Callable[..., str]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = Repository(tmp_path_factory.mktemp("repository"))
    publish_what_comes_later(repository)
    return repository


@pytest.fixture(params=cases(), ids=str)
def case(request: pytest.FixtureRequest, record_property: Record) -> Case:
    case: Case = request.param
    record_property("from", case.release)
    record_property("to", case.target)
    return case


def test_makes_of_an_untouched_service_what_a_new_one_would_be(
    case: Case, repository: Repository, tmp_path: Path
) -> None:
    service = repository.render(tmp_path / "old", case.answers, release=case.release)
    repository.commit(service)

    repository.update(service, to=case.target)

    new = repository.render(tmp_path / "new", case.answers, release=case.target)
    assert find_differences(contents(service), contents(new)) == []


def test_keeps_every_edit_and_brings_every_change(
    case: Case, repository: Repository, tmp_path: Path, record_property: Record
) -> None:
    service = repository.render(tmp_path / "s", case.answers, release=case.release)
    made = make_all(edits_at_once(), service)
    before = set(contents(service))
    repository.commit(service)
    record_property("edits", len(made))

    repository.update(service, to=case.target)

    assert find_conflicts(service) == []
    assert find_losses(made, service) == []
    assert before <= set(contents(service))
    assert release_of(service) == case.target
    if case.target == f"v{NEXT}":
        assert find_missing(service) == []


def test_leaves_alone_what_the_user_has_taken_away_or_moved(
    case: Case, repository: Repository, tmp_path: Path, record_property: Record
) -> None:
    service = repository.render(tmp_path / "s", case.answers, release=case.release)
    made = make_all([edit for edit in EDITS if edit.is_alone], service)
    repository.commit(service)
    record_property("edits", len(made))

    repository.update(service, to=case.target)

    assert find_conflicts(service) == []
    assert find_losses(made, service) == []


@pytest.mark.parametrize("farthest", cases_to_the_last(), ids=str)
def test_is_green_after_it_was_edited_and_updated(
    farthest: Case,
    repository: Repository,
    tmp_path: Path,
    run: Run,
    environment: Path,
    install: Callable[[Path], None],
) -> None:
    service = repository.render(tmp_path / "s", farthest.answers, release=farthest.release)
    make_all(edits_at_once(), service)
    repository.commit(service)

    repository.update(service, to=farthest.target)

    install(service)
    assert "passed" in run(environment / "pytest", "-q", cwd=service)
    run(environment / "ruff", "check", cwd=service)
    run(environment / "ruff", "format", "--check", cwd=service)
