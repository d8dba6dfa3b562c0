from dataclasses import replace
from datetime import timedelta

import pytest

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.policies import QuotaPolicy, Strategy
from fastapi_baseline.rate_limiting.store import RateLimitStore
from fastapi_baseline.testing import ManualClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ZERO = timedelta(0)
MICROSECOND = timedelta(microseconds=1)

THREE = QuotaPolicy(name="three", quota=3, window=MINUTE)
HOURLY = QuotaPolicy(name="hourly", quota=100, window=HOUR)


@pytest.fixture(params=["gcra", "fixed-window", "sliding-window"])
def three(request: pytest.FixtureRequest) -> QuotaPolicy:
    return replace(THREE, strategy=request.param)


async def test_grants_the_quota_and_no_more(store: RateLimitStore, three: QuotaPolicy) -> None:
    decisions = [await store.acquire([Demand(three, "ann")]) for _ in range(5)]

    assert [decision.allowed for decision in decisions] == [True, True, True, False, False]
    assert [decision.outcomes[0].remaining for decision in decisions] == [2, 1, 0, 0, 0]
    assert [decision.violated for decision in decisions] == [(), (), (), (three,), (three,)]


async def test_grants_again_after_the_time_that_it_said(
    store: RateLimitStore, three: QuotaPolicy, clock: ManualClock
) -> None:
    demand = Demand(three, "ann", 3)
    await store.acquire([demand])
    clock.advance(SECOND)
    refused = await store.acquire([demand])

    clock.advance(refused.retry_after - 2 * MICROSECOND)
    early = await store.peek([demand])
    clock.advance(2 * MICROSECOND)
    late = await store.acquire([demand])

    assert refused.retry_after == refused.outcomes[0].retry_after > ZERO
    assert (early.allowed, late.allowed) == (False, True)


async def test_everything_is_back_after_the_time_that_it_said(
    store: RateLimitStore, three: QuotaPolicy, clock: ManualClock
) -> None:
    first = await store.acquire([Demand(three, "ann", 2)])

    clock.advance(first.outcomes[0].reset)
    after = await store.peek([Demand(three, "ann", 3)])

    assert after.allowed
    assert after.outcomes[0].remaining == 3
    assert after.outcomes[0].reset == ZERO


