from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from limits.aio.storage import MemoryStorage, RedisStorage
from redis.asyncio import Redis

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.engine import RateLimitEngine
from fastapi_baseline.rate_limiting.errors import RateLimitUnavailableError
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.windows import LimitsRateLimitStore
from fastapi_baseline.testing.server import free_port

ZERO = timedelta(0)
HOUR = timedelta(hours=1)
LONG = timedelta(seconds=10)
HOURLY = QuotaPolicy(name="100 per hour", quota=100, window=HOUR, strategy="fixed-window")


@pytest.fixture
def store(redis: Redis) -> LimitsRateLimitStore:
    pool: Any = redis.connection_pool
    storage = RedisStorage("async+redis://", implementation="redispy", connection_pool=pool)
    return LimitsRateLimitStore(storage, deadline=LONG)


@pytest.fixture(params=["fixed-window", "sliding-window"])
def three(request: pytest.FixtureRequest) -> QuotaPolicy:
    return QuotaPolicy(name="three", quota=3, window=HOUR, strategy=request.param)


async def test_grants_the_quota_and_no_more(
    store: LimitsRateLimitStore, three: QuotaPolicy
) -> None:
    decisions = [await store.acquire([Demand(three, "ann")]) for _ in range(5)]

    assert [decision.allowed for decision in decisions] == [True, True, True, False, False]
    assert [decision.outcomes[0].remaining for decision in decisions] == [2, 1, 0, 0, 0]
    assert ZERO < decisions[4].retry_after <= 2 * HOUR
    assert (await store.acquire([Demand(three, "bob")])).allowed


async def test_takes_from_all_policies_or_from_none(
    store: LimitsRateLimitStore, three: QuotaPolicy
) -> None:
    both = [Demand(HOURLY, "ann"), Demand(three, "ann")]

    decisions = [await store.acquire(both) for _ in range(6)]

    assert [decision.allowed for decision in decisions] == [True] * 3 + [False] * 3
    assert [outcome.remaining for outcome in decisions[-1].outcomes] == [97, 0]
    assert decisions[-1].violated == (three,)


async def test_a_policy_in_shadow_mode_refuses_nobody(
    store: LimitsRateLimitStore, three: QuotaPolicy
) -> None:
    shadow = replace(three, shadow=True)
    both = [Demand(shadow, "ann"), Demand(HOURLY, "ann")]

    decisions = [await store.acquire(both) for _ in range(4)]

    assert [decision.allowed for decision in decisions] == [True] * 4
    assert decisions[-1].shadowed == (shadow,)
    assert decisions[-1].outcomes[1].remaining == 96


async def test_looks_without_taking(store: LimitsRateLimitStore, three: QuotaPolicy) -> None:
    await store.acquire([Demand(three, "ann")])

    looks = [await store.peek([Demand(three, "ann", cost)]) for cost in (2, 3, 4)]

    assert [look.allowed for look in looks] == [True, False, False]
    assert [look.outcomes[0].remaining for look in looks] == [2, 2, 2]
    assert looks[2].retry_after == HOUR


async def test_charges_and_forgets(store: LimitsRateLimitStore, three: QuotaPolicy) -> None:
    demand = Demand(three, "ann", 3)
    await store.charge([demand, Demand(three, "bob", 0)])
    await store.refund([demand])
    charged = await store.acquire([demand])

    await store.forget([demand])

    assert (charged.allowed, (await store.acquire([demand])).allowed) == (False, True)


async def test_a_request_that_costs_nothing_takes_nothing(
    store: LimitsRateLimitStore, three: QuotaPolicy
) -> None:
    decision = await store.acquire([Demand(three, "ann", 0)])

    assert (decision.allowed, decision.outcomes[0].remaining) == (True, 3)


async def test_refuses_a_cost_that_would_add_to_the_quota(
    store: LimitsRateLimitStore, three: QuotaPolicy
) -> None:
    with pytest.raises(ValueError, match="not negative"):
        await store.acquire([Demand(three, "ann", -1)])


async def test_has_no_gcra(store: LimitsRateLimitStore) -> None:
    policy = QuotaPolicy(name="p", quota=1, window=HOUR)

    with pytest.raises(ValueError, match="has no strategy gcra"):
        await store.acquire([Demand(policy, "ann")])


def test_the_memory_of_the_library_is_refused() -> None:
    storage: Any = MemoryStorage()

    with pytest.raises(ConfigurationError, match="use MemoryRateLimitStore"):
        LimitsRateLimitStore(storage)


async def test_a_policy_decides_when_the_storage_does_not_answer(three: QuotaPolicy) -> None:
    storage = RedisStorage(f"async+redis://127.0.0.1:{free_port()}", implementation="redispy")
    store = LimitsRateLimitStore(storage)
    engine = RateLimitEngine(local=MemoryRateLimitStore(), shared=store)

    with pytest.raises(RateLimitUnavailableError):
        await store.acquire([Demand(three, "ann")])

    decision = await engine.acquire([Demand(three, "ann")])
    assert (decision.allowed, decision.source) == (True, "local")
