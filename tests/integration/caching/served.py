"""A service of which several processes run at once, and share a Redis."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from fastapi_baseline import Settings
from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.redis import RedisCacheStore
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, create_redis

_settings = Settings.load()
assert _settings.redis_url is not None
# Processes that start at once on a busy machine are slow, and that is not what is tested.
_PATIENCE = timedelta(seconds=10)
redis = create_redis(_settings.redis_url.get_secret_value(), reply_timeout=_PATIENCE)
guard = GuardedRedis(redis, deadline=_PATIENCE, breaker=CircuitBreaker())
cache = Cache(
    remote=RedisCacheStore(guard),
    settings=_settings.cache.model_copy(update={"lock_timeout": 3 * _PATIENCE}),
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with redis, cache.lifespan(app):
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/values/{name}")
async def read(name: str) -> int:
    async def make() -> int:
        number: int = await redis.incr(f"made {name}")
        while await redis.get(f"go {name}") is None:  # noqa: ASYNC110 -- the test is another process
            await asyncio.sleep(0.005)
        return number

    return await cache.get_or_set(name, make, tags=[name])


@app.post("/invalidate/{name}")
async def invalidate(name: str) -> None:
    await cache.invalidate(name)


@app.get("/ready")
async def is_ready() -> None: ...
