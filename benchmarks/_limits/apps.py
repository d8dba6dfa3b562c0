"""The contenders, each as an application that is ready to be served."""

import importlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from benchmarks._one_route import add_route, guarded, in_create_app, make_guard
from benchmarks._rounds import BARE
from fastapi_baseline.rate_limiting.application import make_rate_limits
from fastapi_baseline.rate_limiting.limiter import RateLimiter
from fastapi_baseline.rate_limiting.redis import RedisRateLimitStore
from fastapi_baseline.redis import GuardedRedis
from fastapi_baseline.settings import RateLimitSettings

LOCAL, REDIS = "local", "redis"
STACK, STACK_LOCAL = "create_app", "create_app, limited"
SLOWAPI, SLOWAPI_REDIS = "slowapi", "slowapi on Redis"
SLOWAPI_DECORATOR = "slowapi, its decorator alone"
SLOWAPI_DECORATOR_REDIS = "slowapi on Redis, its decorator alone"
# Never reached: what is measured is a decision, and the headers that tell it.
QUOTA = "100000000/minute"


def make(name: str, *, redis: str | None) -> ASGIApp:
    """Return the application of a contender; `redis` is the URL of those that need one."""
    return _MAKERS[name](redis or "")


def _bare(_redis: str) -> FastAPI:
    return add_route(FastAPI())


def _limited(guard: GuardedRedis | None) -> FastAPI:
    """Return an application that has the layer and the limits, and nothing else of the library."""
    store = RedisRateLimitStore(guard) if guard else None
    limits = make_rate_limits(RateLimitSettings(), shared=store)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with limits.lifespan(app):
            if guard is None:
                yield
                return
            async with guarded(guard, app):
                yield

    app = FastAPI(lifespan=lifespan)
    limiter = RateLimiter()
    app.state.limiter = limiter
    layer = limits.layer()
    app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    return add_route(app, limiter.limit(QUOTA))


def _with_redis(redis: str) -> FastAPI:
    return _limited(make_guard(redis))


def _stack(_redis: str) -> FastAPI:
    return in_create_app()


def _stack_local(_redis: str) -> FastAPI:
    limiter = RateLimiter()
    app = in_create_app(limiter.limit(QUOTA))
    app.state.limiter = limiter
    return app


def _slowapi(redis: str | None, *, has_layer: bool = True) -> FastAPI:
    # What pyright is not to look into: slowapi is typed in part.
    peers: Any = importlib.import_module("benchmarks.peers.with_slowapi")
    app: FastAPI = peers.make(quota=QUOTA, redis=redis, has_layer=has_layer)
    return app


_MAKERS: Mapping[str, Callable[[str], ASGIApp]] = {
    BARE: _bare,
    LOCAL: lambda _redis: _limited(None),
    REDIS: _with_redis,
    STACK: _stack,
    STACK_LOCAL: _stack_local,
    SLOWAPI: lambda _redis: _slowapi(None),
    SLOWAPI_REDIS: _slowapi,
    SLOWAPI_DECORATOR: lambda _redis: _slowapi(None, has_layer=False),
    SLOWAPI_DECORATOR_REDIS: lambda redis: _slowapi(redis, has_layer=False),
}
NAMES = tuple(_MAKERS)
