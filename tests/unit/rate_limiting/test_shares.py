from dataclasses import replace
from datetime import timedelta

import pytest

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.shares import LocalShares

TEN = QuotaPolicy(name="ten", quota=10, window=timedelta(minutes=1))


@pytest.mark.parametrize(
    ("quota", "burst", "share"),
    [(10, None, (3, None)), (2, None, (1, None)), (0, None, (0, None)), (10, 7, (3, 2))],
)
def test_divides_what_may_be_used(
    quota: int, burst: int | None, share: tuple[int, int | None]
) -> None:
    policy = replace(TEN, quota=quota, burst=burst)

    (demand,) = LocalShares(3).apply([Demand(policy, "ann")])

    assert (demand.policy.quota, demand.policy.burst) == share
    assert demand.policy == replace(policy, quota=share[0], burst=share[1])


def test_an_instance_that_is_alone_has_everything() -> None:
    demands = [Demand(TEN, "ann")]

    assert LocalShares(1).apply(demands) is demands


def test_a_cost_is_at_most_a_share_unless_nobody_could_grant_it() -> None:
    demands = [Demand(TEN, "ann", cost) for cost in (2, 10, 11)]

    assert [demand.cost for demand in LocalShares(3).apply(demands)] == [2, 3, 11]


def test_not_all_policies_are_remembered() -> None:
    shares = LocalShares(2)

    for quota in range(2, 1_100):
        shares.apply([Demand(replace(TEN, quota=quota), "ann")])

    assert len(shares) < 1_000


def test_there_is_at_least_one_instance() -> None:
    with pytest.raises(ValueError, match="at least one instance"):
        LocalShares(0)
