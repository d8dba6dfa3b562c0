"""Access tokens in the `Authorization` header (RFC 6750), and the seam for those that are bound."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from opentelemetry.metrics import MeterProvider
from starlette.requests import HTTPConnection

from fastapi_baseline._extras import require
from fastapi_baseline.auth.challenges import make_challenge, with_parameters
from fastapi_baseline.auth.errors import AmbiguousCredentialsError
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEvents
from fastapi_baseline.auth.tokens.access_tokens import AccessTokens
from fastapi_baseline.auth.tokens.discovery import metadata_urls
from fastapi_baseline.auth.tokens.errors import InvalidTokenError
from fastapi_baseline.auth.tokens.fetching import MakeClient
from fastapi_baseline.auth.tokens.issuers import TrustedIssuer, make_trusted_issuer
from fastapi_baseline.auth.tokens.key_ring import KeySource
from fastapi_baseline.auth.tokens.metadata import find_metadata_url
from fastapi_baseline.clock import Clock
from fastapi_baseline.settings.auth import AuthSettings, TokenSettings

# They are loaded with the first token, and have to be there before.
require("httpx2", "joserfc", extra="auth")

_BEARER = "Bearer"
_BEARER_KEY = b"bearer"
_AUTHORIZATION = b"authorization"


class ProofOfPossession(Protocol):
    """How a token is sent that is bound to a key of the client, for example with DPoP (RFC 9449)."""

    @property
    def scheme(self) -> str:
        """Return the scheme of the `Authorization` header that such tokens come with."""
        ...

    async def check(
        self, connection: HTTPConnection, *, token: bytes, claims: Mapping[str, Any]
    ) -> None:
        """Let a verified token pass that the request proves to be its own (`cnf`, RFC 7800).

        Raises:
            InvalidTokenError: If the proof is missing or wrong.
        """
        ...


class BearerTokens:
    """The `Authenticator` of access tokens."""

    scheme_name = "bearer"

    def __init__(
        self,
        *,
        issuers: Sequence[TrustedIssuer],
        settings: TokenSettings,
        clock: Clock,
        make_client: MakeClient | None = None,
        key_sources: Mapping[str, KeySource] | None = None,
        proofs: Sequence[ProofOfPossession] = (),
        events: SecurityEvents | None = None,
        meter_provider: MeterProvider | None = None,
        resource_metadata_url: str | None = None,
        more_schemes: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        """Accept the tokens of `issuers`, with a proof those that are bound to a key.

        `make_client` makes the HTTP client by which they are asked, when it is first needed.
        `key_sources` has keys by issuer that are not fetched. `events` are told what was refused,
        and callers where the metadata of the service are (RFC 9728, section 5.1). `more_schemes`
        are security scheme objects of OpenAPI, by name, that get such a token in another way.

        Raises:
            ConfigurationError: If there is no issuer, or one is there twice.
        """
        self.issuers = tuple(issuers)
        given = key_sources or {}
        self._discovered = tuple(
            one.issuer for one in issuers if one.jwks_url is None and one.issuer not in given
        )
        self._tokens = AccessTokens(
            issuers,
            settings=settings,
            clock=clock,
            make_client=make_client,
            key_sources=key_sources,
            meter_provider=meter_provider,
        )
        self._proofs = {proof.scheme.lower().encode(): proof for proof in proofs}
        self._schemes = frozenset({_BEARER_KEY, *self._proofs})
        self._events = events
        self._metadata_url = resource_metadata_url
        self._more_schemes = dict(more_schemes or {})
        # Without an error, since nothing is wrong yet (RFC 6750, section 3.1); with a parameter, as
        # section 3 demands one.
        self._challenge = make_challenge(
            _BEARER, realm="api", resource_metadata=resource_metadata_url
        )

    @property
    def scheme(self) -> dict[str, Any]:
        """Return the security scheme object of OpenAPI."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

    @property
    def security_schemes(self) -> dict[str, dict[str, Any]]:
        """Return this scheme, and that by which the documentation gets a token of an issuer."""
        schemes = {self.scheme_name: self.scheme}
        for position, issuer in enumerate(self._discovered, start=1):
            name = "openid" if len(self._discovered) == 1 else f"openid-{position}"
            openid, _ = metadata_urls(issuer)
            schemes[name] = {"type": "openIdConnect", "openIdConnectUrl": openid}
        return {**schemes, **self._more_schemes}

    @property
    def challenge(self) -> str | None:
        """Return what `WWW-Authenticate` says to those who have no token."""
        return self._challenge

    def is_offered(self, connection: HTTPConnection) -> bool:
        """Return whether a request has a token, good or bad."""
        return any(
            name == _AUTHORIZATION and value.partition(b" ")[0].lower() in self._schemes
            for name, value in connection.scope["headers"]
        )

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        """Return who it is.

        Raises:
            AmbiguousCredentialsError: If there are two `Authorization` headers.
            InvalidTokenError: If the token is not good; its `challenge` says so.
            IssuerUnavailableError: If its issuer does not answer.
        """
        headers = [value for name, value in connection.scope["headers"] if name == _AUTHORIZATION]
        if len(headers) != 1:
            raise AmbiguousCredentialsError
        scheme, _, token = headers[0].partition(b" ")
        # One space or more (RFC 9110, section 11.4); servers strip those at the end.
        token = token.strip(b" ")
        proof = self._proofs.get(scheme.lower())
        try:
            principal = await self._find_principal(token, is_proven=proof is not None)
            if proof is not None:
                await proof.check(connection, token=token, claims=principal.claims)
        except InvalidTokenError as error:
            await self._refuse(error)
            raise
        return principal

    async def _find_principal(self, token: bytes, *, is_proven: bool) -> Principal:
        principal = await self._tokens.find_principal(token)
        if ("cnf" in principal.claims) is not is_proven:
            # Sent as if nothing had to be proven (RFC 9449, section 7.2), or the other way round.
            raise InvalidTokenError("binding")
        return principal

    async def _refuse(self, error: InvalidTokenError) -> None:
        error.challenge = with_parameters(
            error.challenge or _BEARER, resource_metadata=self._metadata_url
        )
        if self._events is not None:
            told = {"reason": error.reason}
            event = SecurityEvent(name="token_refused", outcome="failure", details=told)
            await self._events.record(event)

    async def verify(self, token: str) -> Principal:
        """Return whom a token is for that did not come in a header; one that is bound is refused.

        Raises:
            InvalidTokenError: If the token is not good.
            IssuerUnavailableError: If its issuer does not answer.
        """
        try:
            return await self._find_principal(token.encode(errors="replace"), is_proven=False)
        except InvalidTokenError as error:
            await self._refuse(error)
            raise

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncGenerator[None]:
        """Close, at the end, the connections to issuers."""
        try:
            yield
        finally:
            await self._tokens.close()


def make_bearer_tokens(
    settings: AuthSettings,
    *,
    clock: Clock,
    meter_provider: MeterProvider | None = None,
    events: SecurityEvents | None = None,
    make_client: MakeClient | None = None,
    key_sources: Mapping[str, KeySource] | None = None,
    proofs: Sequence[ProofOfPossession] = (),
    more_issuers: Sequence[TrustedIssuer] = (),
    more_schemes: Mapping[str, dict[str, Any]] | None = None,
) -> BearerTokens:
    """Return what accepts the tokens of all issuers of the settings, and of `more_issuers`.

    Of one that the settings name, too, what is among `more_issuers` counts.

    Raises:
        ConfigurationError: If no token could be safe under them.
    """
    resource = settings.resource
    given = {one.issuer for one in more_issuers}
    named = [one for one in settings.all_issuers if one.issuer not in given]
    return BearerTokens(
        issuers=[*map(make_trusted_issuer, named), *more_issuers],
        settings=settings.tokens,
        clock=clock,
        make_client=make_client,
        key_sources=key_sources,
        proofs=proofs,
        events=events,
        meter_provider=meter_provider,
        resource_metadata_url=None if resource is None else find_metadata_url(resource),
        more_schemes=more_schemes,
    )
