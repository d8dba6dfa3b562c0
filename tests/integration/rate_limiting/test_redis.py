import asyncio
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.engine import RateLimitEngine
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.redis import RedisRateLimitStore
from fastapi_baseline.redis import (
    CircuitBreaker,
    GuardedRedis,
    RedisUnavailableError,
    create_redis,
)
from fastapi_baseline.testing.server import free_port

ZERO = timedelta(0)
HOUR = timedelta(hours=1)
STRATEGIES = ["gcra", "fixed-window", "sliding-window"]


@pytest.fixture
def store(guard: GuardedRedis) -> RedisRateLimitStore:
    return RedisRateLimitStore(guard)


def make_policy(strategy: Any = "gcra", **values: Any) -> QuotaPolicy:
    usual: Any = {"name": "p", "quota": 10, "window": HOUR, "strategy": strategy}
    return QuotaPolicy(**{**usual, **values})


async def get_names(redis: Redis) -> list[Any]:
    return await redis.keys()  # pyright: ignore[reportUnknownMemberType] -- untyped keywords


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_two_hundred_at_once_get_no_more_than_the_quota(
    guard: GuardedRedis, strategy: Any
) -> None:
    stores = [RedisRateLimitStore(guard) for _ in range(4)]
    demands = [Demand(make_policy(strategy), "ann")]

    decisions = await asyncio.gather(
        *(stores[number % 4].acquire(demands) for number in range(200))
    )

    assert sum(decision.allowed for decision in decisions) == 10


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_time_is_what_the_server_says(store: RedisRateLimitStore, strategy: Any) -> None:
    brief = make_policy(strategy, quota=1, window=timedelta(milliseconds=20))
    demands = [Demand(brief, "ann")]

    async with asyncio.timeout(30):
        while (refused := await store.acquire(demands)).allowed:
            pass
        while not (await store.acquire(demands)).allowed:  # noqa: ASYNC110 -- time is the server's
            await asyncio.sleep(0)

    assert ZERO < refused.retry_after <= timedelta(milliseconds=41)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_counter_lives_until_it_means_nothing(
    store: RedisRateLimitStore, redis: Redis, strategy: Any
) -> None:
    decision = await store.acquire([Demand(make_policy(strategy), "ann")])

    (name,) = await get_names(redis)
    lifetime = timedelta(milliseconds=await redis.pttl(name))
    assert lifetime - decision.outcomes[0].reset + timedelta(seconds=5) >= ZERO
    assert lifetime <= 2 * HOUR + timedelta(milliseconds=2)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_nothing_is_kept_of_whom_everything_was_given_back_to(
    store: RedisRateLimitStore, redis: Redis, strategy: Any
) -> None:
    demands = [Demand(make_policy(strategy), "ann", 3)]
    await store.acquire(demands)

    await store.refund(demands)

    assert await get_names(redis) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_nothing_is_kept_of_whom_nothing_was_given_to(
    store: RedisRateLimitStore, redis: Redis, strategy: Any
) -> None:
    await store.acquire([Demand(make_policy(strategy), "ann", 11)])
    await store.acquire([Demand(make_policy(strategy), "ann", 0)])
    await store.peek([Demand(make_policy(strategy), "ann")])

    assert await get_names(redis) == []


async def test_a_counter_takes_few_bytes_with_the_shortest_name(
    store: RedisRateLimitStore, redis: Redis
) -> None:
    await store.acquire([Demand(make_policy(), "0123456789abcdef")])

    (name,) = await get_names(redis)
    await redis.copy(name, "a")
    used = await redis.memory_usage("a")  # pyright: ignore[reportUnknownMemberType] -- untyped keywords
    is_valkey = "valkey_version" in await redis.info("server")  # pyright: ignore[reportUnknownMemberType] -- untyped keywords
    assert used is not None
    # Valkey keeps name, value and end in one piece of memory (56 bytes), or the value in another.
    assert used <= (72 if is_valkey else 48)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_counter_that_is_something_else_is_begun_anew(
    store: RedisRateLimitStore, redis: Redis, strategy: Any
) -> None:
    demands = [Demand(make_policy(strategy), "ann", 10)]
    await store.acquire(demands)
    (name,) = await get_names(redis)
    await redis.set(name, "something else")

    decision = await store.acquire(demands)

    assert decision.allowed


