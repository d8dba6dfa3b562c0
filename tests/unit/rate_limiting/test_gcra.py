from datetime import timedelta

import pytest

from fastapi_baseline.rate_limiting.gcra import LONGEST_DEBT, charge, get_remaining, get_wait
from fastapi_baseline.rate_limiting.policies import QuotaPolicy

SECOND = 1_000_000_000
TEN = QuotaPolicy(name="ten", quota=10, window=timedelta(seconds=10), burst=3)


@pytest.mark.parametrize(
    ("after", "cost", "wait"),
    [
        (0, 0, 0),
        (3 * SECOND, 3, 0),
        (3 * SECOND + 1, 1, 1),
        (5 * SECOND, 3, 2 * SECOND),
        (4 * SECOND, 4, 10 * SECOND),
    ],
    ids=["nothing", "all", "almost", "some", "never"],
)
def test_waits_until_the_cost_fits(after: int, cost: int, wait: int) -> None:
    assert get_wait(TEN, after, cost) == wait


@pytest.mark.parametrize(
    ("ahead", "remaining"), [(0, 3), (1, 2), (SECOND, 2), (3 * SECOND, 0), (9 * SECOND, 0)]
)
def test_counts_only_what_has_come_back_entirely(ahead: int, remaining: int) -> None:
    assert get_remaining(TEN, ahead) == remaining


@pytest.mark.parametrize(
    ("ahead", "cost", "after"),
    [
        (SECOND, 2, 3 * SECOND),
        (SECOND, 7, 8 * SECOND),
        (SECOND, -1, 0),
        (SECOND, -9, 0),
        (0, 10**9, LONGEST_DEBT),
    ],
)
def test_charges_what_it_is_told_to_within_reason(ahead: int, cost: int, after: int) -> None:
    assert charge(TEN, ahead, cost) == after


def test_a_debt_may_be_as_long_as_a_quota() -> None:
    yearly = QuotaPolicy(name="yearly", quota=10, window=timedelta(days=360))

    assert charge(yearly, 0, 100) == 2 * yearly.tolerance
