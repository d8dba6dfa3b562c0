"""The memory of a process and Redis decide alike, whatever is asked of them, and whenever."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fastapi_baseline.rate_limiting.decisions import Decision, Demand
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.policies import QuotaPolicy, Strategy
from fastapi_baseline.rate_limiting.redis import RedisRateLimitStore
from fastapi_baseline.redis import GuardedRedis
from fastapi_baseline.testing import ManualClock

STRATEGIES: list[Strategy] = ["gcra", "fixed-window", "sliding-window"]

_examples = count()

# Long enough that no counter expires by the clock of the server while an example runs.
WINDOWS = st.integers(min_value=30_000_000, max_value=40_000_000_000_000).map(
    lambda microseconds: timedelta(microseconds=microseconds)
)
QUOTAS = st.one_of(st.integers(0, 5), st.integers(1, 10**12))


@st.composite
def policies(draw: st.DrawFn) -> QuotaPolicy:
    strategy = draw(st.sampled_from(STRATEGIES))
    return QuotaPolicy(
        name=draw(st.sampled_from(["a", "b", "c"])),
        quota=draw(QUOTAS),
        window=draw(WINDOWS),
        burst=draw(st.none() | st.integers(1, 20)) if strategy == "gcra" else None,
        strategy=strategy,
        shadow=draw(st.booleans()),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> list[tuple[str, list[tuple[QuotaPolicy, int]], float]]:
    known = draw(st.lists(policies(), min_size=1, max_size=3, unique_by=lambda policy: policy.name))
    # Above it, doubles tell only every sixteenth nanosecond from the next.
    assume(all(policy.tolerance <= 2**55 for policy in known if policy.strategy == "gcra"))
    longest = max(policy.window for policy in known) / timedelta(microseconds=1)
    return [
        (
            draw(st.sampled_from(["acquire", "acquire", "acquire", "peek", "charge", "refund"])),
            [
                (policy, draw(st.integers(0, 4) | st.integers(0, max(4, policy.quota))))
                for policy in known
                if draw(st.booleans())
            ],
            draw(st.just(0) | st.integers(0, 10) | st.integers(0, int(longest))),
        )
        for _ in range(draw(st.integers(1, 8)))
    ]


async def ask(store: Any, operation: str, demands: Sequence[Demand]) -> Decision | None:
    decision: Decision | None = await getattr(store, operation)(demands)
    return decision and decision._replace(source="redis")


@given(scenario=scenarios())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_both_stores_decide_alike(guard: GuardedRedis, scenario: Any) -> None:
    clock = ManualClock()
    clock.advance(timedelta(days=20_000))
    memory = MemoryRateLimitStore(clock=clock)
    redis = RedisRateLimitStore(guard, clock=clock)
    key = f"example {next(_examples)}"

    for operation, costs, pause in scenario:
        clock.advance(timedelta(microseconds=pause))
        demands = [Demand(policy, key, cost) for policy, cost in costs]

        assert await ask(redis, operation, demands) == await ask(memory, operation, demands)


@pytest.mark.parametrize("quota", [1, 7, 1_000, 1_000_000, 3_000_000_000])
async def test_both_stores_grant_the_same_at_the_edge_of_each_microsecond(
    guard: GuardedRedis, quota: int
) -> None:
    clock = ManualClock()
    clock.advance(timedelta(days=20_000))
    stores = [MemoryRateLimitStore(clock=clock), RedisRateLimitStore(guard, clock=clock)]
    policy = QuotaPolicy(name="edge", quota=quota, window=timedelta(minutes=1), burst=3)

    for _ in range(12):
        answers = [await ask(store, "acquire", [Demand(policy, "k")]) for store in stores]

        assert answers[0] == answers[1]
        assert answers[0] is not None
        clock.advance(answers[0].retry_after)
