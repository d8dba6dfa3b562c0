from datetime import timedelta

import pytest

from fastapi_baseline.persistence.errors import LockTimeoutError, SerializationFailureError
from fastapi_baseline.persistence.sessions.retries import Backoff, retrying


class Sleeper:
    """What a backoff waits with; it remembers for how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class Collisions:
    """What collides so many times, and then succeeds."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.attempts = 0

    async def __call__(self) -> str:
        self.attempts += 1
        if self.left:
            self.left -= 1
            raise SerializationFailureError
        return "done"


def _backoff(sleeper: Sleeper, *, random: float) -> Backoff:
    return Backoff(
        first=timedelta(milliseconds=20),
        longest=timedelta(milliseconds=100),
        random=lambda: random,
        sleep=sleeper,
    )


async def test_waits_up_to_a_limit_that_doubles_until_it_is_long_enough() -> None:
    sleeper = Sleeper()

    await retrying(Collisions(5), retries=5, backoff=_backoff(sleeper, random=1.0))

    assert sleeper.seconds == pytest.approx([0.02, 0.04, 0.08, 0.1, 0.1])


async def test_waits_any_time_below_the_limit() -> None:
    sleeper = Sleeper()

    await retrying(Collisions(3), retries=3, backoff=_backoff(sleeper, random=0.25))

    assert sleeper.seconds == pytest.approx([0.005, 0.01, 0.02])


async def test_a_great_many_retries_do_not_wait_longer() -> None:
    sleeper = Sleeper()

    await _backoff(sleeper, random=1.0).wait(100_000)

    assert sleeper.seconds == pytest.approx([0.1])


async def test_waits_for_nothing_if_nothing_collides() -> None:
    sleeper = Sleeper()

    result = await retrying(Collisions(0), retries=3, backoff=_backoff(sleeper, random=1.0))

    assert result == "done"
    assert sleeper.seconds == []


async def test_raises_the_last_error_without_waiting_for_nothing() -> None:
    sleeper, collisions = Sleeper(), Collisions(9)

    with pytest.raises(SerializationFailureError):
        await retrying(collisions, retries=2, backoff=_backoff(sleeper, random=1.0))

    assert collisions.attempts == 3
    assert len(sleeper.seconds) == 2


async def test_does_not_repeat_a_wait_for_a_lock() -> None:
    async def wait_for_a_lock() -> None:
        raise LockTimeoutError

    sleeper = Sleeper()

    with pytest.raises(LockTimeoutError):
        await retrying(wait_for_a_lock, retries=3, backoff=_backoff(sleeper, random=1.0))

    assert sleeper.seconds == []


async def test_refuses_less_than_no_retries() -> None:
    with pytest.raises(ValueError, match="-1"):
        await retrying(Collisions(0), retries=-1)
