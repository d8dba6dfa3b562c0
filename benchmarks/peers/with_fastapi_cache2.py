"""A route that fastapi-cache2 caches, as its documentation says."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from redis.asyncio import Redis

from benchmarks._http.service import Item, ItemId, PartCount, get_shelf


def make(*, seconds: int, redis: str) -> FastAPI:
    """Return an application with the route; without the URL of Redis it keeps in memory."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        backend = RedisBackend(Redis.from_url(redis)) if redis else InMemoryBackend()
        FastAPICache.init(backend, prefix="benchmark")
        yield

    app = FastAPI(lifespan=lifespan)

    # Without the dependency: an object in its keys would make every request a miss.
    @app.get("/v1/items/{item_id}", response_model=Item)  # noqa: FAST001 - the decorator hides it
    @cache(expire=seconds)
    async def get_item(item_id: ItemId, part_count: PartCount = 3) -> Item:
        return (await get_shelf()).get(item_id, part_count=part_count)

    return app
