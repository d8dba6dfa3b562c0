"""What the service knows of one provider while it runs, and the connections to it."""

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.login._protocol import ProtocolClient
from fastapi_baseline.auth.login.errors import ProviderUnavailableError
from fastapi_baseline.auth.login.id_tokens import IdTokenVerifier
from fastapi_baseline.auth.login.provider_keys import make_provider_keys
from fastapi_baseline.auth.login.provider_metadata import MetadataCache, ProviderMetadata
from fastapi_baseline.auth.login.providers import Provider
from fastapi_baseline.auth.tokens.fetching import Fetcher
from fastapi_baseline.clock import Clock
from fastapi_baseline.settings.auth import TokenSettings

with optional("httpx2", extra="oauth2"):
    from httpx2 import AsyncBaseTransport, AsyncClient

logger = logging.getLogger("fastapi_baseline.auth.login")


class ProviderConnection:
    """What is known of one provider: its metadata and its keys, fetched when they are needed."""

    def __init__(
        self,
        provider: Provider,
        *,
        settings: TokenSettings,
        clock: Clock,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
        make_transport: Callable[[], AsyncBaseTransport] | None = None,
    ) -> None:
        """Wait for the provider no longer than settings say; it is asked when it is first needed."""
        self.provider = provider
        self.timeout_s = settings.timeout.total_seconds()
        self.clock = clock
        self._make_transport = make_transport
        self.fetcher = Fetcher(
            timeout=settings.timeout,
            make_client=None if make_transport is None else self._make_client,
        )
        self._metadata = MetadataCache(provider, self.fetcher, clock=clock)
        self._keys = make_provider_keys(
            provider, self._metadata, self.fetcher, settings=settings, clock=clock
        )
        self.id_tokens = IdTokenVerifier(
            provider, self._keys, clock=clock, clock_skew=settings.clock_skew
        )
        self.protocol: Any = ProtocolClient(
            provider,
            self._load_protocol_metadata,
            clock=clock,
            token_bytes=token_bytes,
            timeout_s=self.timeout_s,
            make_transport=make_transport,
        )

    async def get_metadata(self) -> ProviderMetadata:
        """Return what the provider says of itself.

        Raises:
            ProviderUnavailableError: If it says nothing that may be believed.
        """
        return await self._metadata.get()

    async def close(self) -> None:
        """Give up what is under way, and close the connections; whoever asks again makes new ones."""
        await self._metadata.close()
        await self._keys.close()
        await self.fetcher.close()

    def fail(self, message: str) -> NoReturn:
        """Give up asking; the message is for operators.

        Raises:
            ProviderUnavailableError: In any case.
        """
        # Without what came: it may have codes and tokens.
        logger.warning("The provider %s could not be asked: %s", self.provider.issuer, message)
        raise ProviderUnavailableError from None

    async def _load_protocol_metadata(self) -> Mapping[str, Any]:
        """Return what Authlib may know; whatever it is given besides can change how it works."""
        metadata = await self.get_metadata()
        method = _choose_auth_method(self.provider, metadata)
        if method is None:
            self.fail("it accepts no secret of a client")
        return {
            "authorization_endpoint": metadata.authorization_endpoint,
            "token_endpoint": metadata.token_endpoint,
            "end_session_endpoint": metadata.end_session_endpoint,
            "token_endpoint_auth_method": method,
        }

    def _make_client(self) -> AsyncClient:
        transport = None if self._make_transport is None else self._make_transport()
        return AsyncClient(timeout=self.timeout_s, follow_redirects=False, transport=transport)


def _choose_auth_method(provider: Provider, metadata: ProviderMetadata) -> str | None:
    if provider.private_key is not None:
        return "private_key_jwt"
    known = ("client_secret_basic", "client_secret_post")
    return next((method for method in known if method in metadata.auth_methods), None)
