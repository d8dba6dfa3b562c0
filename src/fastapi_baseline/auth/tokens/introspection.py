"""What an issuer says of an opaque token (RFC 7662), kept for a little while.

An answer is kept under the digest of the token, never longer than the token is good; for as long a
revocation may go unnoticed. That a token is not good is kept for less, and apart, so that made-up
tokens push no good one out. If the issuer does not answer, nobody gets in.
"""

import asyncio
import logging
from base64 import b64encode
from contextvars import Context
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import quote_plus, urlencode

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens.claims import check_claims, read_principal
from fastapi_baseline.auth.tokens.errors import InvalidTokenError, IssuerUnavailableError
from fastapi_baseline.auth.tokens.fetching import Fetcher, FetchError
from fastapi_baseline.auth.tokens.issuers import Introspection, TrustedIssuer
from fastapi_baseline.auth.tokens.pauses import Pauses
from fastapi_baseline.auth.tokens.presets import make_introspected
from fastapi_baseline.auth.tokens.verdicts import Verdict, Verdicts
from fastapi_baseline.clock import Clock
from fastapi_baseline.settings.auth import TokenSettings

logger = logging.getLogger("fastapi_baseline.auth.tokens")

_LONGEST_PAUSE_S = 15.0
# One request that fails says little of an issuer; all others would be refused for it.
_TOLERATED_FAILURES = 2


class Introspector:
    """Asks one issuer about tokens; about each at most once at a time."""

    def __init__(
        self,
        issuer: TrustedIssuer,
        introspection: Introspection,
        fetcher: Fetcher,
        *,
        settings: TokenSettings,
        clock: Clock,
    ) -> None:
        """Ask as the client that `introspection` names."""
        self._issuer = replace(issuer, profile=make_introspected(issuer.profile))
        self._url = introspection.url
        self._authorization = _make_authorization(introspection)
        self._fetcher = fetcher
        self._clock = clock
        self._skew_s = settings.clock_skew.total_seconds()
        self._verdicts = Verdicts(settings.introspection_max_age, clock=clock)
        self._pauses = Pauses(clock, longest_s=_LONGEST_PAUSE_S, tolerated=_TOLERATED_FAILURES)
        self._flights: dict[bytes, asyncio.Task[Verdict | None]] = {}

    async def find_principal(self, token: bytes) -> Principal | None:
        """Return whom a token is for; `None` if the issuer does not know it, or not any more.

        Raises:
            InvalidTokenError: If it knows it, and it is not for this service.
            IssuerUnavailableError: If the issuer does not answer.
        """
        digest = sha256(token).digest()
        verdict = self._verdicts.find(digest) or await self._fly(digest, token)
        if isinstance(verdict, Principal):
            return verdict
        if verdict == "inactive":
            return None
        if verdict is None:
            pause_s = max(1.0, self._pauses.until - self._clock.monotonic())
            raise IssuerUnavailableError(retry_after=timedelta(seconds=pause_s))
        raise InvalidTokenError(verdict)

    async def close(self) -> None:
        """Give up the questions that are under way."""
        loop = asyncio.get_running_loop()
        flights = {one for one in self._flights.values() if one.get_loop() is loop}
        self._flights.clear()
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)

    async def _fly(self, digest: bytes, token: bytes) -> Verdict | None:
        flight = self._flights.get(digest)
        loop = asyncio.get_running_loop()
        if flight is None or flight.get_loop() is not loop:
            if self._clock.monotonic() < self._pauses.until:
                return None
            # Held here, and cancelled by `close`; who waits may go away, and the others stay.
            flight = loop.create_task(self._ask(digest, token), context=Context())
            self._flights[digest] = flight
        await asyncio.wait({flight})
        return None if flight.cancelled() else flight.result()

    async def _ask(self, digest: bytes, token: bytes) -> Verdict | None:
        try:
            # What it is, the issuer may find by itself (RFC 7662, section 2.1); this is where to
            # begin.
            form = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
            headers = {"Authorization": self._authorization}
            answer = await self._fetcher.post(self._url, form=form, headers=headers)
            verdict, expires_at = self._judge(answer.document)
        except FetchError as error:
            self._pauses.fail()
            logger.warning("%s could not be asked about a token: %s", self._issuer.issuer, error)
            return None
        except Exception:
            self._pauses.fail()
            logger.exception("%s could not be asked about a token", self._issuer.issuer)
            return None
        finally:
            self._flights.pop(digest, None)
        self._pauses.succeed()
        self._verdicts.keep(digest, verdict, expires_at=expires_at)
        return verdict

    def _judge(self, document: object) -> tuple[Verdict, float | None]:
        """Return what an answer means, and until when, if it says so."""
        if not isinstance(document, dict):
            raise FetchError("it answered with something that is no JSON object")
        claims = cast("dict[str, Any]", document)
        if claims.get("active") is not True:
            return "inactive", None
        if claims.get("iss", self._issuer.issuer) != self._issuer.issuer:
            return "issuer", None
        now = self._clock.now().timestamp()
        try:
            check_claims(claims, self._issuer, now=now, skew=self._skew_s, needs_expiry=False)
            # Kept, so that no request may change it for the next.
            principal = read_principal(MappingProxyType(claims), self._issuer)
        except InvalidTokenError as error:
            return error.reason, None
        return principal, claims.get("exp")


def _make_authorization(introspection: Introspection) -> str:
    # As form fields first (RFC 6749, section 2.3.1), since either may have a colon.
    name = quote_plus(introspection.client_id)
    password = quote_plus(introspection.client_secret.get_secret_value())
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode('ascii')}"
