"""How new tokens are got from a provider, and kept before anybody has them.

A provider that rotates refresh tokens takes each of them once, and one that comes twice for a theft
(RFC 9700, section 4.14.2). So whoever refreshes says so first where the tokens are kept, and others
wait. Whoever dies while it refreshes may have used up a refresh token without anybody having the
next one: the next attempt is refused then, and the session ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from fastapi_baseline.auth.login.errors import (
    InvalidIdTokenError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from fastapi_baseline.auth.login.id_tokens import IdToken
from fastapi_baseline.auth.login.provider_sessions import (
    HeldSession,
    ProviderSession,
    ProviderSessions,
)
from fastapi_baseline.auth.login.providers import Provider
from fastapi_baseline.auth.login.tokens import ProviderTokens
from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEvents
from fastapi_baseline.auth.sessions import Sessions, SessionsUnavailableError
from fastapi_baseline.auth.sessions.records import Owner
from fastapi_baseline.clock import Clock

logger = logging.getLogger("fastapi_baseline.auth.login")

PATIENCE = timedelta(seconds=10)
"""How long a request waits for new tokens."""
FAILURE_PAUSE = timedelta(seconds=5)
"""How long a provider that did not answer is not asked again for a session."""

# How long whoever refreshes may take: metadata, tokens and keys, each as long as a provider may.
_CLAIM = timedelta(seconds=30)
_POLL_S = 0.05
_SAVING_PAUSES_S = (0.1, 0.5, 1.0)
_MAX_ROUNDS = 10


class IdTokens(Protocol):
    """What verifies ID tokens of a provider."""

    async def verify(
        self, token: str | None, *, nonce: str | None, access_token: str | None = None
    ) -> IdToken:
        """Return who an ID token is of; `nonce` is not looked at if it is `None`."""
        ...


class RefreshingClient(Protocol):
    """What gets new tokens from a provider."""

    @property
    def provider(self) -> Provider:
        """Return the provider."""
        ...

    @property
    def id_tokens(self) -> IdTokens:
        """Return what verifies its ID tokens."""
        ...

    async def refresh(self, refresh_token: str) -> ProviderTokens:
        """Return new tokens for a refresh token."""
        ...


class Unavailable(NamedTuple):
    """There are no new tokens now, and may be later."""

    retry_after: timedelta


Outcome = ProviderSession | Unavailable | None
"""What there is after an attempt: a session, or `None` if it has ended."""


class LostSessions:
    """Ends sessions whose tokens nobody has any more, or nobody should have."""

    def __init__(
        self,
        provider_sessions: ProviderSessions,
        *,
        sessions: Sessions,
        events: SecurityEvents | None = None,
    ) -> None:
        """End them in `sessions`, and tell `events`."""
        self._held = provider_sessions
        self._sessions = sessions
        self._events = events

    async def end(self, session_id: str, owner: Owner, *, reason: str) -> None:
        """End a session, if it has not ended, and forget what there is for it."""
        await self._held.remove(session_id)
        ended = await self._sessions.revoke(session_id, issuer=owner.issuer, subject=owner.subject)
        # Whoever has signed out in the meantime has lost nothing.
        if ended and self._events is not None:
            details = {"session": session_id, "reason": reason}
            await self._events.record(
                SecurityEvent(
                    name="provider_tokens_lost",
                    outcome="failure",
                    subject=owner.subject,
                    details=details,
                )
            )


class Renewals:
    """Gets new tokens for sessions: each refresh token is used by one process, and once."""

    def __init__(
        self,
        provider_sessions: ProviderSessions,
        *,
        clients: Mapping[str, RefreshingClient],
        lost: LostSessions,
        refresh_before: timedelta,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Ask `clients`, by the names of providers; what gets no new tokens is `lost`."""
        self._held = provider_sessions
        self._clients = clients
        self._lost = lost
        self._refresh_before = refresh_before
        self._clock = clock
        self._sleep = sleep

    async def attempt(self, old: ProviderSession) -> Outcome:
        """Return what there is after somebody has refreshed it, here or elsewhere."""
        for _ in range(int(PATIENCE.total_seconds() / _POLL_S)):
            held = await self._held.find(old.session_id)
            if held is None:
                await self._lost.end(old.session_id, old.owner, reason="missing")
                return None
            session, now = held.session, self._clock.now()
            if not session.is_due_at(now, early=self._refresh_before):
                return session
            if session.failed_until is not None and now < session.failed_until:
                return _usable(session, now, retry_after=session.failed_until - now)
            if session.refreshing_until is None or now >= session.refreshing_until:
                claimed = await self._held.replace(held, refreshing_until=now + _CLAIM)
                if claimed is not None:
                    return await self._redeem(claimed)
            elif session.is_good_at(now):
                return session
            await self._sleep(_POLL_S)
        return Unavailable(FAILURE_PAUSE)

    async def _redeem(self, claimed: HeldSession) -> Outcome:
        session = claimed.session
        client = self._clients.get(session.provider)
        if client is None or client.provider.issuer != session.issuer:
            return await self._lose(claimed, reason="provider")
        try:
            tokens = await client.refresh(session.refresh_token or "")
        except ProviderRefusedError as error:
            if error.error == "invalid_grant":
                return await self._lose(claimed, reason="refused")
            # Whatever is wrong, it is not that somebody's access was taken away.
            logger.warning("%s refuses to refresh tokens: %s", session.provider, error.error)
            return await self._fail(claimed)
        except ProviderUnavailableError:
            return await self._fail(claimed)
        return await self._accept(claimed, client, tokens)

    async def _accept(
        self, claimed: HeldSession, client: RefreshingClient, tokens: ProviderTokens
    ) -> Outcome:
        session = claimed.session
        newest = tokens.refresh_token or session.refresh_token
        try:
            is_same = await _is_of_same_user(client, session, tokens)
        except ProviderUnavailableError:
            # The old refresh token is used up by now.
            return await self._fail(claimed, refresh_token=newest)
        if not is_same:
            return await self._lose(claimed, reason="id_token")
        return await _save(
            self._held,
            claimed,
            sleep=self._sleep,
            access_token=tokens.access_token,
            access_token_came_at=self._clock.now(),
            access_token_expires_at=tokens.expires_at,
            refresh_token=newest,
            id_token=tokens.id_token or session.id_token,
            refreshing_until=None,
            failed_until=None,
        )

    async def _fail(self, claimed: HeldSession, **changed: Any) -> Outcome:
        until = self._clock.now() + FAILURE_PAUSE
        kept = await _save(
            self._held,
            claimed,
            sleep=self._sleep,
            refreshing_until=None,
            failed_until=until,
            **changed,
        )
        if kept is None:
            return None
        return _usable(kept, self._clock.now(), retry_after=FAILURE_PAUSE)

    async def _lose(self, claimed: HeldSession, *, reason: str) -> Outcome:
        session = claimed.session
        if reason == "refused" and not await self._held.remove_if_unchanged(claimed):
            # Somebody else has new tokens, or is about to have.
            return await self.attempt(session)
        await self._lost.end(session.session_id, session.owner, reason=reason)
        return None


