"""Authlib, as far as it signs people in: URLs, PKCE, and the calls of the token endpoint.

It is not typed, so this is the only module that knows it. What Authlib would read of the session, of
metadata and of ID tokens is not used: `transactions`, `provider_metadata` and `id_tokens` do that.
"""

import base64
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast
from urllib.parse import quote_plus

from fastapi_baseline._extras import Untyped, optional
from fastapi_baseline.auth.login.providers import Provider, algorithm_of
from fastapi_baseline.auth.tokens.fetching import MAX_ANSWER_BYTES
from fastapi_baseline.clock import Clock

with optional("authlib", "httpx2", "joserfc", extra="oauth2"):
    import httpx2
    from authlib.common.urls import add_params_to_qs
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from authlib.integrations.starlette_client import OAuthError, StarletteOAuth2App
    from httpx2 import AsyncBaseTransport
    from joserfc import jwt

# At DEBUG, Authlib writes verifiers and tokens into the log.
_authlib_logger = logging.getLogger("authlib")
if _authlib_logger.level < logging.INFO:
    _authlib_logger.setLevel(logging.INFO)

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME_S = 60
_ASSERTION_ID_BYTES = 32

# Authlib has no types, so nothing more can be said of what comes from it.
_BaseHttp: Any = AsyncOAuth2Client
_BaseApp = cast("type[Untyped]", StarletteOAuth2App)
OAuthProtocolError: Any = OAuthError
"""What Authlib raises where a provider answers with an error; `error` is its code."""


class _Http(_BaseHttp):
    """The HTTP client of one call: it reads no more than an answer may have."""

    async def post(self, url: Any, **options: Any) -> httpx2.Response:
        """Send a form, and return the whole answer.

        Raises:
            httpx2.DecodingError: If the answer is compressed, or too long.
        """
        received = bytearray()
        async with self.stream("POST", url, **options) as response:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise httpx2.DecodingError("The answer is compressed.")
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > MAX_ANSWER_BYTES:
                    raise httpx2.DecodingError("The answer is too long.")
            return httpx2.Response(
                response.status_code, content=bytes(received), request=response.request
            )


class ProtocolClient(_BaseApp):
    """The service as the client of one provider, as Authlib has it."""

    def __init__(
        self,
        provider: Provider,
        load_metadata: Callable[[], Awaitable[Mapping[str, Any]]],
        *,
        clock: Clock,
        token_bytes: Callable[[int], bytes],
        timeout_s: float,
        make_transport: Callable[[], AsyncBaseTransport] | None,
    ) -> None:
        """Ask a provider that is described by `load_metadata`, which hands on what is safe only."""
        secret = provider.client_secret
        base: Any = super()
        base.__init__(
            None,
            name=provider.name,
            client_id=provider.client_id,
            client_secret=None if secret is None else secret.get_secret_value(),
            client_kwargs={
                "scope": " ".join(provider.scopes),
                "code_challenge_method": "S256",
                "timeout": timeout_s,
                "follow_redirects": False,
                "headers": {"Accept-Encoding": "identity"},
            },
            client_auth_methods=[
                ("client_secret_basic", _sign_with_secret),
                ("private_key_jwt", partial(self._sign_with_key, provider.private_key)),
            ],
        )
        self.client_cls = self._make_http
        self._load_metadata = load_metadata
        self._clock = clock
        self._token_bytes = token_bytes
        self._make_transport = make_transport
        self._tls: ssl.SSLContext | None = None

    async def load_server_metadata(self) -> dict[str, Any]:
        """Return what Authlib may know of the provider."""
        return dict(await self._load_metadata())

    async def refresh(self, refresh_token: str) -> Mapping[str, Any]:
        """Return what the provider gives for a refresh token; with the same scopes as before."""
        metadata = await self.load_server_metadata()
        async with self._get_oauth_client(**metadata) as client:
            client.token = {"refresh_token": refresh_token}
            # Not the scopes that were asked for: the user may have agreed to fewer.
            answer = await client.refresh_token(
                metadata["token_endpoint"], refresh_token=refresh_token, scope=None
            )
            return dict(answer)

    def _make_http(self, **options: Any) -> Any:
        # Authlib makes one for each call, and closes it; reading certificates takes milliseconds.
        if self._make_transport is not None:
            return _Http(transport=self._make_transport(), **options)
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
        return _Http(verify=self._tls, **options)

    def _sign_with_key(self, key: Any, client: Any, *request: Any) -> tuple[str, Any, Any]:
        """Add an assertion that the client has made with its private key (RFC 7523, section 2.2)."""
        _method, url, headers, body = request
        algorithm = algorithm_of(key)
        now = int(self._clock.now().timestamp())
        header = {"alg": algorithm, "typ": "JWT"} | ({} if key.kid is None else {"kid": key.kid})
        claims = {
            "iss": client.client_id,
            "sub": client.client_id,
            "aud": url,
            "iat": now,
            "exp": now + _ASSERTION_LIFETIME_S,
            "jti": self._token_bytes(_ASSERTION_ID_BYTES).hex(),
        }
        assertion = jwt.encode(header, claims, key, algorithms=[algorithm])
        fields = [
            ("client_id", client.client_id),
            ("client_assertion_type", _ASSERTION_TYPE),
            ("client_assertion", assertion),
        ]
        return url, headers, add_params_to_qs(body or "", fields)


def _sign_with_secret(client: Any, *request: Any) -> tuple[str, Any, Any]:
    """Add the secret of the client, encoded as RFC 6749, section 2.3.1, says and Authlib does not."""
    _method, url, headers, body = request
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"
    return url, headers, body
