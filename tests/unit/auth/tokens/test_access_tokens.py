from collections.abc import AsyncGenerator
from typing import Any

import pytest
from httpx2 import AsyncClient, MockTransport, Response
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from pydantic import SecretStr

from fastapi_baseline.auth.tokens import (
    Introspection,
    InvalidTokenError,
    IssuerUnavailableError,
    TrustedIssuer,
)
from fastapi_baseline.auth.tokens.access_tokens import AccessTokens
from fastapi_baseline.auth.tokens.keys import import_keys
from fastapi_baseline.auth.tokens.verification import MAX_TOKEN_LENGTH
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings.auth import TokenSettings
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.issuer import TokenIssuer
from fastapi_baseline.testing.issuer_endpoints import INTROSPECTION_PATH

CLOCK = ManualClock()
FIRST = TokenIssuer("https://first.test", clock=CLOCK)
SECOND = TokenIssuer("https://second.test", clock=CLOCK)


def trusted(issuer: TokenIssuer, *, asks: bool = False) -> TrustedIssuer:
    introspection = Introspection(
        url=issuer.url + INTROSPECTION_PATH, client_id="me", client_secret=SecretStr("secret")
    )
    return TrustedIssuer(
        issuer=issuer.url,
        audiences=frozenset({issuer.audience}),
        introspection=introspection if asks else None,
    )


def make_client() -> AsyncClient:
    hosts = {"first.test": FIRST, "second.test": SECOND}
    return AsyncClient(
        transport=MockTransport(lambda request: hosts[request.url.host].endpoints.handle(request))
    )


@pytest.fixture
async def tokens() -> AsyncGenerator[AccessTokens]:
    tokens = AccessTokens(
        [trusted(FIRST, asks=True), trusted(SECOND, asks=True)],
        settings=TokenSettings(),
        clock=CLOCK,
        make_client=make_client,
    )
    yield tokens
    await tokens.close()


@pytest.mark.parametrize("issuers", [[], [FIRST, FIRST]], ids=["none", "one twice"])
def test_needs_issuers_and_each_once(issuers: list[TokenIssuer]) -> None:
    with pytest.raises(ConfigurationError, match="each of them once"):
        AccessTokens([trusted(one) for one in issuers], settings=TokenSettings(), clock=CLOCK)


async def test_asks_issuers_one_after_the_other_about_an_opaque_token(
    tokens: AccessTokens,
) -> None:
    principal = await tokens.find_principal(SECOND.mint_opaque("ada").encode())

    assert (principal.issuer, principal.subject) == (SECOND.url, "ada")


async def test_refuses_an_opaque_token_that_no_issuer_knows(tokens: AccessTokens) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        await tokens.find_principal(b"made-up")

    assert caught.value.reason == "inactive"


async def test_an_issuer_that_does_not_answer_does_not_keep_others_from_it(
    tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FIRST.endpoints.answers, INTROSPECTION_PATH, lambda _: Response(500))

    principal = await tokens.find_principal(SECOND.mint_opaque("ada").encode())
    assert principal.issuer == SECOND.url

    with pytest.raises(IssuerUnavailableError):
        await tokens.find_principal(FIRST.mint_opaque("ada").encode())


async def test_asks_nobody_about_a_token_that_says_whose_it_is(tokens: AccessTokens) -> None:
    before = FIRST.endpoints.count(INTROSPECTION_PATH)

    await tokens.find_principal(FIRST.mint().encode())
    with pytest.raises(InvalidTokenError):
        await tokens.find_principal(FIRST.mint_unsigned().encode())

    assert FIRST.endpoints.count(INTROSPECTION_PATH) == before


async def test_reads_nothing_that_is_too_long(tokens: AccessTokens) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        await tokens.find_principal(b"A" * (MAX_TOKEN_LENGTH + 1))

    assert caught.value.reason == "malformed"


async def test_takes_keys_that_are_given_to_it() -> None:
    class Given:
        async def find_key(self, kid: str | None, algorithm: str) -> Any:
            ring = import_keys(FIRST.jwks(), algorithms=["ES256"], issuer=FIRST.url)
            return ring.find(kid, algorithm)

    tokens = AccessTokens(
        [trusted(FIRST)],
        settings=TokenSettings(),
        clock=CLOCK,
        key_sources={FIRST.url: Given()},
    )

    assert (await tokens.find_principal(FIRST.mint("ada").encode())).subject == "ada"
    await tokens.close()


async def test_counts_what_became_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    tokens = AccessTokens(
        [trusted(FIRST)],
        settings=TokenSettings(),
        clock=CLOCK,
        make_client=make_client,
        meter_provider=MeterProvider(metric_readers=[reader]),
    )
    monkeypatch.setitem(FIRST.endpoints.answers, "/jwks", lambda _: Response(500))
    with pytest.raises(IssuerUnavailableError):
        await tokens.find_principal(FIRST.mint().encode())
    monkeypatch.undo()
    CLOCK.advance(TokenSettings().timeout)

    await tokens.find_principal(FIRST.mint().encode())
    with pytest.raises(InvalidTokenError):
        await tokens.find_principal(b"x")
    await tokens.close()

    data = reader.get_metrics_data()
    assert data is not None
    counted = {
        (metric.name, (point.attributes or {})["outcome"]): getattr(point, "value", None)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    assert counted["baseline.auth.tokens", "accepted"] == 1
    assert counted["baseline.auth.tokens", "unavailable"] == 1
    assert counted["baseline.auth.tokens", "malformed"] == 1
    assert counted["baseline.auth.key_fetches", "success"] == 1
    assert counted["baseline.auth.key_fetches", "failure"] == 1
