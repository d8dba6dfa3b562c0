"""Probes of where things are kept: how they are taken out, what bounds them, and outages."""

import asyncio
import contextlib
import logging
import subprocess
import sys
import time
from importlib.metadata import requires

from cashews import Cache
from fastapi import FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache as cache2
from pydantic import BaseModel, field_serializer
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from benchmarks.peers.cache_defects.cached import (
    CACHE2,
    CACHEX,
    CASHEWS,
    ENVIRONMENT,
    cache2_on,
    cached,
    for_each,
    get,
)
from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.redis_servers import redis_process

_TIMEOUT = 0.2


async def _answer() -> dict[str, str]:
    return {"name": "thing"}


@probe("one_key_cleared", peer=CACHE2, environment=ENVIRONMENT)
async def one_key_cleared() -> Seen:
    """Keep five values, and clear one of them."""
    with redis_process() as server:
        async with Redis.from_url(server.url) as client, cache2_on(RedisBackend(client)):
            for number in range(5):
                await FastAPICache.get_backend().set(f"probe:{number}", b"kept", 60)
            told = await FastAPICache.clear(key="probe:0")
            left = await client.dbsize()
    return Seen(left != 4, f"{left} of 5 are left, and the answer is {told}")


@probe("commands_of_a_clear", peer=CACHE2, environment=ENVIRONMENT)
async def commands_of_a_clear() -> Seen:
    """Clear a namespace, and look how its keys are found."""
    with redis_process() as server:
        async with Redis.from_url(server.url) as client, cache2_on(RedisBackend(client)):
            await FastAPICache.get_backend().set("probe:namespace:1", b"kept", 60)
            await FastAPICache.clear(namespace="namespace")
        calls = server.calls()
    found = {name: calls[name] for name in ("KEYS", "SCAN") if name in calls}
    return Seen("KEYS" in found, f"{found}")


@probe("names_in_scripts", peer=CACHE2, environment=ENVIRONMENT)
async def names_in_scripts() -> Seen:
    """Clear a namespace whose name has the syntax of a script."""
    name = "x')) do end redis.call('SET', 'injected', '1') for _ in ipairs(redis.call('KEYS', 'x"
    with redis_process() as server:
        async with Redis.from_url(server.url) as client, cache2_on(RedisBackend(client)):
            with contextlib.suppress(Exception):
                await FastAPICache.clear(namespace=name)
            ran = await client.get("injected")
    return Seen(ran is not None, f"what the name said was run: {ran is not None}")


@probe("waits_for_redis", peer=CACHE2, environment=ENVIRONMENT)
async def waits_for_redis() -> Seen:
    """Freeze Redis, and ask three times for what is cached."""
    with redis_process() as server:
        client = Redis.from_url(server.url, socket_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 0))
        async with client, cache2_on(RedisBackend(client)):
            app = FastAPI()
            app.get("/")(cache2(expire=60)(_answer))
            await get(app)
            server.freeze()
            taken: list[float] = []
            for _ in range(3):
                started = time.monotonic()
                await get(app)
                taken.append(time.monotonic() - started)
            server.thaw()
    waits = [round(seconds / _TIMEOUT) for seconds in taken]
    return Seen(any(waits), f"timeouts of {_TIMEOUT} s waited for, by request: {waits}")


@probe("lines_of_an_outage", peer=CASHEWS, environment=ENVIRONMENT)
async def lines_of_an_outage() -> Seen:
    """End Redis, and count the lines of the log for ten values."""
    logging.disable(logging.NOTSET)
    with redis_process() as server:
        cache = Cache()
        cache.setup(server.url, suppress=True)
        await cache.set("key", "value")
        handler = _Lines()
        logging.getLogger().addHandler(handler)
        server.kill()
        try:
            for _ in range(10):
                with contextlib.suppress(Exception):
                    await cache.get("key")
        finally:
            logging.getLogger().removeHandler(handler)
            logging.disable()
    has_defect = handler.lines > 2
    return Seen(
        has_defect, f"10 reads: {handler.lines} lines, {handler.tracebacks} with tracebacks"
    )


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines = 0
        self.tracebacks = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += 1
        self.tracebacks += record.exc_info is not None