async def test_callers_and_policies_are_counted_apart(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    other = replace(three, name="other")
    await store.acquire([Demand(three, "ann", 3)])

    decisions = [
        await store.acquire([demand]) for demand in (Demand(three, "bob"), Demand(other, "ann"))
    ]

    assert [decision.outcomes[0].remaining for decision in decisions] == [2, 2]


async def test_takes_from_all_policies_or_from_none(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    both = [Demand(HOURLY, "ann"), Demand(three, "ann")]

    decisions = [await store.acquire(both) for _ in range(20)]

    assert [decision.allowed for decision in decisions] == [True] * 3 + [False] * 17
    assert decisions[-1].violated == (three,)
    assert [outcome.remaining for outcome in decisions[-1].outcomes] == [97, 0]
    assert [outcome.allowed for outcome in decisions[-1].outcomes] == [True, False]


async def test_says_how_long_to_wait_for_the_slowest_policy(store: RateLimitStore) -> None:
    two = QuotaPolicy(name="two", quota=1, window=HOUR)
    both = [Demand(THREE, "ann", 3), Demand(two, "ann")]
    await store.acquire(both)

    refused = await store.acquire(both)

    assert [outcome.retry_after for outcome in refused.outcomes] == [MINUTE, HOUR]
    assert refused.retry_after == HOUR


async def test_a_policy_in_shadow_mode_counts_and_refuses_nobody(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    shadow = replace(three, shadow=True)
    both = [Demand(shadow, "ann"), Demand(HOURLY, "ann")]

    decisions = [await store.acquire(both) for _ in range(4)]

    assert [decision.allowed for decision in decisions] == [True] * 4
    assert [decision.shadowed for decision in decisions] == [(), (), (), (shadow,)]
    assert [outcome.remaining for outcome in decisions[-1].outcomes] == [0, 96]
    assert decisions[-1].retry_after == ZERO
    assert decisions[-1].violated == ()


async def test_one_policy_in_shadow_mode_refuses_nobody_either(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    shadow = replace(three, shadow=True)

    decisions = [await store.acquire([Demand(shadow, "ann")]) for _ in range(4)]

    assert [decision.allowed for decision in decisions] == [True] * 4
    assert decisions[-1].shadowed == (shadow,)
    assert decisions[-1].retry_after == ZERO


async def test_a_request_that_is_refused_takes_nothing_from_a_shadow(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    shadow = replace(HOURLY, shadow=True)
    await store.acquire([Demand(three, "ann", 3)])

    refused = await store.acquire([Demand(three, "ann"), Demand(shadow, "ann")])

    assert not refused.allowed
    assert refused.outcomes[1].remaining == 100


async def test_takes_as_much_as_a_request_costs(store: RateLimitStore, three: QuotaPolicy) -> None:
    first = await store.acquire([Demand(three, "ann", 2)])
    second = await store.acquire([Demand(three, "ann", 2)])

    assert (first.allowed, second.allowed) == (True, False)
    assert second.outcomes[0].remaining == 1


async def test_takes_nothing_from_a_request_that_costs_nothing(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    await store.acquire([Demand(three, "ann", 3)])

    free = await store.acquire([Demand(three, "ann", 0)])

    assert free.allowed
    assert free.outcomes[0].remaining == 0


async def test_never_grants_more_at_once_than_fits(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    decision = await store.acquire([Demand(three, "ann", 4)])

    assert not decision.allowed
    assert decision.retry_after == MINUTE
    assert decision.outcomes[0].remaining == 3


async def test_a_quota_of_nothing_refuses_everybody(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    decision = await store.acquire([Demand(replace(three, quota=0), "ann")])

    assert (decision.allowed, decision.retry_after) == (False, MINUTE)
    assert decision.outcomes[0].remaining == 0


async def test_grants_a_burst_and_then_as_much_as_comes_back(
    store: RateLimitStore, clock: ManualClock
) -> None:
    policy = QuotaPolicy(name="burst", quota=60, window=MINUTE, burst=2)
    granted: list[bool] = []

    for _ in range(3):
        granted += [(await store.acquire([Demand(policy, "ann")])).allowed for _ in range(3)]
        clock.advance(SECOND)

    assert granted == [True, True, False, True, False, False, True, False, False]


async def test_a_burst_may_be_more_than_the_quota(store: RateLimitStore) -> None:
    policy = QuotaPolicy(name="burst", quota=1, window=SECOND, burst=5)

    decision = await store.acquire([Demand(policy, "ann", 5)])

    assert decision.allowed
    assert decision.outcomes[0].reset == 5 * SECOND


async def test_a_fixed_window_begins_with_its_first_use(
    store: RateLimitStore, clock: ManualClock
) -> None:
    policy = replace(THREE, strategy="fixed-window")
    clock.advance(40 * SECOND)
    await store.acquire([Demand(policy, "ann", 3)])

    clock.advance(59 * SECOND)
    within = await store.acquire([Demand(policy, "ann")])
    clock.advance(SECOND)
    after = await store.acquire([Demand(policy, "ann")])

    assert (within.allowed, within.retry_after) == (False, SECOND)
    assert (after.allowed, after.outcomes[0].remaining) == (True, 2)


async def test_a_sliding_window_weighs_what_the_one_before_had(
    store: RateLimitStore, clock: ManualClock
) -> None:
    policy = QuotaPolicy(name="ten", quota=10, window=MINUTE, strategy="sliding-window")
    await store.acquire([Demand(policy, "ann", 10)])

    clock.advance(MINUTE + 15 * SECOND)
    decision = await store.peek([Demand(policy, "ann", 3)])

    assert decision.outcomes[0].remaining == 2
    assert decision.retry_after - 3 * SECOND in {ZERO, MICROSECOND}


async def test_a_sliding_window_forgets_the_one_before_the_last(
    store: RateLimitStore, clock: ManualClock
) -> None:
    policy = replace(THREE, strategy="sliding-window")
    await store.acquire([Demand(policy, "ann", 3)])

    clock.advance(2 * MINUTE)
    decision = await store.acquire([Demand(policy, "ann", 3)])

    assert decision.allowed


async def test_looking_takes_nothing(store: RateLimitStore, three: QuotaPolicy) -> None:
    looks = [await store.peek([Demand(three, "ann", 2)]) for _ in range(3)]

    assert [look.allowed for look in looks] == [True] * 3
    assert [look.outcomes[0].remaining for look in looks] == [3] * 3
    assert looks[0].outcomes[0].reset == ZERO


async def test_gives_back_what_was_taken(store: RateLimitStore, three: QuotaPolicy) -> None:
    await store.acquire([Demand(three, "ann", 3)])

    await store.refund([Demand(three, "ann", 2)])

    decision = await store.acquire([Demand(three, "ann")])
    assert (decision.allowed, decision.outcomes[0].remaining) == (True, 1)


async def test_gives_back_no_more_than_the_quota(store: RateLimitStore, three: QuotaPolicy) -> None:
    await store.acquire([Demand(three, "ann")])

    await store.refund([Demand(three, "ann", 50)])
    await store.refund([Demand(three, "bob", 50)])

    for key in ("ann", "bob"):
        decision = await store.peek([Demand(three, key, 4)])
        assert (decision.allowed, decision.outcomes[0].remaining) == (False, 3)


async def test_gives_back_what_the_window_before_took(
    store: RateLimitStore, clock: ManualClock
) -> None:
    policy = QuotaPolicy(name="ten", quota=10, window=MINUTE, strategy="sliding-window")
    await store.acquire([Demand(policy, "ann", 10)])
    clock.advance(MINUTE)
    await store.acquire([Demand(policy, "ann", 0)])

    await store.refund([Demand(policy, "ann", 4)])

    assert (await store.peek([Demand(policy, "ann")])).outcomes[0].remaining == 4


async def test_charges_more_than_is_left(store: RateLimitStore, three: QuotaPolicy) -> None:
    await store.charge([Demand(three, "ann", 5)])

    decision = await store.acquire([Demand(three, "ann")])

    assert (decision.allowed, decision.outcomes[0].remaining) == (False, 0)


async def test_a_debt_has_to_be_waited_for(store: RateLimitStore, clock: ManualClock) -> None:
    await store.charge([Demand(THREE, "ann", 6)])

    clock.advance(MINUTE)
    within = await store.acquire([Demand(THREE, "ann")])
    clock.advance(within.retry_after)
    after = await store.acquire([Demand(THREE, "ann")])

    assert (within.allowed, within.retry_after) == (False, 20 * SECOND)
    assert after.allowed


async def test_a_debt_is_over_some_day(store: RateLimitStore) -> None:
    await store.charge([Demand(THREE, "ann", 10**15)])

    decision = await store.peek([Demand(THREE, "ann")])

    assert timedelta(days=52) < decision.outcomes[0].reset < timedelta(days=53)


async def test_forgets_whom_it_is_told_to(store: RateLimitStore, three: QuotaPolicy) -> None:
    for key in ("ann", "bob"):
        await store.acquire([Demand(three, key, 3)])

    await store.forget([Demand(three, "ann"), Demand(three, "unknown")])

    decisions = [await store.acquire([Demand(three, key)]) for key in ("ann", "bob")]
    assert [decision.allowed for decision in decisions] == [True, False]


async def test_nothing_is_asked_of_nobody(store: RateLimitStore) -> None:
    decision = await store.acquire([])
    await store.charge([])
    await store.forget([])

    assert (decision.allowed, decision.outcomes) == (True, ())


async def test_refuses_a_cost_that_would_add_to_the_quota(
    store: RateLimitStore, three: QuotaPolicy
) -> None:
    demand = Demand(three, "ann", -1)

    for ask in (store.acquire, store.peek):
        with pytest.raises(ValueError, match="not negative"):
            await ask([demand])
        with pytest.raises(ValueError, match="not negative"):
            await ask([Demand(HOURLY, "ann"), demand])


@pytest.mark.parametrize("other", ["gcra", "fixed-window", "sliding-window"])
async def test_a_policy_that_counts_in_another_way_starts_anew(
    store: RateLimitStore, three: QuotaPolicy, other: Strategy
) -> None:
    await store.acquire([Demand(three, "ann", 3)])

    changed = replace(three, strategy=other)
    decision = await store.acquire([Demand(changed, "ann")])

    assert decision.allowed is (other != three.strategy)


@pytest.mark.parametrize(
    "key", ["{ann}:GET /a", "{ann}", "ann:with:colons", "€ {x}", "{}", "{", ""]
)
async def test_keys_may_look_like_anything(store: RateLimitStore, key: str) -> None:
    decisions = [await store.acquire([Demand(THREE, key)]) for _ in range(4)]

    assert [decision.allowed for decision in decisions] == [True, True, True, False]


async def test_a_thousand_a_nanosecond_is_still_a_limit(store: RateLimitStore) -> None:
    policy = QuotaPolicy(name="many", quota=60_000_000_000_000, window=MINUTE, burst=10)

    decision = await store.acquire([Demand(policy, "ann", 10)])

    assert (decision.allowed, decision.outcomes[0].remaining) == (True, 0)


async def test_years_are_counted_to_the_last_request(
    store: RateLimitStore, clock: ManualClock, three: QuotaPolicy
) -> None:
    policy = replace(three, quota=1_000_003, window=timedelta(days=720))
    taken = await store.acquire([Demand(policy, "ann", 1_000_002)])
    clock.advance(MICROSECOND)

    decisions = [await store.acquire([Demand(policy, "ann")]) for _ in range(2)]

    assert taken.allowed
    assert [decision.allowed for decision in decisions] == [True, False]
