"""What an update does to each file of a service, told from trees of files before and after it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Tree = Mapping[str, str]
"""What each path of a folder has: the mode and the id of its content, as git writes them."""


class Outcome(StrEnum):
    """What becomes of one file."""

    ADDED = "added"
    """The template brings it."""
    UPDATED = "updated"
    """The service has not edited it, and gets the template's new one."""
    MERGED = "merged"
    """Both have changed it, in different places."""
    CONFLICT = "conflict"
    """Both have changed it in the same place: somebody has to decide."""
    REMOVED = "removed"
    """The template has given it up, and the service has not edited it."""
    LOST = "lost"
    """The template has given it up, and what the service has edited in it goes with it."""
    MISSED = "missed"
    """The service has moved or deleted it, or git ignores its own: the change does not arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForecast:
    """What becomes of one file.

    `moved_to` is where the service seems to have moved it, and `change` the lines of the diff that
    the template has for it, where they do not arrive, or take edits away.
    """

    path: str
    outcome: Outcome
    moved_to: str | None = None
    change: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What becomes of the files of a service; those that are not named stay as they are."""

    source: str
    target: str
    files: tuple[FileForecast, ...]

    def having(self, *outcomes: Outcome) -> tuple[FileForecast, ...]:
        """Return the files with one of these outcomes."""
        return tuple(file for file in self.files if file.outcome in outcomes)

    @property
    def has_conflicts(self) -> bool:
        """Whether somebody has to decide about a file."""
        return bool(self.having(Outcome.CONFLICT))

    def as_document(self) -> dict[str, Any]:
        """Return it for programs."""
        counts = {outcome.value: len(self.having(outcome)) for outcome in Outcome}
        files = [
            {"path": file.path, "outcome": file.outcome.value}
            | ({"moved_to": file.moved_to} if file.moved_to else {})
            | ({"change": "\n".join(file.change)} if file.change else {})
            for file in self.files
        ]
        return {"from": self.source, "to": self.target, "counts": counts, "files": files}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """The four trees that an update is told from.

    `old` and `new` are an untouched service before and after it, so that what differs is what the
    template brings; `before` and `after` are the service itself. `conflicts` are the paths that
    copier could not decide about, `moves` those that the service has moved, with where to, and
    `hidden` those of files that git ignores.
    """

    old: Tree
    new: Tree
    before: Tree
    after: Tree
    conflicts: Collection[str]
    moves: Mapping[str, str]
    hidden: Collection[str] = ()


def forecast_files(
    trees: Trees, find_change: Callable[[str], Sequence[str]]
) -> tuple[FileForecast, ...]:
    """Return what becomes of each file, in the order of their paths.

    `find_change` is asked for the diff of a file that the template has changed in vain.
    """
    paths = sorted({*trees.old, *trees.new, *trees.before, *trees.after})
    found: list[FileForecast] = []
    for path in paths:
        outcome = _outcome(path, trees)
        if outcome is not None:
            is_vain = outcome in {Outcome.LOST, Outcome.MISSED}
            forecast = FileForecast(
                path=path,
                outcome=outcome,
                moved_to=trees.moves.get(path) if outcome is Outcome.MISSED else None,
                change=tuple(find_change(path)) if is_vain else (),
            )
            found.append(forecast)
    return tuple(found)


def _outcome(path: str, trees: Trees) -> Outcome | None:
    old, new = trees.old.get(path), trees.new.get(path)
    before, after = trees.before.get(path), trees.after.get(path)
    if path in trees.conflicts:
        return Outcome.CONFLICT
    if before == after:
        # Where the service has the file, the change was there before, in what the service edited.
        is_missed = before is None and None not in {old, new} and old != new
        return Outcome.MISSED if is_missed else None
    if path in trees.hidden:
        return Outcome.MISSED
    if after is None:
        return Outcome.REMOVED if before == old else Outcome.LOST
    if before is None:
        return Outcome.ADDED
    return Outcome.UPDATED if (before, after) == (old, new) else Outcome.MERGED
