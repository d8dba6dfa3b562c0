"""Sessions in the memory of this process: for tests, development, and services of one process."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fastapi_baseline.auth.sessions.records import Owner, SessionRecord
from fastapi_baseline.auth.sessions.store import get_touch_interval
from fastapi_baseline.clock import Clock, SystemClock

# How many of the oldest sessions each new one looks at, to drop those that are over: more than one,
# so that the store shrinks.
_SWEEP = 2


class MemorySessionStore:
    """A `SessionStore` that other processes do not see, and that ends with this one."""

    def __init__(self, *, max_sessions: int = 100_000, clock: Clock | None = None) -> None:
        """Keep at most `max_sessions`; the oldest one ends if there is one more."""
        self._max_sessions = max_sessions
        self._clock = clock or SystemClock()
        # In the order in which they began, which is the one in which they are over.
        self._records: dict[str, SessionRecord] = {}
        self._by_owner: dict[Owner, dict[str, str]] = {}

    def __len__(self) -> int:
        """Return how many sessions are held, some of which may have ended."""
        return len(self._records)

    async def add(
        self, digest: str, record: SessionRecord, *, idle_timeout: timedelta, max_per_owner: int
    ) -> int:
        """Keep a session, and return how many older ones of its owner ended to make room."""
        self._make_room()
        now = record.last_seen_at
        for old in [*self._by_owner.get(record.owner, {}).values()]:
            if self._records[old].has_ended(now, idle_timeout=idle_timeout):
                self._drop(old)
        theirs = self._by_owner.setdefault(record.owner, {})
        self._records[digest] = record
        theirs[record.id] = digest
        ended = [*theirs.values()][: max(0, len(theirs) - max_per_owner)]
        for old in ended:
            self._drop(old)
        return len(ended)

    async def find(
        self, digest: str, *, now: datetime, idle_timeout: timedelta
    ) -> SessionRecord | None:
        """Return a session that has not ended, and note that it is used."""
        record = self._records.get(digest)
        if record is None:
            return None
        if record.has_ended(now, idle_timeout=idle_timeout):
            self._drop(digest)
            return None
        if now - record.last_seen_at >= get_touch_interval(idle_timeout):
            self._records[digest] = replace(record, last_seen_at=now)
        return record

    async def replace(self, digest: str, new_digest: str, record: SessionRecord) -> bool:
        """Keep a session under another digest, and return whether it was there."""
        if digest not in self._records:
            return False
        del self._records[digest]
        self._records[new_digest] = record
        self._by_owner[record.owner][record.id] = new_digest
        return True

    async def remove(self, digest: str) -> SessionRecord | None:
        """End a session, and return what it was; `None` if there is none."""
        return self._drop(digest) if digest in self._records else None

    async def list(
        self, owner: Owner, *, now: datetime, idle_timeout: timedelta
    ) -> Sequence[SessionRecord]:
        """Return the sessions of somebody that have not ended, the newest first."""
        records = [self._records[digest] for digest in self._by_owner.get(owner, {}).values()]
        alive = [each for each in records if not each.has_ended(now, idle_timeout=idle_timeout)]
        return sorted(alive, key=lambda each: each.created_at, reverse=True)

    async def remove_by_id(self, owner: Owner, session_id: str) -> bool:
        """End one session of somebody, and return whether it was there and theirs."""
        digest = self._by_owner.get(owner, {}).get(session_id)
        if digest is None:
            return False
        self._drop(digest)
        return True

    async def remove_all(self, owner: Owner, *, except_: str | None = None) -> int:
        """End all sessions of somebody but the one with the id `except_`; return how many."""
        theirs = self._by_owner.get(owner, {})
        ended = [digest for each, digest in theirs.items() if each != except_]
        for digest in ended:
            self._drop(digest)
        return len(ended)

    def _make_room(self) -> None:
        now = self._clock.now()
        for _ in range(min(_SWEEP, len(self._records))):
            digest, record = next(iter(self._records.items()))
            if len(self._records) < self._max_sessions and now < record.expires_at:
                return
            self._drop(digest)

    def _drop(self, digest: str) -> SessionRecord:
        record = self._records.pop(digest)
        theirs = self._by_owner[record.owner]
        del theirs[record.id]
        if not theirs:
            del self._by_owner[record.owner]
        return record
