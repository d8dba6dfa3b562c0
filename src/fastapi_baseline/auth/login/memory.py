"""A store in the memory of this process: for tests, development, and services of one process."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi_baseline.auth.login.store import Stored
from fastapi_baseline.clock import Clock, SystemClock

# How many of the oldest entries of a kind each new one looks at, to drop those that are over: more
# than one, so that the store shrinks.
_SWEEP = 2


@dataclass(slots=True)
class _Entry:
    value: str
    version: int
    ends_at: datetime
    groups: tuple[str, ...]


class MemoryLoginStore:
    """A `LoginStore` that other processes do not see, and that ends with this one."""

    def __init__(self, *, max_entries: int = 100_000, clock: Clock | None = None) -> None:
        """Keep at most `max_entries` of each kind; the oldest one goes if there is one more.

        Each kind has a limit of its own: whoever begins to sign in again and again makes marks, and
        must not make tokens go.
        """
        self._max_entries = max_entries
        self._clock = clock or SystemClock()
        self._kinds: dict[str, dict[str, _Entry]] = {}
        self._groups: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """Return how many values are held, some of which may be over."""
        return sum(len(entries) for entries in self._kinds.values())

    async def add_if_absent(
        self, key: str, value: str, *, lifetime: timedelta, groups: Sequence[str] = ()
    ) -> bool:
        """Keep a value for `lifetime`, and return whether there was none."""
        if self._find(key) is not None:
            return False
        entries = self._entries_of(key)
        self._make_room(entries)
        entries[key] = _Entry(value, 1, self._clock.now() + lifetime, tuple(groups))
        for group in groups:
            self._groups.setdefault(group, set()).add(key)
        return True

    async def get(self, key: str) -> Stored | None:
        """Return a value; `None` if there is none."""
        entry = self._find(key)
        return None if entry is None else Stored(entry.value, entry.version)

    async def take(self, key: str) -> str | None:
        """Remove a value, and return it to one caller only; `None` if there is none."""
        entry = self._find(key)
        if entry is None:
            return None
        self._drop(key)
        return entry.value

    async def replace_if(self, key: str, value: str, *, version: int, lifetime: timedelta) -> bool:
        """Keep another value if nobody else has replaced it; return whether that is so."""
        entry = self._find(key)
        if entry is None or entry.version != version:
            return False
        entry.value, entry.version = value, version + 1
        entry.ends_at = self._clock.now() + lifetime
        return True

    async def remove(self, key: str, *, version: int | None = None) -> bool:
        """Remove a value, if it has still that version; return whether it was there and had."""
        entry = self._find(key)
        if entry is None or version not in {None, entry.version}:
            return False
        self._drop(key)
        return True

    async def list_group(self, group: str) -> Sequence[str]:
        """Return the keys of a group, in no order."""
        return [key for key in [*self._groups.get(group, ())] if self._find(key) is not None]

    def _entries_of(self, key: str) -> dict[str, _Entry]:
        return self._kinds.setdefault(key.partition(":")[0], {})

    def _find(self, key: str) -> _Entry | None:
        entry = self._entries_of(key).get(key)
        if entry is not None and self._clock.now() >= entry.ends_at:
            self._drop(key)
            return None
        return entry

    def _make_room(self, entries: dict[str, _Entry]) -> None:
        now = self._clock.now()
        for _ in range(min(_SWEEP, len(entries))):
            key, entry = next(iter(entries.items()))
            if len(entries) < self._max_entries and now < entry.ends_at:
                return
            self._drop(key)

    def _drop(self, key: str) -> None:
        entry = self._entries_of(key).pop(key)
        for group in entry.groups:
            keys = self._groups[group]
            keys.discard(key)
            if not keys:
                del self._groups[group]
