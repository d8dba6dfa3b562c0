"""Where sessions are kept."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from fastapi_baseline.auth.sessions.records import Owner, SessionRecord

TOUCH_INTERVAL = timedelta(minutes=1)
"""How often, at most, it is written that a session is used."""


def get_touch_interval(idle_timeout: timedelta) -> timedelta:
    """Return how often it is written that a session is used.

    A session that is in use may end by so much too early, so a short `idle_timeout` needs a shorter
    interval.
    """
    return min(TOUCH_INTERVAL, idle_timeout / 10)


class SessionStore(Protocol):
    """What keeps sessions. Implement it to add a backend.

    A session is found by a digest of what its browser has; `SessionRecord.id` only tells those of
    one owner apart. Each method is atomic for everybody who shares the store: what has ended never
    comes back, whatever happens at the same time. Methods raise `SessionsUnavailableError` if the
    store does not answer.
    """

    async def add(
        self, digest: str, record: SessionRecord, *, idle_timeout: timedelta, max_per_owner: int
    ) -> int:
        """Keep a session, and return how many older ones of its owner ended to make room.

        Those that are over already need no room.
        """
        ...

    async def find(
        self, digest: str, *, now: datetime, idle_timeout: timedelta
    ) -> SessionRecord | None:
        """Return a session that has not ended, and note that it is used.

        That it is used is written once in `get_touch_interval` at most; `last_seen_at` of what is
        returned is the time before.
        """
        ...

    async def replace(self, digest: str, new_digest: str, record: SessionRecord) -> bool:
        """Keep a session under another digest from now on, and return whether it was there.

        `record` has the same `id` and the same owner. If the session has ended, nothing changes.
        """
        ...

    async def remove(self, digest: str) -> SessionRecord | None:
        """End a session, and return what it was; `None` if there is none."""
        ...

    async def list(
        self, owner: Owner, *, now: datetime, idle_timeout: timedelta
    ) -> Sequence[SessionRecord]:
        """Return the sessions of somebody that have not ended, the newest first."""
        ...

    async def remove_by_id(self, owner: Owner, session_id: str) -> bool:
        """End one session of somebody, and return whether it was there and theirs."""
        ...

    async def remove_all(self, owner: Owner, *, except_: str | None = None) -> int:
        """End all sessions of somebody but the one with the id `except_`; return how many."""
        ...


@runtime_checkable
class TransactionalSessionStore(SessionStore, Protocol):
    """A store whose changes can be part of a transaction of the service."""

    def within(self, transaction: Any) -> SessionStore:
        """Return the same store, whose changes are committed with the transaction."""
        ...
