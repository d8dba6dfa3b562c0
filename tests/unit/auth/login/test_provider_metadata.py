from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from fastapi_baseline.auth.login.errors import ProviderUnavailableError
from fastapi_baseline.auth.login.provider_metadata import (
    METADATA_MAX_STALE,
    BadMetadataError,
    MetadataCache,
    read_metadata,
)
from fastapi_baseline.auth.login.providers import make_provider
from fastapi_baseline.auth.tokens.discovery import METADATA_MAX_AGE
from fastapi_baseline.auth.tokens.fetching import Fetcher
from fastapi_baseline.settings.auth import LoginProviderSettings
from fastapi_baseline.testing import OMIT, ManualClock
from fastapi_baseline.testing.issuer_endpoints import OPENID_PATH
from fastapi_baseline.testing.login_provider import LoginProvider

PROVIDER = make_provider(
    LoginProviderSettings.model_validate(
        {"issuer": "https://login.test", "client_id": "shop", "client_secret": "secret"}
    )
)
FIRST_PAUSE = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(clock: ManualClock) -> LoginProvider:
    return LoginProvider(clock=clock)


@pytest.fixture
async def cache(clock: ManualClock, provider: LoginProvider) -> AsyncGenerator[MetadataCache]:
    fetcher = Fetcher(timeout=timedelta(seconds=5), make_client=provider.client)
    made = MetadataCache(PROVIDER, fetcher, clock=clock)
    yield made
    await made.close()
    await fetcher.close()


async def test_is_fetched_once_an_hour(
    cache: MetadataCache, clock: ManualClock, provider: LoginProvider
) -> None:
    first = await cache.get()
    clock.advance(METADATA_MAX_AGE - timedelta(microseconds=1))
    again = await cache.get()
    clock.advance(timedelta(microseconds=1))
    await cache.get()

    assert again is first
    assert provider.endpoints.count(OPENID_PATH) == 2


async def test_is_believed_for_a_day_more_while_the_provider_is_silent(
    cache: MetadataCache, clock: ManualClock, provider: LoginProvider
) -> None:
    first = await cache.get()
    provider.endpoints.answers[OPENID_PATH] = lambda _: httpx2.Response(500)
    clock.advance(METADATA_MAX_AGE + METADATA_MAX_STALE - timedelta(minutes=2))
    still = await cache.get()
    clock.advance(timedelta(minutes=2))

    with pytest.raises(ProviderUnavailableError) as caught:
        await cache.get()

    assert still is first
    assert caught.value.retry_after is not None


async def test_is_not_believed_once_it_is_that_of_another(
    cache: MetadataCache, clock: ManualClock, provider: LoginProvider
) -> None:
    await cache.get()
    provider.metadata_changes = {"issuer": "https://other.test"}
    clock.advance(METADATA_MAX_AGE)

    with pytest.raises(ProviderUnavailableError):
        await cache.get()


async def test_a_provider_that_fails_is_left_alone_for_a_while(
    cache: MetadataCache, clock: ManualClock, provider: LoginProvider
) -> None:
    right = provider.endpoints.answers[OPENID_PATH]
    provider.endpoints.answers[OPENID_PATH] = lambda _: httpx2.Response(500)
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            await cache.get()
    asked = provider.endpoints.count(OPENID_PATH)
    provider.endpoints.answers[OPENID_PATH] = right
    clock.advance(FIRST_PAUSE)

    found = await cache.get()

    assert asked == 1
    assert found.names_issuer


async def test_doubt_has_it_fetched_again(cache: MetadataCache, provider: LoginProvider) -> None:
    await cache.get()
    cache.doubt()

    await cache.get()

    assert provider.endpoints.count(OPENID_PATH) == 2


async def test_survives_what_nobody_expects(
    cache: MetadataCache, provider: LoginProvider, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise RuntimeError("nobody expects it")

    provider.endpoints.answers[OPENID_PATH] = fail

    with pytest.raises(ProviderUnavailableError):
        await cache.get()

    assert "could not be fetched" in caplog.text


def test_says_where_to_ask_for_what(provider: LoginProvider) -> None:
    found = read_metadata(provider.metadata(), PROVIDER)

    assert found.token_endpoint == "https://login.test/token"
    assert found.end_session_endpoint == "https://login.test/end-session"
    assert found.auth_methods == {"client_secret_basic", "client_secret_post", "private_key_jwt"}


def test_the_secret_goes_into_a_header_if_nothing_else_is_said(provider: LoginProvider) -> None:
    provider.metadata_changes = {"token_endpoint_auth_methods_supported": OMIT}

    found = read_metadata(provider.metadata(), PROVIDER)

    assert found.auth_methods == {"client_secret_basic"}


@pytest.mark.parametrize("value", [False, "true", 1, None, OMIT], ids=str)
def test_whoever_does_not_say_so_does_not_name_itself(provider: LoginProvider, value: Any) -> None:
    provider.metadata_changes = {"authorization_response_iss_parameter_supported": value}

    assert not read_metadata(provider.metadata(), PROVIDER).names_issuer


@pytest.mark.parametrize("document", [None, [], "x", 7, {}], ids=str)
def test_refuses_what_is_no_metadata(document: object) -> None:
    with pytest.raises(BadMetadataError):
        read_metadata(document, PROVIDER)


@pytest.mark.parametrize(
    "url", ["https://login.test/tökén", "https://", "//login.test", "https://u:p@login.test"]
)
def test_refuses_endpoints_that_are_no_safe_urls(provider: LoginProvider, url: str) -> None:
    provider.metadata_changes = {"token_endpoint": url}

    with pytest.raises(BadMetadataError, match="token_endpoint"):
        read_metadata(provider.metadata(), PROVIDER)
