from datetime import timedelta

import pytest

from fastapi_baseline.auth import (
    SELF,
    CredentialsMissingError,
    InsufficientAuthenticationError,
    Principal,
    require_recent_auth,
)
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing import ManualClock
from tests.recorded_events import RecordedEvents
from tests.unit.auth.known_principal import request_of

MINUTES = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def events() -> RecordedEvents:
    return RecordedEvents()


@pytest.fixture
def ada(clock: ManualClock) -> Principal:
    return Principal(
        issuer=SELF, subject="ada", transport="bearer", auth_time=clock.now(), acr="silver"
    )


async def test_a_proof_is_recent_to_the_edge(
    ada: Principal, clock: ManualClock, events: RecordedEvents
) -> None:
    guard = require_recent_auth(5 * MINUTES)

    clock.advance(5 * MINUTES)

    assert await guard(request_of(ada, clock=clock, events=events)) is ada


async def test_a_proof_beyond_the_edge_must_be_given_again(
    ada: Principal, clock: ManualClock, events: RecordedEvents
) -> None:
    guard = require_recent_auth(5 * MINUTES)

    clock.advance(5 * MINUTES + timedelta(microseconds=1))

    with pytest.raises(InsufficientAuthenticationError) as caught:
        await guard(request_of(ada, clock=clock, events=events))
    assert caught.value.challenge == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="A more recent or a stronger authentication is required", '
        'max_age="300"'
    )


async def test_who_does_not_say_when_is_refused(clock: ManualClock, events: RecordedEvents) -> None:
    program = Principal(issuer=SELF, subject="job", transport="api_key")

    with pytest.raises(InsufficientAuthenticationError):
        await require_recent_auth(5 * MINUTES)(request_of(program, clock=clock, events=events))


async def test_a_level_may_be_asked_for(
    ada: Principal, clock: ManualClock, events: RecordedEvents
) -> None:
    clock.advance(timedelta(days=1))

    for levels in ("silver", ["gold", "silver"]):
        guard = require_recent_auth(acr=levels)
        assert await guard(request_of(ada, clock=clock, events=events)) is ada


@pytest.mark.parametrize("acr", ["gold", ["gold", "platinum"]])
async def test_another_level_is_not_enough(
    ada: Principal, clock: ManualClock, events: RecordedEvents, acr: str | list[str]
) -> None:
    guard = require_recent_auth(5 * MINUTES, acr=acr)

    with pytest.raises(InsufficientAuthenticationError) as caught:
        await guard(request_of(ada, clock=clock, events=events))

    levels = acr if isinstance(acr, str) else " ".join(acr)
    assert caught.value.challenge is not None
    assert f'acr_values="{levels}", max_age="300"' in caught.value.challenge


async def test_a_cookie_gets_the_challenge_that_there_is(
    ada: Principal, clock: ManualClock, events: RecordedEvents
) -> None:
    guard = require_recent_auth(acr="gold")

    with pytest.raises(InsufficientAuthenticationError) as caught:
        await guard(request_of(ada, clock=clock, events=events, challenge=None))

    assert caught.value.challenge is not None
    assert caught.value.challenge.startswith('Cookie error="insufficient_user_authentication"')


async def test_a_refusal_is_recorded(
    ada: Principal, clock: ManualClock, events: RecordedEvents
) -> None:
    with pytest.raises(InsufficientAuthenticationError):
        await require_recent_auth(acr="gold")(request_of(ada, clock=clock, events=events))

    [event] = events.recorded
    assert (event.name, event.subject) == ("access_refused", "ada")
    assert event.details["reason"] == "insufficient_user_authentication"


async def test_nobody_is_asked_who_they_are_first(
    clock: ManualClock, events: RecordedEvents
) -> None:
    with pytest.raises(CredentialsMissingError):
        await require_recent_auth(5 * MINUTES)(request_of(None, clock=clock, events=events))


@pytest.mark.parametrize(
    ("max_age", "acr"),
    [
        (None, None),
        (None, []),
        (timedelta(0), None),
        (timedelta(milliseconds=999), None),
        (-MINUTES, None),
        (MINUTES, ["a b"]),
        (MINUTES, [""]),
    ],
)
def test_refuses_what_nobody_can_fulfil(max_age: timedelta | None, acr: list[str] | None) -> None:
    with pytest.raises(ConfigurationError):
        require_recent_auth(max_age, acr=acr)
