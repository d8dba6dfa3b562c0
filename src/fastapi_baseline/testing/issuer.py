"""An issuer of access tokens for tests: right tokens, and any wrong ones."""

import secrets
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.testing.issuer_endpoints import (
    INTROSPECTION_PATH,
    JWKS_PATH,
    OAUTH_PATH,
    OPENID_PATH,
    IssuerEndpoints,
    make_server,
    read_form,
)
from fastapi_baseline.testing.signing_keys import SigningKey, make_signing_key, sign_token

with optional("httpx2", extra="testing"):
    import httpx2


class _Omission(Enum):
    OMIT = "OMIT"

    def __repr__(self) -> str:
        # The same in each process: parametrized tests are named by it.
        return "OMIT"


OMIT: Any = _Omission.OMIT
"""In `claims` or `header` of `TokenIssuer.mint`: the token does not have it at all."""

_LIFETIME = timedelta(minutes=5)
_CACHE_CONTROL = "public, max-age=600"


class TokenIssuer:
    """An issuer that lives in the test, with keys of its own.

    It is asked through `client()`, which needs no network, or over a socket with `serving()`.
    `endpoints.requests` says what it was asked for, and `endpoints.answers` what it answers.
    Whatever the time is, `clock` says so.
    """

    def __init__(
        self,
        url: str = "https://issuer.test",
        *,
        audience: str = "https://api.test",
        algorithm: str = "ES256",
        clock: Clock | None = None,
        key: SigningKey | None = None,
    ) -> None:
        """Make an issuer with one key for `algorithm`, or with `key`."""
        self.url = url
        self.audience = audience
        self.clock = clock or SystemClock()
        self.signing_key = key or make_signing_key(algorithm)
        """What new tokens are signed with."""
        self.keys: list[SigningKey] = [self.signing_key]
        """What is published; also what an issuer should not publish."""
        self.endpoints = IssuerEndpoints(
            {
                OPENID_PATH: lambda _: _json(self.metadata()),
                OAUTH_PATH: lambda _: _json(self.metadata()),
                JWKS_PATH: lambda _: _json(self.jwks()),
                INTROSPECTION_PATH: self._introspect,
            }
        )
        self._opaque: dict[str, dict[str, Any]] = {}

    def mint(
        self,
        subject: str = "user-1",
        *,
        scopes: Collection[str] = (),
        roles: Collection[str] = (),
        lifetime: timedelta = _LIFETIME,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """Return an access token (RFC 9068), changed as told.

        `claims` and `header` replace what would be there, or take it away with `OMIT`; a negative
        `lifetime` makes a token that has expired. `key` signs it under its own `kid`: one that is
        not published, or `make_symmetric_key(...)`. For a token of exactly these bytes, see
        `sign_token`.
        """
        signer = key or self.signing_key
        names = {"alg": signer.algorithm, "typ": "at+jwt", "kid": signer.kid or OMIT}
        right = _claims_of(self, subject, scopes=scopes, roles=roles, lifetime=lifetime)
        return sign_token(_merged(names, header), _merged(right, claims), signer)

    def mint_unsigned(self, subject: str = "user-1", *, algorithm: str = "none") -> str:
        """Return a token that nobody has signed, and that says so (RFC 8725, section 2.1)."""
        right = _claims_of(self, subject)
        return sign_token({"alg": algorithm, "typ": "at+jwt"}, _merged(right, None), None)

    def mint_opaque(
        self,
        subject: str = "user-1",
        *,
        scopes: Collection[str] = (),
        roles: Collection[str] = (),
        lifetime: timedelta = _LIFETIME,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a token that says nothing; the issuer knows what it stands for (RFC 7662)."""
        token = secrets.token_urlsafe(32)
        right = _claims_of(self, subject, scopes=scopes, roles=roles, lifetime=lifetime)
        self._opaque[token] = _merged({"active": True, **right}, claims)
        return token

    def revoke(self, token: str) -> None:
        """Let an opaque token be worth nothing."""
        self._opaque.pop(token, None)

    def rotate(self, *, algorithm: str | None = None, keeps_old: bool = True) -> SigningKey:
        """Sign with a new key from now on, and return it; `keeps_old` publishes the old ones, too."""
        self.signing_key = make_signing_key(algorithm or self.signing_key.algorithm)
        self.keys = [*(self.keys if keeps_old else []), self.signing_key]
        return self.signing_key

    def jwks(self) -> dict[str, Any]:
        """Return the keys as they are published (RFC 7517)."""
        return {"keys": [dict(key.jwk) for key in self.keys]}

    def metadata(self) -> dict[str, Any]:
        """Return what it says of itself (RFC 8414; OpenID Connect Discovery)."""
        return {
            "issuer": self.url,
            "jwks_uri": self.url + JWKS_PATH,
            "introspection_endpoint": self.url + INTROSPECTION_PATH,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.signing_key.algorithm],
        }

    def client(self) -> httpx2.AsyncClient:
        """Return a client whose every request this issuer answers, without a network."""
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self.endpoints.handle))

    @classmethod
    @contextmanager
    def serving(
        cls,
        *,
        audience: str = "https://api.test",
        algorithm: str = "ES256",
        clock: Clock | None = None,
    ) -> Generator["TokenIssuer"]:
        """Give an issuer at a URL of loopback, which any process of this machine can ask."""
        server = make_server(lambda: issuer.endpoints)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        issuer = cls(url, audience=audience, algorithm=algorithm, clock=clock)
        with issuer.endpoints.listening(server):
            yield issuer

    def _introspect(self, request: httpx2.Request) -> httpx2.Response:
        if not request.headers.get("Authorization", "").startswith("Basic "):
            return httpx2.Response(401, headers={"WWW-Authenticate": "Basic"})
        found = self._opaque.get(read_form(request).get("token", ""), {"active": False})
        is_over = found.get("exp", 0) <= self.clock.now().timestamp()
        return _json({"active": False} if is_over else found)


def _claims_of(
    issuer: TokenIssuer,
    subject: str,
    *,
    scopes: Collection[str] = (),
    roles: Collection[str] = (),
    lifetime: timedelta = _LIFETIME,
) -> dict[str, Any]:
    now = int(issuer.clock.now().timestamp())
    ends_at = now + int(lifetime.total_seconds())
    return {
        "iss": issuer.url,
        "sub": subject,
        "aud": issuer.audience,
        "client_id": "test-client",
        "iat": min(now, ends_at),
        "exp": ends_at,
        "jti": secrets.token_hex(16),
        "scope": " ".join(scopes) if scopes else OMIT,
        "roles": list(roles) if roles else OMIT,
    }


def _merged(right: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    merged = {**right, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not OMIT}


def _json(document: Mapping[str, Any]) -> httpx2.Response:
    return httpx2.Response(200, json=document, headers={"Cache-Control": _CACHE_CONTROL})
