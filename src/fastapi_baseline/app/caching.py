"""The cache of an application, for services that have one."""

import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from opentelemetry.metrics import MeterProvider
from starlette.middleware import Middleware

from fastapi_baseline.app.shared import Shared
from fastapi_baseline.clock import Clock
from fastapi_baseline.lifecycle import StatelessLifespan
from fastapi_baseline.settings import Settings

logger = logging.getLogger(__name__)

_OURS = "fastapi_baseline.caching"
_FASTAPI_CACHE = "fastapi_cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCache:
    """What a cache adds to an application."""

    layer: Middleware | None
    lifespan: StatelessLifespan
    inner_lifespans: list[StatelessLifespan] = field(default_factory=list[StatelessLifespan])


def is_caching() -> bool:
    """Return whether code of the service has imported what it caches with.

    A service that does not cache loads none of the libraries for it, though they be installed.
    """
    return _OURS in sys.modules or _FASTAPI_CACHE in sys.modules


@asynccontextmanager
async def report_missing_cache(app: Any) -> AsyncGenerator[None]:
    """Say so if the service has begun to cache only after the application was made."""
    if is_caching() and not hasattr(app.state, "cache"):
        logger.warning(
            "Nothing is cached: fastapi_baseline.caching was imported after the application was "
            "made. Import what uses it before create_app() or install()."
        )
    yield


def open_cache(
    app: FastAPI,
    settings: Settings,
    *,
    shared: Shared,
    clock: Clock,
    meter_provider: MeterProvider,
) -> OpenedCache:
    """Make the cache of `app`; nothing connects yet.

    Raises:
        MissingExtraError: If the extra `cache` is not installed.
    """
    # Only a service that caches pays for the import of its codec.
    from fastapi_baseline.caching import Cache, ResponseCacheMiddleware  # noqa: PLC0415

    cache = app.state.cache = Cache(
        remote=None if shared.make_cache_store is None else shared.make_cache_store(),
        clock=clock,
        settings=settings.cache,
        meter_provider=meter_provider,
    )
    if hasattr(app.state, "database"):
        app.state.database.on_change(cache.invalidate)
    layer = None
    if settings.cache.enabled:
        answers = not settings.conditional_requests.enabled
        layer = Middleware(ResponseCacheMiddleware, cache=cache, answers_conditions=answers)
    return OpenedCache(
        layer=layer,
        lifespan=cache.lifespan,
        inner_lifespans=[_adopting(cache)] if _FASTAPI_CACHE in sys.modules else [],
    )


def _adopting(cache: Any) -> StatelessLifespan:
    from fastapi_baseline.caching.compat import fastapi_cache_lifespan  # noqa: PLC0415 -- likewise

    @asynccontextmanager
    async def adopt(_app: Any) -> AsyncGenerator[None]:
        async with fastapi_cache_lifespan(cache):
            yield

    return adopt
