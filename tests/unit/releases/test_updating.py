import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from fastapi_baseline import ConfigurationError, __version__
from fastapi_baseline.releases.answers import ANSWERS_FILE, Answers, read_answers
from fastapi_baseline.releases.forecast import Forecast, Outcome
from fastapi_baseline.releases.repository import ReleaseRepository
from fastapi_baseline.releases.updating import Change, attempt_update, open_work_tree
from tests.unit.releases.conftest import FIRST, LINES, commit, git, write

NEWEST = Change(target=__version__, answers={})
EDITED = LINES.replace("line 18\n", "line eighteen\n")
EDITS = {
    ".gitignore": "ignored.txt\n",
    "edited.txt": EDITED,
    "contested.txt": LINES.replace("line 3\n", "line 3, mine\n"),
    "sub/moved.txt": LINES,
    "moved.txt": None,
    "dropped.txt": None,
    "cherished.txt": "kept\n",
    "example.txt": None,
    "own.txt": "mine\n",
}


@dataclass(frozen=True)
class Updated:
    service: Path
    forecast: Forecast
    was_touched: bool
    refusal: str


@pytest.fixture(scope="module")
def updated(
    make_service: Callable[[Path], Path],
    repository: ReleaseRepository,
    tmp_path_factory: pytest.TempPathFactory,
) -> Updated:
    """Give a service in a larger repository that was edited in every way, and then updated."""
    top = tmp_path_factory.mktemp("repository")
    service = make_service(top / "services/shop")
    shutil.rmtree(service / ".git")
    git(top, "init", "--quiet")
    write(service, EDITS)
    write(top, {"other/file.txt": "other\n"})
    commit(top)
    write(top, {"other/file.txt": "not in a commit\n"})
    # In no commit, and not to be lost.
    write(service, {"ignored.txt": "precious\n"})
    work = open_work_tree(service)
    before = git(service, "status", "--porcelain")
    with attempt_update(
        work, NEWEST, answers=read_answers(service), repository=repository
    ) as attempt:
        was_touched = git(service, "status", "--porcelain") != before
        write(service, {"late.txt": "in no commit\n"})
        with pytest.raises(ConfigurationError) as refusal:
            attempt.apply()
        write(service, {"late.txt": None})
        was_touched = was_touched or git(service, "status", "--porcelain") != before
        attempt.apply()
    return Updated(
        service=service,
        forecast=attempt.forecast,
        was_touched=was_touched,
        refusal=str(refusal.value),
    )


def outcomes(forecast: Forecast) -> dict[str, Outcome]:
    return {file.path: file.outcome for file in forecast.files}


def test_tells_before_it_touches_anything_what_becomes_of_each_file(updated: Updated) -> None:
    assert not updated.was_touched
    assert (updated.forecast.source, updated.forecast.target) == (FIRST, __version__)
    assert outcomes(updated.forecast) == {
        ANSWERS_FILE: Outcome.UPDATED,
        "added.txt": Outcome.ADDED,
        "cherished.txt": Outcome.LOST,
        "contested.txt": Outcome.CONFLICT,
        "dropped.txt": Outcome.MISSED,
        "edited.txt": Outcome.MERGED,
        "ignored.txt": Outcome.MISSED,
        "moved.txt": Outcome.MISSED,
        "plain.txt": Outcome.UPDATED,
        "removed.txt": Outcome.REMOVED,
    }


def test_tells_where_a_file_was_moved_to_and_which_change_it_misses(updated: Updated) -> None:
    files = {file.path: file for file in updated.forecast.files}

    assert files["moved.txt"].moved_to == "sub/moved.txt"
    assert files["dropped.txt"].moved_to is None
    for name in ("moved.txt", "dropped.txt"):
        assert files[name].change[0].startswith("@@ -1,6 +1,6 @@")
        assert {"-line 3", "+line three"} <= set(files[name].change)
    assert "-gone" in files["cherished.txt"].change


