import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import Response

from fastapi_baseline.auth.tokens import TrustedIssuer
from fastapi_baseline.auth.tokens.discovery import KeyLoader, metadata_urls
from fastapi_baseline.auth.tokens.fetching import Fetcher, FetchError
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.issuer import TokenIssuer
from fastapi_baseline.testing.issuer_endpoints import JWKS_PATH, OAUTH_PATH, OPENID_PATH

TIMEOUT = timedelta(seconds=1)


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def fetcher(issuer: TokenIssuer) -> AsyncGenerator[Fetcher]:
    fetcher = Fetcher(timeout=TIMEOUT, make_client=issuer.client)
    yield fetcher
    await fetcher.close()


@pytest.fixture
def trusted(issuer: TokenIssuer) -> TrustedIssuer:
    return TrustedIssuer(issuer=issuer.url, audiences=frozenset({issuer.audience}))


@pytest.fixture
def loader(trusted: TrustedIssuer, fetcher: Fetcher, clock: ManualClock) -> KeyLoader:
    return KeyLoader(trusted, fetcher, clock=clock, timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("issuer_url", "openid", "oauth"),
    [
        (
            "https://i.test",
            "https://i.test/.well-known/openid-configuration",
            "https://i.test/.well-known/oauth-authorization-server",
        ),
        (
            "https://i.test/",
            "https://i.test/.well-known/openid-configuration",
            "https://i.test/.well-known/oauth-authorization-server",
        ),
        (
            "https://i.test:8443/realms/demo",
            "https://i.test:8443/realms/demo/.well-known/openid-configuration",
            "https://i.test:8443/.well-known/oauth-authorization-server/realms/demo",
        ),
    ],
)
def test_knows_where_metadata_are(issuer_url: str, openid: str, oauth: str) -> None:
    assert metadata_urls(issuer_url) == (openid, oauth)


async def test_finds_keys_by_the_metadata(loader: KeyLoader, issuer: TokenIssuer) -> None:
    fetched = await loader.load()

    assert fetched.ring.find(issuer.signing_key.kid, "ES256") is not None
    assert fetched.max_age == timedelta(minutes=10)
    assert issuer.endpoints.requests == [OPENID_PATH, JWKS_PATH]


async def test_looks_where_oauth_servers_have_metadata_if_there_are_no_others(
    loader: KeyLoader, issuer: TokenIssuer
) -> None:
    del issuer.endpoints.answers[OPENID_PATH]

    await loader.load()

    assert issuer.endpoints.requests == [OPENID_PATH, OAUTH_PATH, JWKS_PATH]


async def test_does_not_look_elsewhere_if_the_issuer_is_ill(
    loader: KeyLoader, issuer: TokenIssuer
) -> None:
    issuer.endpoints.answers[OPENID_PATH] = lambda _: Response(500)

    with pytest.raises(FetchError, match="status 500"):
        await loader.load()

    assert issuer.endpoints.requests == [OPENID_PATH]


async def test_remembers_for_an_hour_where_the_keys_are(
    loader: KeyLoader, issuer: TokenIssuer, clock: ManualClock
) -> None:
    await loader.load()
    clock.advance(timedelta(hours=1) - timedelta(microseconds=1))
    await loader.load()
    assert issuer.endpoints.count(OPENID_PATH) == 1

    clock.advance(timedelta(microseconds=1))
    await loader.load()
    assert issuer.endpoints.count(OPENID_PATH) == 2


async def test_looks_again_where_the_keys_are_if_they_are_gone(
    loader: KeyLoader, issuer: TokenIssuer
) -> None:
    await loader.load()
    issuer.endpoints.answers["/moved"] = issuer.endpoints.answers.pop(JWKS_PATH)
    metadata = {**issuer.metadata(), "jwks_uri": f"{issuer.url}/moved"}
    issuer.endpoints.answers[OPENID_PATH] = lambda _: Response(200, json=metadata)

    with pytest.raises(FetchError, match="status 404"):
        await loader.load()

    assert (await loader.load()).ring.size == 1


async def test_asks_for_no_metadata_if_it_is_told_where_the_keys_are(
    trusted: TrustedIssuer, fetcher: Fetcher, clock: ManualClock, issuer: TokenIssuer
) -> None:
    told = replace(trusted, jwks_url=issuer.url + JWKS_PATH)

    await KeyLoader(told, fetcher, clock=clock, timeout=TIMEOUT).load()

    assert issuer.endpoints.requests == [JWKS_PATH]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "no JSON object"),
        ({}, "those of another issuer"),
        ({"issuer": "https://issuer.test/"}, "those of another issuer"),
        ({"issuer": "https://issuer.test"}, "do not say where its keys are"),
        (
            {"issuer": "https://issuer.test", "jwks_uri": "http://issuer.test/jwks"},
            "do not say where its keys are",
        ),
        (
            {"issuer": "https://issuer.test", "jwks_uri": "http://127.0.0.1/jwks"},
            "its keys are on this machine",
        ),
    ],
    ids=str,
)
async def test_does_not_follow_metadata_that_are_wrong(
    loader: KeyLoader, issuer: TokenIssuer, document: Any, message: str
) -> None:
    issuer.endpoints.answers[OPENID_PATH] = lambda _: Response(200, json=document)

    with pytest.raises(FetchError, match=message):
        await loader.load()


async def test_follows_metadata_to_another_host(loader: KeyLoader, issuer: TokenIssuer) -> None:
    metadata = {**issuer.metadata(), "jwks_uri": "https://keys.test/jwks"}
    issuer.endpoints.answers[OPENID_PATH] = lambda _: Response(200, json=metadata)

    assert (await loader.load()).ring.size == 1


async def test_a_set_without_a_key_that_can_be_used_is_a_failure(
    loader: KeyLoader, issuer: TokenIssuer
) -> None:
    issuer.keys = []

    with pytest.raises(FetchError, match="no key that can be used"):
        await loader.load()


async def test_takes_no_longer_for_metadata_and_keys_together(
    trusted: TrustedIssuer, clock: ManualClock
) -> None:
    class Endless(Fetcher):
        async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Any:
            await asyncio.Event().wait()

    fetcher = Endless(timeout=timedelta(hours=1))
    loader = KeyLoader(trusted, fetcher, clock=clock, timeout=timedelta(seconds=0.01))

    with pytest.raises(FetchError, match="it took too long"):
        await loader.load()
