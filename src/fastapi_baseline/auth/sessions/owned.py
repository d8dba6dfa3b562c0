"""The sessions of somebody, whichever browser they are in."""

import copy
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Self

from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEventName, SecurityEvents
from fastapi_baseline.auth.sessions.records import Owner, SessionRecord
from fastapi_baseline.auth.sessions.store import SessionStore, TransactionalSessionStore
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import BaselineError
from fastapi_baseline.settings.auth import SessionSettings

logger = logging.getLogger(__name__)

EndListener = Callable[[str], Awaitable[object]]
"""What is told the id of a session that has ended."""


class OwnedSessions:
    """Lists and ends the sessions of whoever is named."""

    def __init__(
        self,
        store: SessionStore,
        *,
        settings: SessionSettings,
        clock: Clock,
        events: SecurityEvents | None,
    ) -> None:
        """Look into `store`, and tell `events` what has ended."""
        self.store = store
        self.settings = settings
        self.events = events
        self._clock = clock
        self._end_listeners: tuple[EndListener, ...] = ()

    def on_end(self, listener: EndListener) -> None:
        """Call `listener`, and await it, when a session has ended that somebody ends.

        It is not called for one that is over by itself, nor for what ends in a transaction of
        somebody else (`within`). The session has ended even if the listener fails.
        """
        self._end_listeners = (*self._end_listeners, listener)

    def within(self, transaction: object) -> Self:
        """Return the same sessions, changed in a transaction of the database.

        If they are kept elsewhere, what ends does so at once, even if the transaction is rolled
        back. What begins should begin when it is committed.
        """
        if not isinstance(self.store, TransactionalSessionStore):
            return self
        joined = copy.copy(self)
        joined.store = self.store.within(transaction)
        # Whoever is told may write, too, and would wait for this transaction.
        joined._end_listeners = ()  # noqa: SLF001 -- a copy of itself
        return joined

    async def list(self, issuer: str, subject: str) -> Sequence[SessionRecord]:
        """Return the sessions of somebody, the newest first."""
        return await self.store.list(
            Owner(issuer, subject), now=self._clock.now(), idle_timeout=self.settings.idle_timeout
        )

    async def revoke(self, session_id: str, *, issuer: str, subject: str) -> bool:
        """End one session of somebody, and return whether it was there and theirs."""
        ended = await self.store.remove_by_id(Owner(issuer, subject), session_id)
        if ended:
            await self._record("session_revoked", subject, session=session_id)
            await self._tell([session_id])
        return ended

    async def revoke_all(self, issuer: str, subject: str, *, except_: str | None = None) -> int:
        """End all sessions of somebody, but the one with the id `except_`; return how many."""
        # Only who listens needs to know which.
        listed = await self.list(issuer, subject) if self._end_listeners else ()
        count = await self.store.remove_all(Owner(issuer, subject), except_=except_)
        if count:
            await self._record("session_revoked", subject, sessions=str(count))
        await self._tell(record.id for record in listed if record.id != except_)
        return count

    async def update_roles(self, issuer: str, subject: str, roles: Collection[str]) -> int:
        """End the sessions of somebody whose roles are not these; return how many.

        Who is in them signs in again. So nobody who has got hold of a session gets more by it, and
        nobody keeps what was taken away.
        """
        wanted, owner = frozenset(roles), Owner(issuer, subject)
        changed = [one.id for one in await self.list(issuer, subject) if wanted != one.roles]
        ended = [one for one in changed if await self.store.remove_by_id(owner, one)]
        if ended:
            await self._record("session_revoked", subject, sessions=str(len(ended)))
            await self._tell(ended)
        return len(ended)

    async def report_csrf(self) -> None:
        """Tell that a request was refused which another site may have made."""
        if self.events is not None:
            await self.events.record(SecurityEvent(name="csrf_refused", outcome="failure"))

    async def _tell(self, ended: Iterable[str]) -> None:
        for session_id in ended:
            for listener in self._end_listeners:
                try:
                    await listener(session_id)
                except BaselineError:
                    logger.exception("It could not be told that a session has ended.")

    async def _record(self, name: SecurityEventName, subject: str, **details: str) -> None:
        if self.events is not None:
            await self.events.record(
                SecurityEvent(name=name, outcome="success", subject=subject, details=details)
            )