def test_brings_what_is_new_and_keeps_what_is_the_users(updated: Updated) -> None:
    service = updated.service

    def text(name: str) -> str:
        return (service / name).read_text(encoding="utf-8")

    assert text("plain.txt") == LINES.replace("line 3\n", "line three\n")
    assert text("edited.txt") == EDITED.replace("line 3\n", "line three\n")
    assert text("added.txt") == "new\n"
    assert text("own.txt") == "mine\n"
    assert text("sub/moved.txt") == LINES
    assert text("ignored.txt") == "precious\n"
    assert yaml.safe_load(text(ANSWERS_FILE))["_commit"] == f"v{__version__}"
    assert not [path for path in service.rglob("*") if path.suffix == ".rej"]
    gone = ("removed.txt", "cherished.txt", "dropped.txt", "moved.txt", "example.txt")
    assert not [name for name in gone if (service / name).exists()]


def test_marks_what_is_in_conflict_as_a_merge_does(updated: Updated) -> None:
    service = updated.service

    contested = (service / "contested.txt").read_text(encoding="utf-8")
    assert "<<<<<<< before updating\nline 3, mine\n=======\nline three\n>>>>>>>" in contested
    assert git(service, "diff", "--name-only", "--diff-filter=U") == "services/shop/contested.txt"
    stages = git(service, "ls-files", "--unmerged").splitlines()
    assert [line.split()[2] for line in stages] == ["1", "2", "3"]


def test_touches_nothing_outside_of_the_service(updated: Updated) -> None:
    other = updated.service.parents[1] / "other/file.txt"

    assert other.read_text(encoding="utf-8") == "not in a commit\n"
    assert not list(updated.service.glob(".baseline-*"))


def test_refuses_when_somebody_has_edited_a_file_meanwhile(updated: Updated) -> None:
    assert updated.refusal.startswith("There are changes in no commit: ")
    assert "late.txt" in updated.refusal


def test_changes_nothing_when_copier_refuses(
    service: Path, repository: ReleaseRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What lies where it is called is not imported.
    write(service, {"copier.py": "raise SystemExit\n"})
    commit(service)
    monkeypatch.chdir(service)
    change = Change(target=FIRST, answers={"service_name": "bad"})
    answers, work = read_answers(service), open_work_tree(service)

    with (
        pytest.raises(ConfigurationError, match=r"nothing was changed: .*That is no name\."),
        attempt_update(work, change, answers=answers, repository=repository),
    ):
        pass

    assert git(service, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (__version__, FIRST, "there is no way back"),
        ("9.0.0", "9.0.0", "newer than the library"),
        (FIRST, "0.0.7", "no release 0.0.7"),
    ],
)
def test_refuses_releases_that_it_cannot_go_to_or_come_from(
    source: str, target: str, said: str, service: Path, repository: ReleaseRepository
) -> None:
    work, answers = open_work_tree(service), Answers(version=source, values={})
    change = Change(target=target, answers={})

    with (
        pytest.raises(ConfigurationError, match=said),
        attempt_update(work, change, answers=answers, repository=repository),
    ):
        pass


def test_says_that_there_are_changes_in_no_commit(service: Path) -> None:
    write(service, {"plain.txt": "mine\n", "new.txt": "mine\n"})

    work = open_work_tree(service)

    assert set(work.edited) == {"plain.txt", "new.txt"}
    with pytest.raises(ConfigurationError, match=r"no commit: plain\.txt and 1 more\."):
        work.require_clean()


def test_says_that_a_folder_is_not_in_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    with pytest.raises(ConfigurationError, match="is not in git: git init"):
        open_work_tree(tmp_path)


def test_says_that_a_folder_is_in_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    write(tmp_path, {"file.txt": "new\n"})

    with pytest.raises(ConfigurationError, match="is in no commit yet"):
        open_work_tree(tmp_path)


def test_says_that_a_service_is_in_no_commit_of_its_repository(service: Path) -> None:
    write(service, {"inner/file.txt": "new\n"})

    with pytest.raises(ConfigurationError, match="is in no commit yet"):
        open_work_tree(service / "inner")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("MERGE_HEAD", "a merge"),
        ("rebase-merge", "a rebase"),
        ("rebase-apply", "a rebase"),
        ("CHERRY_PICK_HEAD", "a cherry-pick"),
        ("REVERT_HEAD", "a revert"),
    ],
)
def test_says_that_something_is_half_done(name: str, what: str, service: Path) -> None:
    (service / ".git" / name).touch()

    with pytest.raises(ConfigurationError, match=f"There is {what} in progress"):
        open_work_tree(service)


def test_says_that_there_is_no_git(
    service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match="git is not on the path"):
        open_work_tree(service)
