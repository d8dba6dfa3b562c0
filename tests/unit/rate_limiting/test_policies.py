from datetime import timedelta
from typing import Any

import pytest
from limits import parse_many

from fastapi_baseline.rate_limiting.policies import Quota, QuotaPolicy, parse_quotas

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "text",
    [
        "100/minute",
        "1 per second",
        "1per 5 hours",
        "5/2hours",
        " 5 / 10 Seconds ",
        "1/day;10/month,20/year | 3 per 15 minutes",
        "0/minute",
        "7/0second",
        "2PER3days",
    ],
)
def test_reads_limits_as_slowapi_does(text: str) -> None:
    quotas = parse_quotas(text)

    assert [(quota.amount, quota.window) for quota in quotas] == [
        (item.amount, timedelta(seconds=item.get_expiry())) for item in parse_many(text)
    ]


def test_gives_each_quota_of_a_list() -> None:
    assert parse_quotas("100/hour;1/minute") == (
        Quota(100, timedelta(hours=1)),
        Quota(1, MINUTE),
    )


@pytest.mark.parametrize(
    "text",
    ["", "often", "10", "10/", "/minute", "-1/minute", "1.5/minute", "1/minute;", "1/minute x"],
)
def test_refuses_what_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit: write one like 100/minute"):
        parse_quotas(text)


def test_refuses_a_period_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match=r"'fortnights' is no period: choose one of second, "):
        parse_quotas("1/fortnights")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"name": ""}, "name of a policy"),
        ({"name": "a\r\nb"}, "name of a policy"),
        ({"name": "é"}, "name of a policy"),
        ({"quota": -1}, "quota is not negative"),
        ({"window": timedelta(0)}, "window is not empty"),
        ({"burst": 0}, "burst is at least 1"),
        ({"burst": 2, "strategy": "fixed-window"}, "Only the strategy gcra has a burst"),
    ],
    ids=["empty", "lines", "letters", "negative", "instant", "no-burst", "burst-of-a-window"],
)
def test_refuses_values_that_no_limit_has(values: Any, complaint: str) -> None:
    usual: Any = {"name": "p", "quota": 1, "window": SECOND}

    with pytest.raises(ValueError, match=complaint):
        QuotaPolicy(**{**usual, **values})


def test_may_be_used_up_at_once_unless_it_says_otherwise() -> None:
    policy = QuotaPolicy(name="p", quota=10, window=MINUTE)
    bursting = QuotaPolicy(name="p", quota=10, window=MINUTE, burst=3)

    assert (policy.capacity, bursting.capacity) == (10, 3)


def test_gives_back_never_too_early() -> None:
    policy = QuotaPolicy(name="p", quota=7, window=SECOND)

    assert policy.emission_interval == 142_857_143
    assert policy.tolerance == 7 * policy.emission_interval


def test_long_windows_are_counted_in_steps_that_redis_can_tell_apart() -> None:
    policy = QuotaPolicy(name="p", quota=7, window=timedelta(days=360))

    assert policy.tolerance >= 2**52
    assert policy.emission_interval % 8 == 0


def test_policies_with_the_same_values_are_the_same() -> None:
    first, second = (QuotaPolicy(name="p", quota=7, window=SECOND) for _ in range(2))

    assert (first, hash(first)) == (second, hash(second))
    assert repr(first).endswith("strategy='gcra', failure_mode='local', shadow=False)")
