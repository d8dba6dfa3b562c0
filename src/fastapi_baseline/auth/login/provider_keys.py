"""The keys that a provider signs with, where its metadata say that they are."""

from fastapi_baseline.auth.login.errors import ProviderUnavailableError
from fastapi_baseline.auth.login.provider_metadata import MetadataCache
from fastapi_baseline.auth.login.providers import Provider
from fastapi_baseline.auth.tokens.discovery import FetchedKeys
from fastapi_baseline.auth.tokens.fetching import Fetcher, FetchError
from fastapi_baseline.auth.tokens.jwks import JwksCache
from fastapi_baseline.auth.tokens.keys import import_keys
from fastapi_baseline.clock import Clock
from fastapi_baseline.settings.auth import TokenSettings


def make_provider_keys(
    provider: Provider,
    metadata: MetadataCache,
    fetcher: Fetcher,
    *,
    settings: TokenSettings,
    clock: Clock,
) -> JwksCache:
    """Return the keys of a provider, which are fetched when they are first needed."""

    async def load() -> FetchedKeys:
        try:
            url = (await metadata.get()).jwks_url
        except ProviderUnavailableError:
            raise FetchError("its metadata cannot be had") from None
        try:
            answer = await fetcher.get(url)
            ring = import_keys(
                answer.document, algorithms=provider.algorithms, issuer=provider.issuer
            )
            if not ring.size:
                raise FetchError("it has no key that can be used")  # noqa: TRY301 -- as any failure
        except FetchError:
            # They may have moved.
            metadata.doubt()
            raise
        return FetchedKeys(ring, answer.max_age)

    return JwksCache(load, issuer=provider.issuer, settings=settings, clock=clock)
