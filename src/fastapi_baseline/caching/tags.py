"""Tags of entries, and which of them are no longer what they were."""

import re
from collections.abc import Iterable

from fastapi_baseline.caching.errors import InvalidTagError

MAX_MARKS = 100_000
"""How many names a process remembers before it forgets them, and what it keeps with them."""

_NAMESPACE = re.compile(r"[A-Za-z0-9._-]*")


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags without repetitions, in their order.

    Raises:
        InvalidTagError: If one of them is empty, or `tags` is one text instead of several.
    """
    if isinstance(tags, str):
        raise InvalidTagError(f"Want a list of tags, and not the text {tags!r}.")
    checked = tuple(dict.fromkeys(tags))
    if not all(checked):
        raise InvalidTagError("A tag is not empty.")
    return checked


def key_of(namespace: str, name: str) -> str:
    """Return the key that a name has in a namespace.

    Raises:
        InvalidTagError: If the namespace has other characters than letters of ASCII, digits, dots,
            hyphens and underscores.
    """
    if _NAMESPACE.fullmatch(namespace) is None:
        raise InvalidTagError(
            f"A namespace has letters of ASCII, digits, '.', '-' and '_' only: {namespace!r}"
        )
    return f"{namespace}:{name}"


def namespace_of(key: str) -> str:
    """Return the namespace of a key; the empty text, if it has none."""
    return key.partition(":")[0]


class Marks:
    """When which names were invalidated in this process, counted and not measured.

    Whoever is about to make or to read something notes `moment` first. What he gets is current for
    as long as none of its names is marked after that. A name that was never marked takes no room,
    so an invalidation costs the same for any number of entries.
    """

    __slots__ = ("_floor", "_marks", "_max_marks", "moment")

    moment: int

    def __init__(self, *, max_marks: int = MAX_MARKS) -> None:
        """Remember `max_marks` names; beyond that, everything counts as marked."""
        self.moment = 0
        self._floor = 0
        self._max_marks = max_marks
        self._marks: dict[str, int] = {}

    def mark(self, names: Iterable[str]) -> None:
        """Note that these names are invalid from now on."""
        self.moment += 1
        for name in names:
            self._marks[name] = self.moment
        if len(self._marks) > self._max_marks:
            self._forget()

    def mark_all(self) -> None:
        """Note that everything is invalid from now on."""
        self.moment += 1
        self._forget()

    def is_current(self, names: Iterable[str], since: int) -> bool:
        """Return whether none of the names was marked after the moment `since`."""
        if since == self.moment:
            return True
        if since < self._floor:
            return False
        marks = self._marks
        return all(marks.get(name, 0) <= since for name in names)

    def _forget(self) -> None:
        self._floor = self.moment
        self._marks.clear()
