"""Probes of slowapi on Redis: how many round trips it takes, and what an outage does."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

from fastapi import FastAPI, Request, Response
from slowapi import Limiter

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import ask, scope_of
from benchmarks.peers.limits_defects.limited import (
    ENVIRONMENT,
    PEER,
    application,
    limiter,
    statuses,
)
from benchmarks.peers.redis_servers import RedisProcess, redis_process

# One try that is short: by the defaults of redis-py, a request would wait for a minute.
_TIMEOUT = 0.3
_OPTIONS = {"socket_timeout": _TIMEOUT, "retry": None}


def _on(server: RedisProcess, **options: object) -> tuple[FastAPI, Limiter]:
    limits = limiter(storage_uri=server.url, storage_options=dict(_OPTIONS), **options)
    app = application(limits, layer=None)

    @app.get("/")
    @limits.limit("1000/minute")
    async def handle(request: Request, response: Response) -> str:
        return f"{request.method} {response.status_code}"

    return app, limits


@contextlib.asynccontextmanager
async def _ticks() -> AsyncGenerator[list[float]]:
    """Give the times, in seconds, between two turns of the event loop."""
    gaps: list[float] = []

    async def tick() -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            gaps.append(now - before)
            before = now

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0.02)
    try:
        yield gaps
    finally:
        await asyncio.sleep(0.01)
        ticking.cancel()


@probe("loop_while_redis_hangs", peer=PEER, environment=ENVIRONMENT)
async def loop_while_redis_hangs() -> Seen:
    """Freeze Redis, ask once, and look how long nothing else was served meanwhile."""
    with redis_process() as server:
        app, _limits = _on(server, swallow_errors=True)
        await statuses(app, "/")
        server.freeze()
        async with _ticks() as gaps:
            await ask(app, scope_of())
    gap = max(gaps)
    seen = f"with a timeout of {_TIMEOUT} s, the event loop stood still for {gap:.1f} s"
    return Seen(gap > _TIMEOUT / 2, seen)


@probe("answers_while_redis_is_down", peer=PEER, environment=ENVIRONMENT)
async def answers_while_redis_is_down() -> Seen:
    """End Redis, and ask: as set up by default, and with errors swallowed."""
    seen: dict[str, list[int | None]] = {}
    for swallows in (False, True):
        with redis_process() as server:
            app, _limits = _on(server, swallow_errors=swallows)
            server.kill()
            seen[f"swallow_errors={swallows}"] = await statuses(app, "/", "/")
    return Seen(any(500 in each for each in seen.values()), f"{seen}")


@probe("outage_within_a_request", peer=PEER, environment=ENVIRONMENT)
async def outage_within_a_request() -> Seen:
    """End Redis between the decision and the headers, with a fallback in memory."""
    with redis_process() as server:
        limits = limiter(
            storage_uri=server.url,
            storage_options=dict(_OPTIONS),
            headers_enabled=True,
            in_memory_fallback=["1000/minute"],
        )
        app = application(limits, layer=None)

        @app.get("/")
        @limits.limit("1000/minute")
        async def handle(request: Request, response: Response) -> str:
            server.kill()
            return f"{request.method} {response.status_code}"

        seen = await statuses(app, "/")
    return Seen(seen != [200], f"{seen}")


@probe("round_trips", peer=PEER, environment=ENVIRONMENT)
async def round_trips() -> Seen:
    """Count the commands of a request that gets headers."""
    with redis_process() as server:
        app, _limits = _on(server, headers_enabled=True)
        await statuses(app, "/")
        before = server.calls()
        await statuses(app, "/")
        after = server.calls()
    # What a script runs is counted too, but takes no round trip.
    taken = {name: n - before.get(name, 0) for name, n in after.items()}
    sent = {name: taken[name] for name in ("EVALSHA", "GET", "TTL", "PTTL") if taken.get(name)}
    return Seen(sum(sent.values()) > 1, f"{sent}")


@probe("all_or_nothing", peer=PEER, environment=ENVIRONMENT)
async def all_or_nothing() -> Seen:
    """Send 20 requests at `100/hour;1/minute`, and look what is left of the hour."""
    limits = limiter()
    app = application(limits, layer=None)

    @app.get("/")
    @limits.limit("100/hour;1/minute")
    async def handle(request: Request) -> str:
        return request.method

    found = await statuses(app, *["/"] * 20)
    used = max(limits._storage.storage.values())  # noqa: SLF001 - nothing public counts
    answered = found.count(200)
    return Seen(used > answered, f"{answered} of 20 answered, {used} of the hour's 100 used")
