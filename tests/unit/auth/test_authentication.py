from typing import Any

import pytest
from starlette.requests import HTTPConnection

from fastapi_baseline.auth import (
    SELF,
    AmbiguousCredentialsError,
    Authentication,
    HasSecuritySchemes,
    Principal,
)
from fastapi_baseline.auth.challenges import LAST_RESORT
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.errors import UnauthenticatedError
from fastapi_baseline.testing import ManualClock

ADA = Principal(issuer=SELF, subject="ada", transport="bearer")
BEARER: dict[str, Any] = {"type": "http", "scheme": "bearer"}
KEY: dict[str, Any] = {"type": "apiKey", "in": "header", "name": "X-Key"}
COOKIE: dict[str, Any] = {"type": "apiKey", "in": "cookie", "name": "session"}


class Way:
    """Takes whatever one header says for who is asking."""

    def __init__(
        self, header: str, scheme: dict[str, Any], *, challenge: str | None = None
    ) -> None:
        self.scheme_name = header
        self.scheme = scheme
        self.challenge = challenge
        self.header = header
        self.error: UnauthenticatedError | None = None
        self.asked = 0

    def is_offered(self, connection: HTTPConnection) -> bool:
        return self.header in connection.headers

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return ADA


def connection(*headers: tuple[str, str]) -> HTTPConnection:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return HTTPConnection({"type": "http", "headers": raw})


@pytest.fixture
def bearer() -> Way:
    return Way("Authorization", BEARER, challenge='Bearer realm="a"')


@pytest.fixture
def key() -> Way:
    return Way("X-Key", KEY, challenge="ApiKey")


@pytest.fixture
def cookie() -> Way:
    return Way("Cookie", COOKIE)


async def test_nobody_is_known_of_a_request_without_credentials(bearer: Way, key: Way) -> None:
    assert await Authentication([bearer, key]).authenticate(connection()) is None
    assert (bearer.asked, key.asked) == (0, 0)


async def test_the_way_that_is_offered_is_asked(bearer: Way, key: Way) -> None:
    found = await Authentication([bearer, key]).authenticate(connection(("X-Key", "1")))

    assert found is ADA
    assert (bearer.asked, key.asked) == (0, 1)


async def test_who_is_asking_is_known_to_the_request(bearer: Way) -> None:
    current = RequestContext(request_id="x")
    token = request_context.set(current)

    await Authentication([bearer]).authenticate(connection(("Authorization", "Bearer x")))

    request_context.reset(token)
    assert current.principal is ADA


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer a"), ("Authorization", "Bearer a")],
        [("Authorization", "Bearer a"), ("X-Key", "1")],
        [("Authorization", "Bearer a"), ("Cookie", "session=1")],
        [("X-Key", "1"), ("Cookie", "session=1")],
    ],
    ids=["two tokens", "token and key", "token and cookie", "key and cookie"],
)
async def test_refuses_credentials_in_several_ways(
    bearer: Way, key: Way, cookie: Way, headers: list[tuple[str, str]]
) -> None:
    with pytest.raises(AmbiguousCredentialsError):
        await Authentication([bearer, key, cookie]).authenticate(connection(*headers))

    assert (bearer.asked, key.asked, cookie.asked) == (0, 0, 0)


async def test_refuses_a_cookie_beside_an_authorization_that_nobody_understands(
    cookie: Way,
) -> None:
    headers = [("Authorization", "Basic YTpi"), ("Cookie", "session=1")]

    with pytest.raises(AmbiguousCredentialsError):
        await Authentication([cookie]).authenticate(connection(*headers))


async def test_a_key_may_be_in_authorization() -> None:
    way = Way("Authorization", {"type": "apiKey", "in": "header", "name": "Authorization"})

    found = await Authentication([way]).authenticate(connection(("Authorization", "Key 1")))

    assert found is ADA


async def test_an_error_keeps_its_challenge(bearer: Way, key: Way) -> None:
    bearer.error = UnauthenticatedError(challenge='Bearer error="invalid_token"')

    with pytest.raises(UnauthenticatedError) as caught:
        await Authentication([key, bearer]).authenticate(connection(("Authorization", "Bearer x")))

    assert caught.value.challenge == 'Bearer error="invalid_token"'


async def test_an_error_without_a_challenge_offers_all_ways(bearer: Way, key: Way) -> None:
    key.error = UnauthenticatedError()

    with pytest.raises(UnauthenticatedError) as caught:
        await Authentication([bearer, key]).authenticate(connection(("X-Key", "1")))

    assert caught.value.challenge == 'Bearer realm="a", ApiKey'


def test_the_challenge_of_a_request_is_the_one_of_its_way(
    bearer: Way, key: Way, cookie: Way
) -> None:
    authentication = Authentication([bearer, key, cookie])

    assert authentication.find_challenge(connection(("X-Key", "1"))) == "ApiKey"
    assert authentication.find_challenge(connection(("Cookie", "session=1"))) == LAST_RESORT
    assert authentication.find_challenge(connection()) == LAST_RESORT


def test_the_clock_is_the_one_of_the_machine_unless_another_is_given(bearer: Way) -> None:
    clock = ManualClock()

    assert Authentication([bearer], clock=clock).clock is clock
    assert isinstance(Authentication([bearer]).clock, SystemClock)


def test_a_way_with_one_scheme_is_none_with_several(bearer: Way) -> None:
    assert not isinstance(bearer, HasSecuritySchemes)
