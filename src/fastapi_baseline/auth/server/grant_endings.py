"""How what users have allowed clients ends."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, or_, select, update

from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEvents
from fastapi_baseline.auth.server.models import (
    OAuthCode,
    OAuthGrant,
    OAuthRefreshToken,
    OAuthUsedAssertion,
    RevocationReason,
)
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database, WriteSession
from fastapi_baseline.settings.auth import AuthorizationServerSettings

KEPT = timedelta(days=1)
"""How long what is over is kept, so that it is noticed if somebody comes with it."""

_UPDATE = update(OAuthGrant).execution_options(synchronize_session=False)


class EndingGrants:
    """Ends grants, and with each all tokens that came of it."""

    def __init__(
        self,
        database: Database,
        *,
        settings: AuthorizationServerSettings,
        clock: Clock,
        events: SecurityEvents,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Keep grants in `database`, for as long as the settings say."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._events = events
        self._token_bytes = token_bytes

    async def revoke(
        self,
        grant_id: str,
        *,
        reason: RevocationReason = "by_user",
        subject: str | None = None,
        client_id: str | None = None,
    ) -> bool:
        """End a grant and all tokens that came of it, and return whether it was there and good.

        With `subject` or `client_id`, it must be theirs.
        """
        meant: list[Any] = [OAuthGrant.id == grant_id]
        if subject is not None:
            meant += [OAuthGrant.subject == subject, OAuthGrant.issuer == SELF]
        if client_id is not None:
            meant.append(OAuthGrant.client_id == client_id)
        return bool(await self._revoke(*meant, reason=reason))

    async def revoke_all(self, issuer: str, subject: str, *, except_: str | None = None) -> int:
        """End all grants of a user, and return how many.

        `except_`, the session that stays, makes no difference: its clients ask for new ones.
        """
        del except_
        meant = (OAuthGrant.subject == subject, OAuthGrant.issuer == issuer)
        return await self._revoke(*meant, reason="trust_ended")

    async def revoke_session(self, session_id: str) -> int:
        """End what was allowed in a session that has ended, and return how many grants that were.

        What was to outlive it (`offline_access`) stays, if its code was exchanged before.
        """
        now = self._clock.now()
        is_waiting = (
            select(OAuthCode.digest)
            .where(OAuthCode.grant_id == OAuthGrant.id, OAuthCode.consumed_at.is_(None))
            .exists()
        )
        async with self._database.transaction() as session:
            theirs = select(OAuthGrant.id, OAuthGrant.scopes, is_waiting).where(
                OAuthGrant.session_id == session_id, _is_alive()
            )
            rows = (await session.execute(theirs.order_by(OAuthGrant.id))).all()
            ending = [row[0] for row in rows if "offline_access" not in row[1] or row[2]]
            ended = await _end(session, ending, reason="session_ended", now=now)
        await self._tell(ended, "session_ended")
        return len(ended)

    async def purge(self) -> int:
        """Delete what is over for a day, and return how many grants; for a job or a command.

        Then nobody is warned any more if it is used again: it is not known at all.
        """
        before = self._clock.now() - KEPT
        unused = select(OAuthCode.grant_id).where(
            OAuthCode.consumed_at.is_(None), OAuthCode.expires_at <= before
        )
        over = or_(
            OAuthGrant.expires_at <= before,
            OAuthGrant.revoked_at <= before,
            OAuthGrant.id.in_(unused),
        )
        # A grant that is in use gets a new token every few minutes.
        expired: tuple[Any, ...] = (
            delete(OAuthRefreshToken).where(OAuthRefreshToken.expires_at <= before),
            delete(OAuthUsedAssertion).where(OAuthUsedAssertion.expires_at <= before),
        )
        removing = delete(OAuthGrant).where(over).execution_options(synchronize_session=False)
        async with self._database.transaction() as session:
            ended = (await session.scalars(removing.returning(OAuthGrant.id))).all()
            for statement in expired:
                await session.execute(statement.execution_options(synchronize_session=False))
        return len(ended)

    async def _revoke(self, *meant: Any, reason: RevocationReason) -> int:
        # One after the other, in the same order for everybody: who ends several at once does not
        # wait in a circle with somebody else who does.
        theirs = select(OAuthGrant.id).where(and_(*meant), _is_alive()).order_by(OAuthGrant.id)
        async with self._database.transaction() as session:
            ending = (await session.scalars(theirs.with_for_update())).all()
            ended = await _end(session, ending, reason=reason, now=self._clock.now())
        await self._tell(ended, reason)
        return len(ended)

    async def _tell(self, ended: Sequence[Any], reason: RevocationReason) -> None:
        for grant_id, subject in ended:
            await self._events.record(
                SecurityEvent(
                    name="grant_revoked",
                    outcome="success",
                    subject=subject,
                    details={"grant": grant_id, "reason": reason},
                )
            )


async def _end(
    session: WriteSession, ending: Sequence[str], *, reason: RevocationReason, now: datetime
) -> Sequence[Any]:
    if not ending:
        return ()
    changing = _UPDATE.where(OAuthGrant.id.in_(ending), _is_alive())
    changing = changing.values(revoked_at=now, revoked_because=reason)
    return (await session.execute(changing.returning(OAuthGrant.id, OAuthGrant.subject))).all()


def _is_alive() -> Any:
    return OAuthGrant.revoked_at.is_(None)
