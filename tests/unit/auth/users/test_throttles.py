from collections.abc import Sequence
from datetime import timedelta

import pytest

from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.users.throttles import (
    Throttles,
    TooManyAttemptsError,
    make_throttles,
)
from fastapi_baseline.errors import ConfigurationError, UnavailableError
from fastapi_baseline.rate_limiting import Decision, Demand, MemoryRateLimitStore
from fastapi_baseline.settings import UserSettings
from fastapi_baseline.testing import ManualClock

OWNER = "ann@example.com"
HOME = "192.0.2.1"


class Events:
    def __init__(self) -> None:
        self.recorded: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.recorded.append(event)


class LostStore(MemoryRateLimitStore):
    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        raise UnavailableError


class SeenStore(MemoryRateLimitStore):
    def __init__(self, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.seen: list[str] = []

    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        self.seen += [demand.key for demand in demands]
        return await super().acquire(demands)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def throttles(clock: ManualClock, events: Events) -> Throttles:
    return make_throttles(UserSettings(), clock=clock, events=events)


async def guess(
    throttles: Throttles,
    times: int,
    *,
    account: str = OWNER,
    address: str | None = None,
    device: str | None = None,
) -> int:
    """Return how many of so many wrong guesses are let in."""
    let_in = 0
    for number in range(times):
        try:
            await throttles.begin_sign_in(
                address=address or f"198.51.100.{number}", account=account, device=device
            )
        except TooManyAttemptsError:
            continue
        let_in += 1
    return let_in


async def test_an_account_has_ten_failures_wherever_they_come_from(throttles: Throttles) -> None:
    assert await guess(throttles, 50) == 10


async def test_an_address_has_thirty_attempts_whatever_accounts_they_are_for(
    throttles: Throttles,
) -> None:
    accounts = [f"user{number}@example.com" for number in range(50)]

    assert sum([await guess(throttles, 1, account=one, address=HOME) for one in accounts]) == 30


async def test_says_when_to_come_back(throttles: Throttles, clock: ManualClock) -> None:
    await guess(throttles, 10)

    with pytest.raises(TooManyAttemptsError) as raised:
        await throttles.begin_sign_in(address=HOME, account=OWNER, device=None)

    assert raised.value.retry_after == timedelta(seconds=30)
    clock.advance(timedelta(seconds=30) - timedelta(milliseconds=1))
    assert await guess(throttles, 1) == 0
    clock.advance(timedelta(milliseconds=1))
    assert await guess(throttles, 1) == 1


async def test_a_known_device_has_a_budget_of_its_own(throttles: Throttles) -> None:
    await guess(throttles, 50)
    await guess(throttles, 50, account="x@example.com", address=HOME)

    assert await guess(throttles, 50, address=HOME, device="d1") == 10
    assert await guess(throttles, 50, address=HOME, device="d2") == 10


async def test_what_a_device_may_for_one_account_it_may_not_for_another(
    throttles: Throttles,
) -> None:
    assert await guess(throttles, 50, device="d1") == 10
    assert await guess(throttles, 50, account="otto@example.com", device="d1") == 10


async def test_a_stolen_device_has_fifty_failures_in_a_day(
    throttles: Throttles, clock: ManualClock
) -> None:
    let_in = 0
    for _ in range(23):
        let_in += await guess(throttles, 20, device="d1")
        clock.advance(timedelta(hours=1))

    # Fifty at once, and what comes back in the course of a day.
    assert let_in < 100


async def test_success_gives_back_what_it_took_and_nothing_else(throttles: Throttles) -> None:
    await guess(throttles, 9)

    attempt = await throttles.begin_sign_in(address=HOME, account=OWNER, device=None)
    await throttles.succeed(attempt)

    assert await guess(throttles, 50) == 1


async def test_success_gives_an_address_nothing_back(throttles: Throttles) -> None:
    for _ in range(30):
        attempt = await throttles.begin_sign_in(address=HOME, account=OWNER, device=None)
        await throttles.succeed(attempt)

    with pytest.raises(TooManyAttemptsError):
        await throttles.begin_sign_in(address=HOME, account=OWNER, device=None)


async def test_attempts_at_the_same_time_are_all_counted(throttles: Throttles) -> None:
    attempts = [
        await throttles.begin_sign_in(address=f"192.0.2.{n}", account=OWNER, device=None)
        for n in range(10)
    ]

    assert await guess(throttles, 1) == 0
    await throttles.succeed(attempts[0])
    assert await guess(throttles, 50) == 1


async def test_a_session_has_a_budget_for_saying_the_password_once_more(
    throttles: Throttles,
) -> None:
    for _ in range(10):
        await throttles.begin_confirmation("s1")

    with pytest.raises(TooManyAttemptsError):
        await throttles.begin_confirmation("s1")
    await throttles.begin_confirmation("s2")


async def test_an_account_gets_three_letters_and_nobody_is_told(
    throttles: Throttles, events: Events
) -> None:
    assert [await throttles.may_mail(OWNER) for _ in range(5)] == [True] * 3 + [False] * 2
    assert await throttles.may_mail("otto@example.com")
    assert events.recorded == []


async def test_there_is_a_letter_again_before_the_last_link_has_expired(
    throttles: Throttles, clock: ManualClock
) -> None:
    for _ in range(3):
        await throttles.may_mail(OWNER)

    clock.advance(UserSettings().reset_lifetime)

    assert await throttles.may_mail(OWNER)


async def test_an_address_may_ask_for_twenty_letters(throttles: Throttles) -> None:
    for _ in range(20):
        await throttles.begin_mail(address=HOME)

    with pytest.raises(TooManyAttemptsError):
        await throttles.begin_mail(address=HOME)


async def test_records_that_somebody_was_throttled_and_not_who(
    throttles: Throttles, events: Events
) -> None:
    await guess(throttles, 11)

    (event,) = events.recorded
    assert (event.name, event.outcome, event.subject) == ("throttled", "failure", None)
    assert event.details == {"limits": "sign-in-account"}


async def test_counts_by_itself_while_the_shared_store_does_not_answer(
    clock: ManualClock, events: Events
) -> None:
    throttles = make_throttles(
        UserSettings(), clock=clock, events=events, shared=LostStore(clock=clock)
    )

    assert await guess(throttles, 50) == 10


async def test_success_gives_back_while_the_shared_store_does_not_answer(
    clock: ManualClock, events: Events
) -> None:
    throttles = make_throttles(
        UserSettings(), clock=clock, events=events, shared=LostStore(clock=clock)
    )

    for _ in range(20):
        attempt = await throttles.begin_sign_in(address=HOME, account=OWNER, device=None)
        await throttles.succeed(attempt)

    assert await guess(throttles, 50) == 10


async def test_counters_name_nobody(clock: ManualClock, events: Events) -> None:
    store = SeenStore(clock=clock)
    throttles = make_throttles(UserSettings(), clock=clock, events=events, shared=store)

    await throttles.begin_sign_in(address=HOME, account=OWNER, device=None)
    await throttles.may_mail(OWNER)

    assert len(store.seen) == 3
    assert not any("ann" in key or "192" in key for key in store.seen)


def test_refuses_a_limit_that_is_none(clock: ManualClock, events: Events) -> None:
    settings = UserSettings(sign_ins_per_account=("often",))

    with pytest.raises(ConfigurationError, match="sign-in-account"):
        make_throttles(settings, clock=clock, events=events)


async def test_several_limits_hold_together(clock: ManualClock, events: Events) -> None:
    settings = UserSettings(sign_ins_per_account=("10/minute", "12/day"))
    throttles = make_throttles(settings, clock=clock, events=events)

    first = await guess(throttles, 50)
    clock.advance(timedelta(minutes=1))

    assert (first, await guess(throttles, 50)) == (10, 2)


async def test_there_may_be_no_limits(clock: ManualClock, events: Events) -> None:
    settings = UserSettings(sign_ins_per_account=(), sign_ins_per_address=(), mails_per_account=())
    throttles = make_throttles(settings, clock=clock, events=events)

    attempt = await throttles.begin_sign_in(address=HOME, account=OWNER, device=None)
    await throttles.succeed(attempt)

    assert await guess(throttles, 50, address=HOME) == 50
    assert await throttles.may_mail(OWNER)
