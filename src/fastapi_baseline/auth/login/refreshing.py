"""Access tokens that last: refreshed before they end, once for all who wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from fastapi_baseline.auth.login.errors import ProviderUnavailableError
from fastapi_baseline.auth.login.provider_sessions import ProviderSession, ProviderSessions
from fastapi_baseline.auth.login.renewals import (
    FAILURE_PAUSE,
    PATIENCE,
    LostSessions,
    Outcome,
    RefreshingClient,
    Renewals,
    Unavailable,
)
from fastapi_baseline.auth.login.session_errors import (
    ProviderTokensEndedError,
    ProviderTokensMissingError,
)
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import SecurityEvents
from fastapi_baseline.auth.sessions import SessionEndedError, Sessions, SessionsUnavailableError
from fastapi_baseline.auth.sessions.records import Owner
from fastapi_baseline.auth.tokens.flights import Flight
from fastapi_baseline.clock import Clock, SystemClock

logger = logging.getLogger("fastapi_baseline.auth.login")


class _Run:
    """One attempt to refresh, and what came of it: a session, `None` if it has ended."""

    def __init__(self, work: Callable[["_Run"], Awaitable[None]]) -> None:
        async def run() -> None:
            await work(self)

        self.flight = Flight(run)
        self.outcome: Outcome = Unavailable(FAILURE_PAUSE)


class TokenRefresher:
    """Gives out the access tokens of those who have signed in, good ones only."""

    def __init__(
        self,
        provider_sessions: ProviderSessions,
        *,
        clients: Mapping[str, RefreshingClient],
        sessions: Sessions,
        refresh_before: timedelta,
        clock: Clock | None = None,
        events: SecurityEvents | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Ask `clients`, by the names of providers; what gets no new tokens ends in `sessions`."""
        self._held = provider_sessions
        self._clients = clients
        self._refresh_before = refresh_before
        self._clock = clock or SystemClock()
        self._lost = LostSessions(provider_sessions, sessions=sessions, events=events)
        self._renewals = Renewals(
            provider_sessions,
            clients=clients,
            lost=self._lost,
            refresh_before=refresh_before,
            clock=self._clock,
            sleep=sleep,
        )
        self._runs: dict[str, _Run] = {}

    async def get(self, principal: Principal) -> str:
        """Return the access token of somebody who is asking by a session.

        It lasts, unless its provider does not answer: then it is the old one while that lasts.

        Raises:
            ProviderTokensMissingError: If they have not signed in with a provider.
            ProviderTokensEndedError: If the token has ended, and there is no refresh token.
            SessionEndedError: If the provider gives no more tokens, or those of somebody else.
            ProviderUnavailableError: If the token has ended, and the provider does not answer.
            SessionsUnavailableError: If what keeps the tokens does not answer.
        """
        session_id, owner = principal.session_id, Owner(principal.issuer, principal.subject)
        if session_id is None:
            raise ProviderTokensMissingError
        held = await self._held.find(session_id)
        if held is None and owner.issuer not in self._issuers():
            raise ProviderTokensMissingError
        if held is None or held.session.owner != owner:
            await self._lost.end(session_id, owner, reason="missing")
            raise SessionEndedError
        session, now = held.session, self._clock.now()
        if not session.is_due_at(now, early=self._refresh_before):
            return session.access_token
        if session.refresh_token is None:
            if session.is_good_at(now):
                return session.access_token
            raise ProviderTokensEndedError
        return (await self._renew(session)).access_token

    async def close(self) -> None:
        """Wait for attempts that are under way: a provider may have given new tokens already."""
        flights = [run.flight for run in self._runs.values()]
        if not flights:
            return
        under_way = {flight.start() for flight in flights}
        await asyncio.wait(under_way, timeout=PATIENCE.total_seconds())
        for flight in flights:
            await flight.close()

    def _issuers(self) -> set[str]:
        return {client.provider.issuer for client in self._clients.values()}

    async def _renew(self, old: ProviderSession) -> ProviderSession:
        run = self._runs.get(old.session_id)
        if run is None:
            run = self._runs[old.session_id] = _Run(lambda run: self._run(run, old))
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await run.flight.wait()
            outcome = run.outcome
        except TimeoutError:
            outcome = old if old.is_good_at(self._clock.now()) else Unavailable(FAILURE_PAUSE)
        if outcome is None:
            raise SessionEndedError
        if isinstance(outcome, Unavailable):
            raise ProviderUnavailableError(retry_after=outcome.retry_after)
        return outcome

    async def _run(self, run: _Run, old: ProviderSession) -> None:
        try:
            run.outcome = await self._renewals.attempt(old)
        except SessionsUnavailableError as error:
            logger.warning("Tokens could not be refreshed: %r", error.__cause__ or error)
        except Exception:
            logger.exception("Tokens could not be refreshed")
        finally:
            del self._runs[old.session_id]
