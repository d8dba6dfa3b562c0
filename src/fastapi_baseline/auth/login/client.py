"""The service as the client of one provider: sign-ins are sent there, and tokens fetched."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.login._protocol import OAuthProtocolError
from fastapi_baseline.auth.login.errors import InvalidUserinfoError, ProviderRefusedError
from fastapi_baseline.auth.login.provider_connection import ProviderConnection
from fastapi_baseline.auth.login.tokens import ProviderTokens
from fastapi_baseline.auth.tokens.fetching import FetchError

with optional("httpx2", extra="oauth2"):
    import httpx2

_OK = 200
# What a token endpoint may answer where it has no time; the next attempt may succeed.
_BUSY = frozenset({"server_error", "temporarily_unavailable"})
_FAILURES = (
    *(TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError),
    # What Authlib makes of an answer that is no JSON, or has other types.
    *(ValueError, TypeError, KeyError, OverflowError, RecursionError),
)


class ProviderClient(ProviderConnection):
    """Asks one provider, and believes what it has signed."""

    async def make_authorization_url(
        self,
        *,
        redirect_uri: str,
        state: str,
        nonce: str,
        verifier: str,
        parameters: Mapping[str, str],
    ) -> str:
        """Return where a browser is sent to sign in, with the challenge of `verifier` (RFC 7636).

        Raises:
            ProviderUnavailableError: If the provider says nothing of itself that may be believed.
        """
        made = await self.protocol.create_authorization_url(
            redirect_uri, state=state, nonce=nonce, code_verifier=verifier, **parameters
        )
        return str(made["url"])

    async def fetch_tokens(self, *, code: str, verifier: str, redirect_uri: str) -> ProviderTokens:
        """Return the tokens that a code is for.

        Raises:
            ProviderRefusedError: If it is for none.
            ProviderUnavailableError: If the provider does not answer, or with nothing that can be
                used.
        """
        return await self._ask(
            lambda: self.protocol.fetch_access_token(
                redirect_uri=redirect_uri,
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
            )
        )

    async def refresh(self, refresh_token: str) -> ProviderTokens:
        """Return new tokens; the refresh token is `None` if the old one goes on.

        Raises:
            ProviderRefusedError: If the provider gives no more for it.
            ProviderUnavailableError: If the provider does not answer, or with nothing that can be
                used.
        """
        return await self._ask(lambda: self.protocol.refresh(refresh_token))

    async def fetch_userinfo(self, access_token: str, *, subject: str) -> Mapping[str, Any]:
        """Return what the provider says of somebody (OpenID Connect Core, section 5.3).

        Raises:
            InvalidUserinfoError: If it says it of somebody else (section 5.3.2), or not as JSON.
            ProviderUnavailableError: If the provider does not answer, or has no such endpoint.
        """
        metadata = await self.get_metadata()
        if metadata.userinfo_endpoint is None:
            self.fail("it has no userinfo_endpoint")
        headers = {"Authorization": f"Bearer {access_token}"}
        try:
            answer = await self.fetcher.get(metadata.userinfo_endpoint, headers=headers)
        except FetchError as error:
            if error.status == _OK:
                raise InvalidUserinfoError from error
            self.fail(str(error))
        document = answer.document
        claims = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
        if claims.get("sub") != subject:
            raise InvalidUserinfoError
        return claims

    async def find_logout_url(
        self, *, id_token: str | None, return_url: str | None, state: str | None
    ) -> str | None:
        """Return where a browser is sent to sign out at the provider; `None` if there is no such URL.

        Raises:
            ProviderUnavailableError: If the provider says nothing of itself that may be believed.
        """
        metadata = await self.get_metadata()
        if metadata.end_session_endpoint is None:
            return None
        made = await self.protocol.create_logout_url(
            post_logout_redirect_uri=return_url,
            id_token_hint=id_token,
            state=state,
            client_id=self.provider.client_id,
        )
        return str(made["url"])

    async def _ask(self, call: Callable[[], Awaitable[Mapping[str, Any]]]) -> ProviderTokens:
        try:
            async with asyncio.timeout(self.timeout_s):
                answer = await call()
        except OAuthProtocolError as error:
            refusal = ProviderRefusedError(error.error)
            if refusal.error in _BUSY:
                self.fail(refusal.error)
            raise refusal from None
        except _FAILURES as error:
            self.fail(type(error).__name__)
        return ProviderTokens.read(answer, now=self.clock.now())
