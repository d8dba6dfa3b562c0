"""The contenders, each as an application that is ready to be served."""

import importlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from benchmarks._http.service import ItemId, PartCount, Shelf
from benchmarks._one_route import ROUTE, add_route, guarded, in_create_app, make_guard
from benchmarks._rounds import BARE
from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.decorator import cached
from fastapi_baseline.caching.middleware import ResponseCacheMiddleware
from fastapi_baseline.caching.redis import RedisCacheStore
from fastapi_baseline.settings import CacheSettings

UNCACHED = "the cached route, without its cache"
L1, PUBLIC, REDIS = "l1", "public", "redis"
STACK, STACK_L1, STACK_PUBLIC = "create_app", "create_app, l1", "create_app, public"
CACHE2, CACHE2_REDIS = "fastapi-cache2", "fastapi-cache2 on Redis"
CACHEX = "fastapi-cachex"
# Longer than any round: every request but the first is a hit.
SECONDS = 3600
PARTS = 100


def make(name: str, *, redis: str | None) -> ASGIApp:
    """Return the application of a contender; `redis` is the URL of those that need one."""
    return _MAKERS[name](redis or "")


def _bare(_redis: str) -> FastAPI:
    """Return a route that answers the same bytes, and has nothing to do but to write them."""
    app, item = FastAPI(), Shelf().get(42, part_count=PARTS).model_dump()

    @app.get(ROUTE)
    async def get_ready_item(item_id: ItemId, part_count: PartCount = 3) -> JSONResponse:
        del item_id, part_count
        return JSONResponse(item)

    return app


def _uncached(_redis: str) -> FastAPI:
    return add_route(FastAPI())


def _in_memory(_redis: str, *, public: bool = False) -> FastAPI:
    cache = Cache(settings=CacheSettings(jitter=0))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with cache.lifespan(app):
            yield

    return _cached(cache, FastAPI(lifespan=lifespan), public=public)


def _on_redis(redis: str) -> FastAPI:
    guard = make_guard(redis)
    # Nothing is kept in the process: every hit is one of Redis.
    settings = CacheSettings(jitter=0, max_size=0)
    cache = Cache(remote=RedisCacheStore(guard), settings=settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with guarded(guard, app), cache.lifespan(app):
            yield

    return _cached(cache, FastAPI(lifespan=lifespan))


def _cached(cache: Cache, app: FastAPI, *, public: bool = False) -> FastAPI:
    """Add the layer and the route, and nothing else of the library."""
    app.add_middleware(ResponseCacheMiddleware, cache=cache, answers_conditions=True)
    return add_route(app, cached(SECONDS, public=public))


def _stack(_redis: str, *, public: bool | None = None) -> FastAPI:
    return in_create_app(None if public is None else cached(SECONDS, public=public))


def _peer(module: str) -> Callable[[str], FastAPI]:
    def make_peer(redis: str) -> FastAPI:
        # What pyright is not to look into; the second is in an environment of its own only.
        peer: Any = importlib.import_module(f"benchmarks.peers.{module}")
        app: FastAPI = peer.make(seconds=SECONDS, redis=redis)
        return app

    return make_peer


_MAKERS: Mapping[str, Callable[[str], ASGIApp]] = {
    BARE: _bare,
    UNCACHED: _uncached,
    L1: _in_memory,
    PUBLIC: partial(_in_memory, public=True),
    REDIS: _on_redis,
    STACK: _stack,
    STACK_L1: partial(_stack, public=False),
    STACK_PUBLIC: partial(_stack, public=True),
    CACHE2: lambda _redis: _peer("with_fastapi_cache2")(""),
    CACHE2_REDIS: _peer("with_fastapi_cache2"),
    CACHEX: lambda _redis: _peer("with_fastapi_cachex")(""),
}
NAMES = tuple(_MAKERS)
