"""Probes of requests that come at once, before anything is kept."""

import asyncio
import contextlib
from contextvars import ContextVar

from cashews import Cache
from fastapi import FastAPI, Response

from benchmarks.peers.cache_defects.cached import (
    CACHE2,
    CACHEX,
    CASHEWS,
    ENVIRONMENT,
    HISHEL,
    cached,
    for_each,
    get,
)
from benchmarks.peers.defects.probe import Seen, probe

_AT_ONCE = 20


async def _at_once(peer: str) -> Seen:
    """Ask twenty times at once for what takes a while."""
    runs = 0
    async with cached(peer) as ready:
        app = FastAPI()

        @app.get("/")
        @ready.decorate
        async def handle(response: Response) -> str:
            nonlocal runs
            runs += 1
            await asyncio.sleep(0.05)
            response.headers.update(ready.headers)
            return "done"

        served = ready.behind(app)
        await asyncio.gather(*(get(served) for _ in range(_AT_ONCE)))
    return Seen(runs > 1, f"{runs} of {_AT_ONCE} ran, as it is set up by default")


for_each("one_of_many", (CACHE2, CACHEX, HISHEL), _at_once)


def _protected() -> Cache:
    cache = Cache()
    cache.setup("mem://")
    return cache


@probe("one_of_many", peer=CASHEWS, environment=ENVIRONMENT)
async def one_of_many_cashews() -> Seen:
    """Likewise, with a function."""
    runs, cache = 0, _protected()

    @cache(ttl="1m", key="probe")
    async def make() -> str:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.05)
        return "done"

    await asyncio.gather(*(make() for _ in range(_AT_ONCE)))
    return Seen(runs > 1, f"{runs} of {_AT_ONCE} ran, as it is set up by default")


@probe("caller_who_gives_up", peer=CASHEWS, environment=ENVIRONMENT)
async def caller_who_gives_up() -> Seen:
    """Let the first of several callers give up, of what takes a while."""
    cache = _protected()

    @cache(ttl="1m", key="probe")
    async def make() -> str:
        await asyncio.sleep(0.2)
        return "done"

    async def impatient() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await make()

    _first, *others = await asyncio.gather(
        impatient(), *(make() for _ in range(3)), return_exceptions=True
    )
    seen = [type(each).__name__ if isinstance(each, BaseException) else each for each in others]
    return Seen(seen != ["done"] * 3, f"the others get {seen}")


_CALLER: ContextVar[str] = ContextVar("caller")


@probe("context_of_a_caller", peer=CASHEWS, environment=ENVIRONMENT)
async def context_of_a_caller() -> Seen:
    """Read who calls within what several callers wait for."""
    cache = _protected()

    @cache(ttl="1m", key="probe")
    async def make() -> str:
        await asyncio.sleep(0.05)
        return _CALLER.get("nobody")

    async def as_caller(name: str) -> str:
        _CALLER.set(name)
        return await make()

    seen = await asyncio.gather(*(as_caller(name) for name in ("alice", "bob")))
    return Seen(seen[1] == "alice", f"alice and bob get {list(seen)}")