async def test_goes_on_when_redis_has_forgotten_its_scripts_and_connections(
    store: RedisRateLimitStore, redis: Any
) -> None:
    demands = [Demand(make_policy(), "ann")]
    await store.acquire(demands)
    await redis.script_flush()
    await redis.client_kill_filter(_type="normal", skipme=False)

    decision = await store.acquire(demands)

    assert decision.outcomes[0].remaining == 8


async def test_services_keep_their_counters_apart(guard: GuardedRedis) -> None:
    stores = [RedisRateLimitStore(guard, namespace=name) for name in ("shop", "bank")]

    decisions = [await store.acquire([Demand(make_policy(), "ann", 10)]) for store in stores]

    assert [decision.allowed for decision in decisions] == [True, True]


async def test_what_belongs_to_one_caller_is_in_one_slot_of_a_cluster(
    store: RedisRateLimitStore, redis: Redis
) -> None:
    await store.acquire(
        [
            Demand(make_policy(name="a"), "ann"),
            Demand(make_policy(name="b"), "ann"),
            Demand(make_policy(name="c"), "{ann}:GET /users/{id}"),
        ]
    )

    names = await get_names(redis)
    assert len(names) == 3
    assert len({key_slot(name) for name in names}) == 1


@pytest.mark.counts_commands
async def test_a_decision_is_one_command(store: RedisRateLimitStore, redis: Any) -> None:
    demands = [Demand(make_policy(name=name), "ann") for name in "abc"]
    await store.acquire(demands)
    await redis.config_resetstat()

    for ask in (store.acquire, store.peek, store.charge, store.refund):
        await ask(demands)

    statistics: dict[str, Any] = await redis.info("commandstats")
    assert statistics["cmdstat_evalsha"]["calls"] == 4
    assert set(statistics) <= {
        "cmdstat_evalsha",
        "cmdstat_time",
        "cmdstat_get",
        "cmdstat_set",
        "cmdstat_config",
        "cmdstat_config|resetstat",
    }


async def test_says_that_redis_does_not_answer() -> None:
    async with create_redis(f"redis://127.0.0.1:{free_port()}/0") as client:
        guard = GuardedRedis(client, deadline=timedelta(seconds=5), breaker=CircuitBreaker())
        store = RedisRateLimitStore(guard)
        demands = [Demand(make_policy(), "ann")]

        for ask in (store.acquire, store.peek, store.charge, store.refund, store.forget):
            with pytest.raises(RedisUnavailableError):
                await ask(demands)


async def test_counts_by_itself_without_redis() -> None:
    async with create_redis(f"redis://127.0.0.1:{free_port()}/0") as client:
        guard = GuardedRedis(client, deadline=timedelta(seconds=5), breaker=CircuitBreaker())
        engine = RateLimitEngine(
            local=MemoryRateLimitStore(), shared=RedisRateLimitStore(guard), instances=5
        )

        decisions = [await engine.acquire([Demand(make_policy(), "ann")]) for _ in range(12)]

    assert [decision.allowed for decision in decisions] == [True] * 2 + [False] * 10
    assert {decision.source for decision in decisions} == {"local"}


@pytest.mark.counts_commands
async def test_what_redis_refused_is_refused_without_asking_it(
    store: RedisRateLimitStore, redis: Any
) -> None:
    engine = RateLimitEngine(local=MemoryRateLimitStore(), shared=store)
    demands = [Demand(make_policy(quota=1), "ann")]
    await engine.acquire(demands)
    await engine.acquire(demands)
    await redis.config_resetstat()

    decisions = [await engine.acquire(demands) for _ in range(20)]

    assert not any(decision.allowed for decision in decisions)
    assert "cmdstat_evalsha" not in await redis.info("commandstats")
