from datetime import timedelta

import pytest

from fastapi_baseline.auth.sessions.store import get_touch_interval


@pytest.mark.parametrize(
    ("idle_timeout", "interval"),
    [
        (timedelta(hours=1), timedelta(minutes=1)),
        (timedelta(minutes=10), timedelta(minutes=1)),
        (timedelta(minutes=5), timedelta(seconds=30)),
        (timedelta(seconds=1), timedelta(milliseconds=100)),
    ],
)
def test_a_session_in_use_ends_too_early_by_a_tenth_at_most(
    idle_timeout: timedelta, interval: timedelta
) -> None:
    assert get_touch_interval(idle_timeout) == interval
