"""What a decision costs in this process, without a server: in memory, and with Redis."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from benchmarks._one_route import make_guard
from benchmarks.peers.redis_servers import RedisProcess
from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.redis import RedisRateLimitStore

FEW, MANY = 100, 20_000
_POLICIES = [
    QuotaPolicy(name=f"policy-{number}", quota=10_000_000, window=timedelta(minutes=1))
    for number in range(3)
]
_LOCAL, _REMOTE = 40_000, 300
_BLOCKS = 5


def local_costs() -> dict[str, float]:
    """Return what decisions cost, in microseconds, by how many callers are counted.

    Each decision is another caller's, so what is looked up is not what was looked up just before.
    """
    demands = {count: _demands(count) for count in (FEW, MANY)}
    stores = {count: MemoryRateLimitStore() for count in demands}
    times: dict[int, list[float]] = {count: [] for count in demands}
    gc.collect()
    gc.freeze()
    for number in range(_BLOCKS + 1):
        for count, store in stores.items():
            taken = _microseconds(store, demands[count])
            if number:  # The first block makes the keys.
                times[count].append(taken)
    gc.unfreeze()
    few, many = min(times[FEW]), min(times[MANY])
    return {
        f"a local decision, {FEW} keys, µs": round(few, 3),
        f"a local decision, {MANY} keys, µs": round(many, 3),
        "local_20000_over_100_keys": round(few / many, 3),
    }


def _demands(count: int) -> Sequence[Sequence[Demand]]:
    each = [(Demand(_POLICIES[0], f"caller-{number}"),) for number in range(count)]
    return each * (_LOCAL // count)


def _microseconds(store: MemoryRateLimitStore, demands: Sequence[Sequence[Demand]]) -> float:
    started = time.process_time_ns()
    for demand in demands:
        store.acquire_nowait(demand)
    return (time.process_time_ns() - started) / len(demands) / 1000


def redis_costs(redis: RedisProcess) -> dict[str, float]:
    """Return what decisions take with Redis, in microseconds, and the bytes of a key."""
    return asyncio.run(_redis_costs(redis))


async def _redis_costs(redis: RedisProcess) -> dict[str, float]:
    guard = make_guard(redis.url)
    store = RedisRateLimitStore(guard)
    found: dict[str, float] = {}
    for count in (1, 3):
        demands = [Demand(policy, "caller") for policy in _POLICIES[:count]]

        async def acquire(demands: Sequence[Demand] = demands) -> None:
            await store.acquire(demands)

        found[f"a decision of Redis, {count} policies, µs"] = await _elapsed(acquire)
    client: Any = guard.client  # It is typed in part.
    ping: Callable[[], Awaitable[object]] = client.ping
    found["a PING of Redis, µs"] = await _elapsed(ping)
    found["a PING through the guard, µs"] = await _elapsed(lambda: guard.run(ping))
    found |= await _sizes(client, store)
    await guard.client.aclose()
    return found


async def _sizes(client: Any, store: RedisRateLimitStore) -> dict[str, float]:
    """Return how many bytes a key takes that was hit many times."""
    await client.flushdb()
    policy = QuotaPolicy(name="policy", quota=1000, window=timedelta(hours=1))
    for _ in range(_REMOTE):
        await store.acquire([Demand(policy, "caller")])
    (key,) = [bytes(key) async for key in client.scan_iter()]
    named = int(await client.memory_usage(key) or 0)
    # What is not the name: a service chooses that, and another one is longer or shorter.
    await client.rename(key, "k")
    size = int(await client.memory_usage("k") or 0)
    return {
        f"bytes of the key {key.decode()}": named,
        "bytes of a key in Redis, with a name of one byte": size,
    }


async def _elapsed(call: Callable[[], Awaitable[object]]) -> float:
    for _ in range(50):
        await call()
    blocks: list[float] = []
    for _ in range(_BLOCKS):
        started = time.perf_counter_ns()
        for _ in range(_REMOTE):
            await call()
        blocks.append((time.perf_counter_ns() - started) / _REMOTE / 1000)
    return round(min(blocks), 1)
