import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from httpx2 import Request, Response
from pydantic import SecretStr

from fastapi_baseline.auth.tokens import (
    Introspection,
    InvalidTokenError,
    IssuerUnavailableError,
    TrustedIssuer,
    verdicts,
)
from fastapi_baseline.auth.tokens.fetching import Fetcher
from fastapi_baseline.auth.tokens.introspection import Introspector
from fastapi_baseline.settings.auth import TokenSettings
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.issuer import OMIT, TokenIssuer
from fastapi_baseline.testing.issuer_endpoints import INTROSPECTION_PATH


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer(clock: ManualClock) -> TokenIssuer:
    return TokenIssuer(clock=clock)


@pytest.fixture
async def introspector(issuer: TokenIssuer, clock: ManualClock) -> AsyncGenerator[Introspector]:
    settings = TokenSettings()
    trusted = TrustedIssuer(issuer=issuer.url, audiences=frozenset({issuer.audience}))
    introspection = Introspection(
        url=issuer.url + INTROSPECTION_PATH,
        client_id="orders: api",
        client_secret=SecretStr("pass:wörd+/"),
    )
    fetcher = Fetcher(timeout=settings.timeout, make_client=issuer.client)
    made = Introspector(trusted, introspection, fetcher, settings=settings, clock=clock)
    yield made
    await made.close()
    await fetcher.close()


def asked(issuer: TokenIssuer) -> int:
    return issuer.endpoints.count(INTROSPECTION_PATH)


async def test_says_who_it_is_when_it_asks(introspector: Introspector, issuer: TokenIssuer) -> None:
    seen: list[Request] = []

    def note(request: Request) -> Response:
        seen.append(request)
        return Response(200, json={"active": False})

    issuer.endpoints.answers[INTROSPECTION_PATH] = note

    assert await introspector.find_principal(b"a+b/c=") is None

    [request] = seen
    scheme, _, credentials = request.headers["authorization"].partition(" ")
    assert scheme == "Basic"
    # As RFC 6749, section 2.3.1, demands: encoded like a form, so that no colon is in them.
    assert b64decode(credentials) == b"orders%3A+api:pass%3Aw%C3%B6rd%2B%2F"
    assert request.content == b"token=a%2Bb%2Fc%3D&token_type_hint=access_token"


async def test_a_token_without_an_end_is_kept_for_a_while(
    introspector: Introspector, issuer: TokenIssuer, clock: ManualClock
) -> None:
    document = {"active": True, "sub": "ada", "aud": issuer.audience, "client_id": "shop"}
    issuer.endpoints.answers[INTROSPECTION_PATH] = lambda _: Response(200, json=document)

    principal = await introspector.find_principal(b"token")
    await introspector.find_principal(b"token")
    assert principal is not None
    assert (principal.subject, principal.client_id) == ("ada", "shop")
    assert principal.expires_at is None
    assert asked(issuer) == 1

    clock.advance(timedelta(seconds=30))
    await introspector.find_principal(b"token")
    assert asked(issuer) == 2


@pytest.mark.parametrize("active", [False, None, "true", 1, "yes", [True]], ids=str)
async def test_only_true_is_active(
    introspector: Introspector, issuer: TokenIssuer, active: object
) -> None:
    token = issuer.mint_opaque(claims={"active": active}).encode()

    assert await introspector.find_principal(token) is None


async def test_no_request_changes_what_the_next_is_told(
    introspector: Introspector, issuer: TokenIssuer
) -> None:
    principal = await introspector.find_principal(issuer.mint_opaque().encode())

    assert principal is not None
    assert not hasattr(principal.claims, "__setitem__")


async def test_a_token_that_is_good_again_is_not_refused_any_more(
    introspector: Introspector, issuer: TokenIssuer, clock: ManualClock
) -> None:
    token = issuer.mint_opaque().encode()
    right = issuer.endpoints.answers[INTROSPECTION_PATH]
    issuer.endpoints.answers[INTROSPECTION_PATH] = lambda _: Response(200, json={"active": False})
    assert await introspector.find_principal(token) is None

    issuer.endpoints.answers[INTROSPECTION_PATH] = right
    clock.advance(timedelta(seconds=10))

    assert await introspector.find_principal(token) is not None
    assert await introspector.find_principal(token) is not None
    assert asked(issuer) == 2


