from datetime import UTC, datetime, timedelta, timezone

import pytest

from fastapi_baseline.clock import Clock
from fastapi_baseline.testing import ManualClock


def test_stands_still_by_itself() -> None:
    clock: Clock = ManualClock()

    assert clock.now() == clock.now()
    assert clock.monotonic() == clock.monotonic()


def test_moves_by_what_it_is_told() -> None:
    clock = ManualClock(datetime(2026, 5, 1, 12, tzinfo=UTC))

    clock.advance(timedelta(minutes=90))

    assert clock.now() == datetime(2026, 5, 1, 13, 30, tzinfo=UTC)
    assert clock.monotonic() == 5400.0


def test_tells_the_time_in_utc() -> None:
    clock = ManualClock(datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))))

    assert clock.now().tzinfo is UTC
    assert clock.now().hour == 10


def test_refuses_a_naive_start() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 5, 1))  # noqa: DTZ001 - that is the point.


def test_refuses_to_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(timedelta(seconds=-1))
