from datetime import timedelta

import pytest

from fastapi_baseline.redis import CircuitBreaker, CircuitState
from fastapi_baseline.testing import ManualClock

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> CircuitBreaker:
    return CircuitBreaker(failures_to_open=3, retry_interval=SECOND, clock=clock)


def fail(breaker: CircuitBreaker, *, times: int) -> None:
    for _ in range(times):
        breaker.record_failure()


def test_begins_closed(breaker: CircuitBreaker) -> None:
    assert breaker.state is CircuitState.CLOSED
    assert not breaker.is_open
    assert not breaker.claim_probe()


def test_opens_after_so_many_failures_in_a_row(breaker: CircuitBreaker) -> None:
    fail(breaker, times=2)
    before = breaker.is_open

    fail(breaker, times=1)

    assert (before, breaker.is_open, breaker.state) == (False, True, CircuitState.OPEN)


def test_a_success_between_them_counts_from_the_beginning(breaker: CircuitBreaker) -> None:
    fail(breaker, times=2)
    breaker.record_success()

    fail(breaker, times=2)

    assert not breaker.is_open


def test_lets_one_probe_through_in_each_interval(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    fail(breaker, times=3)
    too_early = breaker.claim_probe()

    clock.advance(SECOND)
    claims = [breaker.claim_probe() for _ in range(3)]
    clock.advance(SECOND)

    assert not too_early
    assert claims == [True, False, False]
    assert breaker.claim_probe()


def test_a_probe_that_went_well_puts_it_on_trial(breaker: CircuitBreaker) -> None:
    fail(breaker, times=3)

    breaker.confirm_probe()

    assert breaker.state is CircuitState.HALF_OPEN
    assert not breaker.is_open


def test_closes_when_the_trial_goes_well(breaker: CircuitBreaker) -> None:
    fail(breaker, times=3)
    breaker.confirm_probe()

    breaker.record_success()
    fail(breaker, times=2)

    assert breaker.state is CircuitState.CLOSED


def test_opens_again_at_the_first_failure_of_the_trial(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    fail(breaker, times=3)
    clock.advance(SECOND)
    breaker.confirm_probe()

    breaker.record_failure()

    assert breaker.is_open
    assert not breaker.claim_probe()


def test_what_ends_late_changes_nothing_while_it_is_open(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    fail(breaker, times=3)
    clock.advance(SECOND / 2)

    breaker.record_success()
    breaker.record_failure()
    clock.advance(SECOND / 2)

    assert breaker.is_open
    assert breaker.claim_probe()


def test_confirming_a_probe_does_nothing_to_one_that_is_not_open(breaker: CircuitBreaker) -> None:
    breaker.confirm_probe()

    assert breaker.state is CircuitState.CLOSED


def test_tells_each_change_once(breaker: CircuitBreaker) -> None:
    changes: list[CircuitState] = []
    breaker.on_change(changes.append)

    fail(breaker, times=5)
    breaker.confirm_probe()
    breaker.confirm_probe()
    breaker.record_failure()
    breaker.confirm_probe()
    breaker.record_success()
    breaker.record_success()

    assert changes == ["open", "half_open", "open", "half_open", "closed"]


@pytest.mark.parametrize(
    ("failures", "interval"), [(0, SECOND), (1, timedelta(0))], ids=["failures", "interval"]
)
def test_refuses_what_would_never_let_anything_through(failures: int, interval: timedelta) -> None:
    with pytest.raises(ValueError, match="circuit breaker"):
        CircuitBreaker(failures_to_open=failures, retry_interval=interval)
