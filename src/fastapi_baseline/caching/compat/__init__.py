"""Code that uses `@cache` of fastapi-cache2, on the cache of the application.

An application has this for whoever imports `fastapi_cache`. By hand:

    FastAPICache.init(BaselineBackend(cache), coder=TypedCoder, key_builder=make_key)

What `@cache` does between them stays as it is: one run for each of those who ask at once, the value
before the response model, its header texts. `fastapi_baseline.caching.cached` does better.
"""

from fastapi_baseline.caching.compat.backend import BaselineBackend
from fastapi_baseline.caching.compat.coder import TypedCoder
from fastapi_baseline.caching.compat.installation import fastapi_cache_lifespan, init_fastapi_cache
from fastapi_baseline.caching.compat.key_builder import KeyBuilder, make_key

__all__ = [
    "BaselineBackend",
    "KeyBuilder",
    "TypedCoder",
    "fastapi_cache_lifespan",
    "init_fastapi_cache",
    "make_key",
]
