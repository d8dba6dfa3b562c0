from datetime import timedelta

import pytest

from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.window_counters import FixedWindow, SlidingWindow

FIXED = QuotaPolicy(name="p", quota=10, window=timedelta(microseconds=100), strategy="fixed-window")
SLIDING = QuotaPolicy(
    name="p", quota=10, window=timedelta(microseconds=100), strategy="sliding-window"
)


@pytest.mark.parametrize(
    ("state", "window"),
    [
        (None, FixedWindow(150, 0)),
        (FixedWindow(60, 3), FixedWindow(60, 3)),
        (FixedWindow(50, 3), FixedWindow(150, 0)),
        (SlidingWindow(0, 1, 2), FixedWindow(150, 0)),
    ],
    ids=["new", "same", "over", "other"],
)
def test_a_fixed_window_starts_when_there_is_none(state: object, window: FixedWindow) -> None:
    assert FixedWindow.at(state, FIXED, 50) == window


@pytest.mark.parametrize(
    ("state", "window"),
    [
        (None, SlidingWindow(200, 0, 0)),
        (SlidingWindow(200, 5, 3), SlidingWindow(200, 5, 3)),
        (SlidingWindow(100, 5, 3), SlidingWindow(200, 3, 0)),
        (SlidingWindow(0, 5, 3), SlidingWindow(200, 0, 0)),
        (FixedWindow(300, 3), SlidingWindow(200, 0, 0)),
    ],
    ids=["new", "same", "next", "later", "other"],
)
def test_a_sliding_window_remembers_the_one_before(state: object, window: SlidingWindow) -> None:
    assert SlidingWindow.at(state, SLIDING, 250) == window


@pytest.mark.parametrize(
    ("used", "cost", "wait"), [(7, 3, 0), (8, 3, 20), (0, 11, 100)], ids=["fits", "full", "never"]
)
def test_a_fixed_window_is_waited_for(used: int, cost: int, wait: int) -> None:
    assert FixedWindow(70, used).get_wait(FIXED, 50, cost) == wait


@pytest.mark.parametrize(
    ("window", "cost", "wait"),
    [
        (SlidingWindow(0, 8, 4), 2, 0),
        (SlidingWindow(0, 8, 4), 4, 26),
        (SlidingWindow(0, 8, 9), 3, 50 + 24),
        (SlidingWindow(0, 8, 4), 11, 100),
    ],
    ids=["fits", "soon", "in-the-next", "never"],
)
def test_a_sliding_window_is_waited_for(window: SlidingWindow, cost: int, wait: int) -> None:
    assert window.get_wait(SLIDING, 50, cost) == wait


def test_says_what_remains_and_when_everything_is_back() -> None:
    windows = [SlidingWindow(0, 5, 3), SlidingWindow(0, 5, 0), SlidingWindow(0, 0, 0)]

    assert [window.get_remaining(SLIDING, 50) for window in windows] == [4, 7, 10]
    assert [window.get_reset(SLIDING, 50) for window in windows] == [150, 50, 0]
    assert [window.is_used for window in windows] == [True, True, False]
    assert [FixedWindow(70, used).get_reset(FIXED, 50) for used in (1, 0)] == [20, 0]


def test_gives_back_first_what_was_used_last() -> None:
    window = SlidingWindow(0, 5, 3)

    assert [window.add(-cost) for cost in (2, 4, 9)] == [
        SlidingWindow(0, 5, 1),
        SlidingWindow(0, 4, 0),
        SlidingWindow(0, 0, 0),
    ]
