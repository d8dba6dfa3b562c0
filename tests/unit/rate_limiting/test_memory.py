from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.testing import ManualClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
TEN = QuotaPolicy(name="ten", quota=10, window=MINUTE)

PAUSES = st.integers(0, 3) | st.integers(0, 90_000_000)
REQUESTS = st.lists(st.tuples(PAUSES, st.integers(0, 12)), min_size=1, max_size=60)


@given(
    quota=st.integers(1, 2_000),
    window=st.integers(1, 10_000_000),
    burst=st.none() | st.integers(1, 20),
    requests=REQUESTS,
)
def test_never_grants_more_than_the_burst_and_what_came_back(
    quota: int, window: int, burst: int | None, requests: list[tuple[int, int]]
) -> None:
    policy = QuotaPolicy(name="p", quota=quota, window=timedelta(microseconds=window), burst=burst)
    clock = ManualClock()
    store = MemoryRateLimitStore(clock=clock)
    granted: list[tuple[int, int]] = []
    now = 0

    for pause, cost in requests:
        now += pause
        clock.advance(timedelta(microseconds=pause))
        if store.acquire_nowait([Demand(policy, "ann", cost)]).allowed:
            granted.append((now, cost))

    for first, (start, _) in enumerate(granted):
        for last in range(first, len(granted)):
            used = sum(cost for _, cost in granted[first : last + 1])
            elapsed = granted[last][0] - start
            assert used * window <= policy.capacity * window + quota * elapsed


@given(quota=st.integers(1, 50), window=st.integers(1, 10_000_000), requests=REQUESTS)
def test_a_fixed_window_never_grants_more_than_the_quota(
    quota: int, window: int, requests: list[tuple[int, int]]
) -> None:
    policy = QuotaPolicy(
        name="p", quota=quota, window=timedelta(microseconds=window), strategy="fixed-window"
    )
    clock = ManualClock()
    store = MemoryRateLimitStore(clock=clock)
    now = end = used = 0

    for pause, cost in requests:
        now += pause
        clock.advance(timedelta(microseconds=pause))
        if now >= end:
            end, used = now, 0
        if store.acquire_nowait([Demand(policy, "ann", cost)]).allowed and cost:
            end = end if used else now + window
            used += cost

        assert used <= quota


@given(
    policies=st.lists(
        st.builds(
            QuotaPolicy,
            name=st.sampled_from("abcd"),
            quota=st.integers(0, 6),
            window=st.integers(1, 100).map(lambda seconds: seconds * SECOND),
            strategy=st.sampled_from(["gcra", "fixed-window", "sliding-window"]),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda policy: policy.name,
    ),
    requests=REQUESTS,
)
def test_all_policies_are_taken_from_or_none(
    policies: list[QuotaPolicy], requests: list[tuple[int, int]]
) -> None:
    clock = ManualClock()
    store = MemoryRateLimitStore(clock=clock)

    for pause, cost in requests:
        clock.advance(timedelta(microseconds=pause))
        demands = [Demand(policy, "ann", cost) for policy in policies]
        before = [outcome.remaining for outcome in store.peek_nowait(demands).outcomes]
        decision = store.acquire_nowait(demands)
        after = [outcome.remaining for outcome in decision.outcomes]

        assert decision.allowed == all(outcome.allowed for outcome in decision.outcomes)
        taken = cost if decision.allowed else 0
        assert [old - new for old, new in zip(before, after, strict=True)] == [taken] * len(after)


@given(
    policy=st.builds(
        QuotaPolicy,
        name=st.just("p"),
        quota=st.integers(1, 100),
        window=st.integers(1, 100_000_000).map(lambda number: timedelta(microseconds=number)),
        strategy=st.sampled_from(["gcra", "fixed-window", "sliding-window"]),
    ),
    requests=REQUESTS,
)
def test_whoever_waits_as_told_is_served(
    policy: QuotaPolicy, requests: list[tuple[int, int]]
) -> None:
    clock = ManualClock()
    store = MemoryRateLimitStore(clock=clock)

    for pause, cost in requests:
        clock.advance(timedelta(microseconds=pause))
        demand = Demand(policy, "ann", min(cost, policy.capacity))
        refused = store.acquire_nowait([demand])
        clock.advance(refused.retry_after)

        assert refused.allowed or store.acquire_nowait([demand]).allowed


def test_forgets_whom_it_has_not_seen_for_longest_when_it_is_full() -> None:
    store = MemoryRateLimitStore(clock=ManualClock(), max_keys=2)
    for key in ("ann", "bob", "ann", "eve"):
        store.acquire_nowait([Demand(TEN, key)])

    left = [store.peek_nowait([Demand(TEN, key)]).outcomes[0].remaining for key in ("ann", "bob")]

    assert left == [8, 10]
    assert len(store) == 2


@pytest.mark.parametrize("strategy", ["gcra", "fixed-window"])
def test_whoever_is_refused_is_not_forgotten_for_others(strategy: Any) -> None:
    one = QuotaPolicy(name="one", quota=1, window=MINUTE, strategy=strategy)
    store = MemoryRateLimitStore(clock=ManualClock(), max_keys=2)

    for key in ("ann", "bob", "ann", "eve"):
        store.acquire_nowait([Demand(one, key)])

    assert not store.acquire_nowait([Demand(one, "ann")]).allowed


@pytest.mark.parametrize("strategy", ["gcra", "fixed-window", "sliding-window"])
def test_shrinks_when_a_flood_is_over(strategy: Any) -> None:
    clock = ManualClock()
    store = MemoryRateLimitStore(clock=clock)
    policy = QuotaPolicy(name="ten", quota=10, window=MINUTE, strategy=strategy)
    for number in range(1_000):
        store.acquire_nowait([Demand(policy, f"bot {number}")])

    clock.advance(2 * MINUTE)
    for number in range(600):
        store.acquire_nowait([Demand(policy, f"user {number}")])

    assert len(store) == 600


def test_a_policy_may_take_the_place_of_another_that_is_over() -> None:
    clock = ManualClock()
    store = MemoryRateLimitStore(clock=clock)
    other = QuotaPolicy(name="other", quota=10, window=MINUTE, strategy="fixed-window")
    store.acquire_nowait([Demand(other, "ann")])
    clock.advance(MINUTE)

    decision = store.acquire_nowait([Demand(TEN, "ann"), Demand(other, "ann", 0)])

    assert [outcome.remaining for outcome in decision.outcomes] == [9, 10]


async def test_keeps_nothing_of_whom_everything_was_given_back_to() -> None:
    store = MemoryRateLimitStore(clock=ManualClock())

    await store.refund([Demand(TEN, "ann")])

    assert len(store) == 0


@pytest.mark.parametrize("allowed", [True, False])
def test_one_policy_is_decided_on_as_several_are(*, allowed: bool) -> None:
    clock = ManualClock()
    stores = [MemoryRateLimitStore(clock=clock) for _ in range(2)]
    generous = QuotaPolicy(name="generous", quota=1_000, window=MINUTE)
    demand = Demand(TEN, "ann", 4 if allowed else 11)

    alone = stores[0].acquire_nowait([demand])
    together = stores[1].acquire_nowait([demand, Demand(generous, "ann")])

    assert alone == together._replace(outcomes=together.outcomes[:1])


def test_has_room_for_somebody() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        MemoryRateLimitStore(max_keys=0)
