from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from fastapi_baseline import ConfigurationError
from fastapi_baseline.releases.answers import Answers, read_answers
from fastapi_baseline.releases.drift import FileState, count_states, find_files, find_left_overs
from fastapi_baseline.releases.ownership import Owner, Ownership
from fastapi_baseline.releases.repository import ReleaseRepository
from tests.unit.releases.conftest import LINES, write

OWNERSHIP = Ownership(
    specifications={
        Owner.TEMPLATE: GitIgnoreSpec.from_lines(["/plain.txt"]),
        Owner.SEAM: GitIgnoreSpec.from_lines(["/edited.txt", "/moved.txt"]),
        Owner.YOURS: GitIgnoreSpec.from_lines(["/example.txt"]),
    }
)


def test_compares_each_file_with_what_the_template_made(
    service: Path, repository: ReleaseRepository
) -> None:
    edited = LINES.replace("line 2\n", "line two\n") + "line 21\n"
    write(service, {"edited.txt": edited, "moved.txt": None, "new.txt": "mine\n"})
    write(service, {".gitignore": "*.log\n", "noise.log": "ignored\n"})

    found = find_files(service, read_answers(service), repository, ownership=OWNERSHIP)

    files = {file.path: file for file in found}
    assert (files["plain.txt"].owner, files["plain.txt"].state) == (Owner.TEMPLATE, FileState.SAME)
    assert (files["edited.txt"].state, files["edited.txt"].lines) == (FileState.EDITED, 3)
    assert files["moved.txt"].state is FileState.MISSING
    assert (files["new.txt"].owner, files["new.txt"].state) == (Owner.YOURS, FileState.ADDED)
    assert "noise.log" not in files
    counts = count_states(found)[Owner.SEAM]
    assert (counts[FileState.EDITED], counts[FileState.MISSING]) == (1, 1)


def test_finds_that_nothing_has_drifted(service: Path, repository: ReleaseRepository) -> None:
    found = find_files(service, read_answers(service), repository, ownership=OWNERSHIP)

    assert {file.state for file in found} == {FileState.SAME}


def test_does_not_mind_line_endings_of_another_system(
    service: Path, repository: ReleaseRepository
) -> None:
    (service / "plain.txt").write_bytes(LINES.replace("\n", "\r\n").encode())

    found = find_files(service, read_answers(service), repository, ownership=OWNERSHIP)

    assert {file.state for file in found} == {FileState.SAME}


def test_finds_what_an_update_has_left_undecided(
    service: Path, repository: ReleaseRepository
) -> None:
    marked = "<<<<<<< before updating\nmine\n=======\ntheirs\n>>>>>>> after updating\n"
    write(service, {"edited.txt": marked, "moved.txt.rej": "@@\n", "title.txt": ">>>>>>> \n"})
    found = find_files(service, read_answers(service), repository, ownership=OWNERSHIP)

    assert find_left_overs(service, found) == ["edited.txt", "moved.txt.rej"]


def test_says_that_there_is_no_such_release(service: Path, repository: ReleaseRepository) -> None:
    answers = Answers(version="0.0.7", values={})

    with pytest.raises(ConfigurationError, match=r"no release 0\.0\.7"):
        find_files(service, answers, repository, ownership=OWNERSHIP)