@probe("bounded_memory", peer=CACHE2, environment=ENVIRONMENT)
async def bounded_memory() -> Seen:
    """Keep 5,000 values for no time, and one more; look what two instances have."""
    async with cached(CACHE2):
        one, other = InMemoryBackend(), InMemoryBackend()
        for number in range(5000):
            await one.set(f"key-{number}", b"value", -1)
        await one.set("last", b"value", 60)
        held = len(one._store)  # noqa: SLF001 - nothing public counts
        shared = await other.get("last") is not None
    return Seen(held > 1 or shared, f"{held} kept, 1 of them alive; shared by instances: {shared}")


@probe("made_again", peer=CACHE2, environment=ENVIRONMENT)
async def made_again() -> Seen:
    """Set it up anew with another lifetime, as the tests of a service do."""
    app = FastAPI()
    app.get("/")(cache2()(_answer))
    seen: list[str | None] = []
    for expire in (10, 20):
        InMemoryBackend._store.clear()  # noqa: SLF001 - every instance has the same
        FastAPICache.reset()
        FastAPICache.init(InMemoryBackend(), prefix="probe", expire=expire)
        seen.append((await get(app)).header("cache-control"))
    FastAPICache.reset()
    return Seen(seen[0] == seen[1], f"with 10 s, then with 20 s: {seen}")


_SERIALISED: list[str] = []


class _Item(BaseModel):
    name: str

    @field_serializer("name")
    def note(self, name: str) -> str:
        """Note that the item is serialised."""
        _SERIALISED.append(name)
        return name


async def _work(peer: str) -> Seen:
    """Count how often a kept value is serialised again."""
    async with cached(peer) as ready:
        app = FastAPI()

        @app.get("/", response_model=_Item)
        @ready.decorate
        async def handle():
            return _Item(name="thing")

        await get(app)
        _SERIALISED.clear()
        await get(app)
    return Seen(bool(_SERIALISED), f"a hit serialised it {len(_SERIALISED)} times")


for_each("work_of_a_hit", (CACHE2, CACHEX), _work)


@probe("commands_of_a_hit", peer=CACHE2, environment=ENVIRONMENT)
async def commands_of_a_hit() -> Seen:
    """Count the commands of a hit."""
    with redis_process() as server:
        async with Redis.from_url(server.url) as client, cache2_on(RedisBackend(client)):
            app = FastAPI()
            app.get("/")(cache2(expire=60)(_answer))
            await get(app)
            before = server.calls()
            await get(app)
            after = server.calls()
    sent = {name: n - before.get(name, 0) for name, n in after.items() if n > before.get(name, 0)}
    return Seen("MULTI" in sent, f"{sent}")


@probe("sync_handlers", peer=CACHE2, environment=ENVIRONMENT)
async def sync_handlers() -> Seen:
    """Ask whether what is written with `def` still is what can be called without waiting."""

    def plain() -> str:
        return "done"

    is_async = asyncio.iscoroutinefunction(cache2(expire=60)(plain))
    return Seen(is_async, f"a coroutine function: {is_async}")


_WITHOUT_JINJA = "import sys; sys.modules['jinja2'] = None; import fastapi_cache"


@probe("what_is_imported", peer=CACHE2, environment=ENVIRONMENT)
async def what_is_imported() -> Seen:
    """Import it with nothing installed but what it asks for."""
    return _imported(asks_for_it=any("jinja2" in each for each in requires(CACHE2) or ()))


def _imported(*, asks_for_it: bool) -> Seen:
    command = (sys.executable, "-c", _WITHOUT_JINJA)
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    said = done.stderr.strip().splitlines()[-1:] or ["imported"]
    return Seen(done.returncode != 0 and not asks_for_it, said[0])
