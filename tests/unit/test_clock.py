from datetime import UTC, timedelta

from fastapi_baseline.clock import SystemClock


def test_tells_an_aware_time_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_never_goes_back() -> None:
    clock = SystemClock()

    assert timedelta(0) <= timedelta(seconds=clock.monotonic() - clock.monotonic()) * -1