async def _save(
    sessions: ProviderSessions,
    claimed: HeldSession,
    *,
    sleep: Callable[[float], Awaitable[None]],
    **changed: Any,
) -> ProviderSession | None:
    """Keep what came, and return what there is then; `None` if the session has ended since."""
    pauses = iter(_SAVING_PAUSES_S)
    held = claimed
    for _ in range(_MAX_ROUNDS):
        try:
            done = await sessions.replace(held, **changed)
            current = done or await sessions.find(held.session.session_id)
        except SessionsUnavailableError:
            # Nobody can ask for these tokens a second time.
            pause_s = next(pauses, None)
            if pause_s is None:
                raise
            await sleep(pause_s)
            continue
        if done is not None:
            return done.session
        if current is None:
            return None
        if current.session.refresh_token != claimed.session.refresh_token:
            # Somebody else, who thought that this attempt was dead, was quicker.
            return current.session
        held = current
    return None


def _usable(
    session: ProviderSession, now: datetime, *, retry_after: timedelta
) -> ProviderSession | Unavailable:
    return session if session.is_good_at(now) else Unavailable(retry_after)


async def _is_of_same_user(
    client: RefreshingClient, session: ProviderSession, tokens: ProviderTokens
) -> bool:
    """Return whether an ID token that came along is of whoever has signed in.

    OpenID Connect Core, section 12.2; there need not be one.
    """
    if tokens.id_token is None:
        return True
    try:
        found = await client.id_tokens.verify(
            tokens.id_token, nonce=None, access_token=tokens.access_token
        )
    except InvalidIdTokenError as error:
        logger.warning("An ID token that came with new tokens is not good: %s", error)
        return False
    return Owner(found.issuer, found.subject) == session.owner
