"""Responses and values that are kept, and given again: in each process, and in Redis for all.

    @router.get("/orders/{order_id}")
    @cached(timedelta(minutes=5), tags=["orders", "order:{order_id}"])
    async def get_order(order_id: int) -> Order: ...

`cached` is for routes, and `Cache.get_or_set` for any value. Code that uses `@cache` of
fastapi-cache2 runs on the same cache (`caching.compat`).
"""

from fastapi_baseline.caching.after_commit import invalidate_after_commit
from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.decorator import cached
from fastapi_baseline.caching.dependency import AppCache, get_cache
from fastapi_baseline.caching.entries import Entry, Found
from fastapi_baseline.caching.errors import InvalidTagError, UncacheableValueError
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.caching.lookup import NotStoredError
from fastapi_baseline.caching.memory import MemoryCacheStore
from fastapi_baseline.caching.middleware import ResponseCacheMiddleware
from fastapi_baseline.caching.single_flight import Flight
from fastapi_baseline.caching.store import CacheStore, Invalidation
from fastapi_baseline.caching.tags import key_of

__all__ = [
    "AppCache",
    "Cache",
    "CacheStore",
    "Entry",
    "Flight",
    "Found",
    "InvalidTagError",
    "Invalidation",
    "Lifetime",
    "MemoryCacheStore",
    "NotStoredError",
    "ResponseCacheMiddleware",
    "UncacheableValueError",
    "cached",
    "get_cache",
    "invalidate_after_commit",
    "key_of",
]
