"""Probes of limits, the engine below slowapi."""

import inspect
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import requires

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import (
    STRATEGIES,
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    SlidingWindowCounterRateLimiter,
)
from packaging.requirements import Requirement

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.limits_defects.limited import ENVIRONMENT
from benchmarks.peers.redis_servers import RedisProcess, redis_process

PEER = "limits"
_HITS = 3000
_A_MINUTE = RateLimitItemPerMinute(10_000)


def _storage(server: RedisProcess) -> RedisStorage:
    return RedisStorage(f"async+{server.url}", implementation="redispy")


@probe("bursts_and_even_rates", peer=PEER, environment=ENVIRONMENT)
async def bursts_and_even_rates() -> Seen:
    """Look for a strategy that lets a burst through and refills evenly."""
    names = sorted(STRATEGIES)
    return Seen(not {"gcra", "token-bucket"} & set(names), f"strategies: {names}")


@probe("decision_in_one_round_trip", peer=PEER, environment=ENVIRONMENT)
async def decision_in_one_round_trip() -> Seen:
    """Count the round trips of a decision, with what is left and until when."""
    with redis_process() as server:
        storage = _storage(server)
        limiter = SlidingWindowCounterRateLimiter(storage)
        await limiter.hit(_A_MINUTE, "caller")
        sent = 0

        async def counted(call: Callable[[], Awaitable[object]]) -> None:
            nonlocal sent
            before = server.calls().get("EVALSHA", 0)
            await call()
            sent += server.calls().get("EVALSHA", 0) - before

        await counted(lambda: limiter.hit(_A_MINUTE, "caller"))
        await counted(lambda: limiter.get_window_stats(_A_MINUTE, "caller"))
    return Seen(sent > 1, f"{sent} scripts")


@probe("bytes_of_a_key", peer=PEER, environment=ENVIRONMENT)
async def bytes_of_a_key() -> Seen:
    """Hit each strategy 3,000 times for one caller, and measure what Redis keeps."""
    strategies = (FixedWindowRateLimiter, SlidingWindowCounterRateLimiter, MovingWindowRateLimiter)
    seen: dict[str, int] = {}
    for strategy in strategies:
        with redis_process() as server:
            limiter = strategy(_storage(server))
            for _ in range(_HITS):
                await limiter.hit(_A_MINUTE, "caller")
            with server.client() as client:
                taken = sum(client.memory_usage(key) for key in client.scan_iter())
            # How a list is packed depends on the digits of the time.
            seen[strategy.__name__] = taken if taken < 1000 else round(taken, -3)
    return Seen(max(seen.values()) > 1000, f"bytes: {seen}")


@probe("clock_of_the_server", peer=PEER, environment=ENVIRONMENT)
async def clock_of_the_server() -> Seen:
    """Hit one limit from two processes, the clock of one of which is two minutes ahead."""
    item = RateLimitItemPerMinute(2)
    now = time.time  # noqa: TID251 - the clock that is set wrong
    with redis_process() as server:
        limiter = MovingWindowRateLimiter(_storage(server))
        first = [await limiter.hit(item, "caller") for _ in range(3)]
        time.time = lambda: now() + 120  # noqa: TID251 - likewise
        try:
            ahead = [await limiter.hit(item, "caller") for _ in range(2)]
        finally:
            time.time = now  # noqa: TID251 - likewise
    return Seen(any(ahead), f"2 a minute: {first} of one, then {ahead} of the one ahead")


@probe("cost_by_live_keys", peer=PEER, environment=ENVIRONMENT)
async def cost_by_live_keys() -> Seen:
    """Compare what a decision costs in memory with 100 and with 20,000 live keys."""
    costs: list[float] = []
    for keys in (100, 20_000):
        storage = MemoryStorage()
        limiter = FixedWindowRateLimiter(storage)
        ends = time.time() + 60  # noqa: TID251 - the clock that it reads
        for number in range(keys):
            storage.storage[f"key-{number}"] = 1
            storage.expirations[f"key-{number}"] = ends
        started = time.perf_counter()
        for _ in range(50):
            await limiter.hit(_A_MINUTE, "caller")
            await storage.timer  # What goes through all of its keys, after each hit.
        costs.append((time.perf_counter() - started) / 50)
    factor = costs[1] / costs[0]
    return Seen(factor > 5, f"more than {_step(factor)} times as much at 20,000 keys as at 100")


def _step(factor: float) -> int:
    """Return the largest of some round numbers that a factor exceeds: times vary with each run."""
    return max((step for step in (0, 1, 5, 10, 20, 50) if factor > step), default=0)


@probe("bounded_keys", peer=PEER, environment=ENVIRONMENT)
async def bounded_keys() -> Seen:
    """Hit the memory with 2,000 callers, and look for what would set a bound."""
    storage = MemoryStorage()
    limiter = FixedWindowRateLimiter(storage)
    for number in range(2000):
        await limiter.hit(_A_MINUTE, f"caller-{number}")
    options = [name for name in inspect.signature(MemoryStorage).parameters if "max" in name]
    kept = len(storage.storage)
    return Seen(kept == 2000 and not options, f"{kept} keys of 2000 callers, bounds: {options}")


@probe("reset_without_keys", peer=PEER, environment=ENVIRONMENT)
async def reset_without_keys() -> Seen:
    """Reset what is counted, and look how its keys are found."""
    with redis_process() as server:
        storage = _storage(server)
        await FixedWindowRateLimiter(storage).hit(_A_MINUTE, "caller")
        await storage.reset()
        calls = server.calls()
    found = {name: calls[name] for name in ("KEYS", "SCAN") if name in calls}
    return Seen("KEYS" in found, f"{found}")


@probe("current_redis", peer=PEER, environment=ENVIRONMENT)
async def current_redis() -> Seen:
    """Look whether its extra can be installed beside the current release of redis-py."""
    return _extra(PEER)


@probe("current_redis", peer="slowapi", environment=ENVIRONMENT)
async def current_redis_slowapi() -> Seen:
    """Likewise."""
    return _extra("slowapi")


def _extra(package: str) -> Seen:
    wanted = [Requirement(each) for each in requires(package) or ()]
    (found,) = {
        str(each.specifier)
        for each in wanted
        if each.name == "redis"
        and (each.marker is None or each.marker.evaluate({"extra": "redis"}))
    }
    fits = all("8.1.0" in each.specifier for each in wanted if str(each.specifier) == found)
    return Seen(not fits, f"redis{found}")
