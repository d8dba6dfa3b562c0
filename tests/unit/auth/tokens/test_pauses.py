from datetime import timedelta

from fastapi_baseline.auth.tokens.pauses import Pauses
from fastapi_baseline.testing import ManualClock


def test_each_pause_is_twice_as_long_up_to_the_longest() -> None:
    pauses = Pauses(ManualClock(), longest_s=10)
    seen: list[float] = []

    for _ in range(50):
        pauses.fail()
        seen.append(pauses.until)

    assert seen[:6] == [1, 2, 4, 8, 10, 10]
    assert seen[-1] == 10


def test_some_failures_are_tolerated() -> None:
    pauses = Pauses(ManualClock(), longest_s=10, tolerated=2)
    seen: list[float] = []

    for _ in range(4):
        pauses.fail()
        seen.append(pauses.until)

    assert seen == [0, 0, 1, 2]


def test_an_answer_ends_them() -> None:
    clock = ManualClock()
    pauses = Pauses(clock, first_s=3, longest_s=10)
    clock.advance(timedelta(seconds=5))
    pauses.fail()
    assert (pauses.failures, pauses.failed_at, pauses.until) == (1, 5, 8)

    pauses.succeed()

    assert (pauses.failures, pauses.until) == (0, 0)
