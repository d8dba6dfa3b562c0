"""The sessions of somebody, whichever browser they are in."""

from collections.abc import Collection, Sequence

from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEventName, SecurityEvents
from fastapi_baseline.auth.sessions.records import Owner, SessionRecord
from fastapi_baseline.auth.sessions.store import SessionStore
from fastapi_baseline.clock import Clock
from fastapi_baseline.settings.auth import SessionSettings


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
        return ended

    async def revoke_all(self, issuer: str, subject: str, *, except_: str | None = None) -> int:
        """End all sessions of somebody, but the one with the id `except_`; return how many."""
        count = await self.store.remove_all(Owner(issuer, subject), except_=except_)
        if count:
            await self._record("session_revoked", subject, sessions=str(count))
        return count

    async def update_roles(self, issuer: str, subject: str, roles: Collection[str]) -> int:
        """End the sessions of somebody whose roles are not these; return how many.

        Who is in them signs in again. So nobody who has got hold of a session gets more by it, and
        nobody keeps what was taken away.
        """
        wanted, owner, ended = frozenset(roles), Owner(issuer, subject), 0
        for record in await self.list(issuer, subject):
            if wanted != record.roles:
                ended += await self.store.remove_by_id(owner, record.id)
        if ended:
            await self._record("session_revoked", subject, sessions=str(ended))
        return ended

    async def report_csrf(self) -> None:
        """Tell that a request was refused which another site may have made."""
        if self.events is not None:
            await self.events.record(SecurityEvent(name="csrf_refused", outcome="failure"))

    async def _record(self, name: SecurityEventName, subject: str, **details: str) -> None:
        if self.events is not None:
            await self.events.record(
                SecurityEvent(name=name, outcome="success", subject=subject, details=details)
            )
