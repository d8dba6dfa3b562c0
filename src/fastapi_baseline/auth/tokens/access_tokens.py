"""Access tokens of several issuers: verified if they can be read, and asked about if not."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING  # noqa: TID251 -- for what is loaded with the first token

from opentelemetry.metrics import MeterProvider

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens.discovery import KeyLoader
from fastapi_baseline.auth.tokens.errors import InvalidTokenError, IssuerUnavailableError
from fastapi_baseline.auth.tokens.fetching import Fetcher, MakeClient
from fastapi_baseline.auth.tokens.introspection import Introspector
from fastapi_baseline.auth.tokens.issuers import TrustedIssuer
from fastapi_baseline.auth.tokens.jwks import JwksCache
from fastapi_baseline.auth.tokens.key_ring import KeySource
from fastapi_baseline.auth.tokens.measures import TokenCounts, observe_tokens
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings.auth import TokenSettings

if TYPE_CHECKING:
    from fastapi_baseline.auth.tokens.verification import TokenVerifier

# What credentials are made of (RFC 9110, section 11.2).
_TOKEN68 = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")


class AccessTokens:
    """Tells who a token is for, wherever it came from."""

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        *,
        settings: TokenSettings,
        clock: Clock,
        make_client: MakeClient | None = None,
        key_sources: Mapping[str, KeySource] | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Accept the tokens of `issuers`.

        `make_client` makes the HTTP client by which they are asked, when it is first needed.
        `key_sources` has keys by issuer that are not fetched.

        Raises:
            ConfigurationError: If there is no issuer, or one is there twice.
        """
        if not issuers or len({one.issuer for one in issuers}) != len(issuers):
            raise ConfigurationError("Access tokens need issuers, and each of them once.")
        self._fetcher = Fetcher(timeout=settings.timeout, make_client=make_client)
        given = key_sources or {}
        self._caches = {
            one.issuer: JwksCache(
                KeyLoader(one, self._fetcher, clock=clock, timeout=settings.timeout).load,
                issuer=one.issuer,
                settings=settings,
                clock=clock,
            )
            for one in issuers
            if one.issuer not in given
        }
        self._sources = [
            (one, given.get(one.issuer) or self._caches[one.issuer]) for one in issuers
        ]
        self._clock = clock
        self._clock_skew = settings.clock_skew
        self._verifier: TokenVerifier | None = None
        self._introspectors = tuple(
            Introspector(one, one.introspection, self._fetcher, settings=settings, clock=clock)
            for one in issuers
            if one.introspection is not None
        )
        self._counts = TokenCounts()
        fetches = {issuer: cache.counts for issuer, cache in self._caches.items()}
        observe_tokens(self._counts, fetches, meter_provider=meter_provider)

    async def find_principal(self, token: bytes) -> Principal:
        """Return whom a token is for, also one that is bound to a key (`cnf`, RFC 7800).

        Raises:
            InvalidTokenError: If the token is not good; it says why.
            IssuerUnavailableError: If its issuer does not answer.
        """
        try:
            principal = await self._find(token)
        except InvalidTokenError as error:
            self._counts.refused[error.reason] += 1
            raise
        except IssuerUnavailableError:
            self._counts.unavailable += 1
            raise
        self._counts.accepted += 1
        return principal

    async def _find(self, token: bytes) -> Principal:
        verifier = self._verifier or self._make_verifier()
        readable = verifier.read(token)
        if readable is not None:
            return await verifier.verify(readable)
        if not self._introspectors or not _TOKEN68.fullmatch(token):
            raise InvalidTokenError("malformed")
        return await self._ask(token)

    def _make_verifier(self) -> "TokenVerifier":
        from fastapi_baseline.auth.tokens.verification import (  # noqa: PLC0415 -- see preloading
            TokenVerifier,
        )

        self._verifier = TokenVerifier(
            self._sources, clock=self._clock, clock_skew=self._clock_skew
        )
        return self._verifier

    async def _ask(self, token: bytes) -> Principal:
        """Ask the issuers one after the other, since the token does not say whose it is."""
        silent: IssuerUnavailableError | None = None
        for introspector in self._introspectors:
            try:
                principal = await introspector.find_principal(token)
            except IssuerUnavailableError as error:
                silent = error
                continue
            if principal is not None:
                return principal
        if silent is not None:
            raise silent
        raise InvalidTokenError("inactive")

    async def close(self) -> None:
        """Give up what is under way, and close the connections; whoever asks again makes new ones."""
        for source in (*self._caches.values(), *self._introspectors):
            await source.close()
        await self._fetcher.close()