async def test_a_token_for_another_service_is_not_asked_about_each_time(
    introspector: Introspector, issuer: TokenIssuer
) -> None:
    token = issuer.mint_opaque(claims={"aud": "https://other.test"}).encode()

    for _ in range(3):
        with pytest.raises(InvalidTokenError) as caught:
            await introspector.find_principal(token)
        assert caught.value.reason == "audience"

    assert asked(issuer) == 1


async def test_made_up_tokens_push_no_good_one_out(
    introspector: Introspector, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "MAX_KEPT", 3)
    good = issuer.mint_opaque().encode()
    assert await introspector.find_principal(good) is not None

    for number in range(10):
        assert await introspector.find_principal(f"made-up-{number}".encode()) is None

    assert await introspector.find_principal(good) is not None
    assert asked(issuer) == 11
    assert await introspector.find_principal(b"made-up-0") is None
    assert asked(issuer) == 12


async def test_who_goes_away_takes_the_answer_from_nobody(
    introspector: Introspector, issuer: TokenIssuer
) -> None:
    token = issuer.mint_opaque().encode()

    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(introspector.find_principal(token))
        patient = group.create_task(introspector.find_principal(token))
        await asyncio.sleep(0)
        impatient.cancel()

    assert impatient.cancelled()
    assert patient.result() is not None
    assert asked(issuer) == 1


async def test_an_error_that_nobody_foresaw_lets_nobody_in(
    introspector: Introspector, issuer: TokenIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Request) -> Response:
        raise ZeroDivisionError

    issuer.endpoints.answers[INTROSPECTION_PATH] = fail

    with pytest.raises(IssuerUnavailableError):
        await introspector.find_principal(b"planted")

    assert "https://issuer.test could not be asked about a token" in caplog.text
    assert "planted" not in caplog.text


async def test_pauses_grow_while_the_issuer_does_not_answer(
    introspector: Introspector, issuer: TokenIssuer, clock: ManualClock
) -> None:
    issuer.endpoints.answers[INTROSPECTION_PATH] = lambda _: Response(503)
    pauses: list[float] = []

    for _ in range(9):
        with pytest.raises(IssuerUnavailableError) as caught:
            await introspector.find_principal(b"token")
        assert caught.value.retry_after is not None
        pauses.append(caught.value.retry_after.total_seconds())
        clock.advance(caught.value.retry_after)

    assert pauses == [1, 1, 1, 2, 4, 8, 15, 15, 15]


async def test_one_answer_ends_the_pauses(
    introspector: Introspector, issuer: TokenIssuer, clock: ManualClock
) -> None:
    right = issuer.endpoints.answers[INTROSPECTION_PATH]
    issuer.endpoints.answers[INTROSPECTION_PATH] = lambda _: Response(503)
    for _ in range(3):
        with pytest.raises(IssuerUnavailableError):
            await introspector.find_principal(b"token")
    issuer.endpoints.answers[INTROSPECTION_PATH] = right
    clock.advance(timedelta(seconds=1))
    assert await introspector.find_principal(b"token") is None

    issuer.endpoints.answers[INTROSPECTION_PATH] = lambda _: Response(503)
    for number in range(2):
        with pytest.raises(IssuerUnavailableError):
            await introspector.find_principal(f"other-{number}".encode())

    assert asked(issuer) == 6


async def test_closing_gives_up_what_is_under_way(
    introspector: Introspector, issuer: TokenIssuer
) -> None:
    async def is_unavailable() -> bool:
        try:
            await introspector.find_principal(b"token")
        except IssuerUnavailableError:
            return True
        return False

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(is_unavailable())
        await asyncio.sleep(0)
        await introspector.close()

    assert waiting.result()


async def test_a_token_that_somebody_else_issued_is_refused(
    introspector: Introspector, issuer: TokenIssuer
) -> None:
    token = issuer.mint_opaque(claims={"iss": "https://other.test"}).encode()
    plain = issuer.mint_opaque(claims={"iss": OMIT}).encode()

    with pytest.raises(InvalidTokenError) as caught:
        await introspector.find_principal(token)

    assert caught.value.reason == "issuer"
    assert await introspector.find_principal(plain) is not None
