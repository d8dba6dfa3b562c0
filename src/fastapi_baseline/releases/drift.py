"""How far a service is from what the template made it: file by file, and in lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.releases.answers import Answers
from fastapi_baseline.releases.ownership import Owner, Ownership
from fastapi_baseline.releases.repository import ReleaseRepository, run_git

_MARKS = (b"<<<<<<< ", b">>>>>>> ")
_REJECTED = ".rej"


class FileState(StrEnum):
    """What has become of a file."""

    SAME = "same"
    """It is as the template made it."""
    EDITED = "edited"
    MISSING = "missing"
    ADDED = "added"
    """The template did not make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFile:
    """One file of a service, or one that it no longer has."""

    path: str
    owner: Owner
    state: FileState
    lines: int = 0
    """How many lines are other than the template's: those that are gone, and those that are new."""


def find_files(
    root: Path, answers: Answers, repository: ReleaseRepository, *, ownership: Ownership
) -> Sequence[ServiceFile]:
    """Return every file of a service, compared with the release of the template that it is at.

    That release is rendered with the answers of the service, to see what it was made of. Of files
    that the template did not make, those count that git does not ignore.

    Raises:
        ConfigurationError: If there is no such release, or it cannot be rendered.
    """
    with TemporaryDirectory(prefix="fastapi-baseline-") as work:
        rendered = Path(work) / root.name
        repository.render(answers.version, answers.values, rendered)
        made = {path: (rendered / path).read_bytes() for path in _paths_below(rendered)}
    found = [_compare(root, path, content, ownership) for path, content in made.items()]
    for path in _paths_in_git(root):
        if path not in made:
            owner = ownership.owner_of(path)
            found.append(ServiceFile(path=path, owner=owner, state=FileState.ADDED))
    return sorted(found, key=lambda file: file.path)


def count_states(files: Sequence[ServiceFile]) -> Mapping[Owner, Mapping[FileState, int]]:
    """Return how many files of each owner are in which state."""
    return {
        owner: {
            state: sum(file.owner is owner and file.state is state for file in files)
            for state in FileState
        }
        for owner in Owner
    }


def find_left_overs(root: Path, files: Sequence[ServiceFile]) -> Sequence[str]:
    """Return the files that an update has left for somebody to look at, and nobody did."""
    return [file.path for file in files if _is_left_over(root / file.path)]


def _compare(root: Path, path: str, content: bytes, ownership: Ownership) -> ServiceFile:  # noqa: PLR0917 -- one file of two sides
    owner = ownership.owner_of(path)
    try:
        now = (root / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return ServiceFile(path=path, owner=owner, state=FileState.MISSING)
    except OSError as error:
        raise ConfigurationError(f"{root / path} cannot be read: {error}") from error
    before, after = content.splitlines(), now.splitlines()
    if before == after:
        # Line endings are git's business.
        return ServiceFile(path=path, owner=owner, state=FileState.SAME)
    lines = _count_lines(before, after)
    return ServiceFile(path=path, owner=owner, state=FileState.EDITED, lines=lines)


def _count_lines(before: Sequence[bytes], after: Sequence[bytes]) -> int:
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return len(before) + len(after) - 2 * sum(block.size for block in blocks)


def _paths_below(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def _paths_in_git(root: Path) -> Sequence[str]:
    try:
        listed = run_git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root)
    except ConfigurationError:
        # Without git, nobody knows which files are anybody's work.
        return []
    paths = dict.fromkeys(listed.decode(errors="surrogateescape").split("\0"))
    return [path for path in paths if path and (root / path).is_file()]


def _is_left_over(path: Path) -> bool:
    if path.suffix == _REJECTED:
        return True
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return False
    # Each of them alone may stand in a text that is about them.
    return all(any(line.startswith(mark) for line in lines) for mark in _MARKS)
