"""`FastAPICache` as it is used by services, on the cache of the application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from inspect import signature
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.compat.backend import BaselineBackend
from fastapi_baseline.caching.compat.coder import TypedCoder
from fastapi_baseline.caching.compat.key_builder import KeyBuilder
from fastapi_baseline.errors import ConfigurationError

with optional("fastapi_cache", "jinja2", extra="cache"):
    from fastapi_cache import Coder, FastAPICache, default_key_builder
    from fastapi_cache.coder import JsonCoder, PickleCoder
    from fastapi_cache.types import Backend

PREFIX = "fastapi-cache"
_STOCK_BACKENDS = "fastapi_cache.backends."
_STOCK_CODERS = (JsonCoder, PickleCoder)
_ATTRIBUTES = (
    "_backend",
    "_cache_status_header",
    "_coder",
    "_enable",
    "_expire",
    "_init",
    "_key_builder",
    "_prefix",
    "clear",
    "get_enable",
    "get_expire",
    "get_key_builder",
    "get_prefix",
    "init",
    "reset",
)
_ARGUMENTS = (
    "backend",
    "prefix",
    "expire",
    "coder",
    "key_builder",
    "cache_status_header",
    "enable",
)


def check_contract(registry: type[Any] = FastAPICache) -> None:
    """Refuse to run on a fastapi-cache2 that is not the one that this was made for.

    Raises:
        ConfigurationError: If something that is used here is missing.
    """
    missing = [name for name in _ATTRIBUTES if not hasattr(registry, name)]
    if not missing:
        known = signature(registry.init).parameters
        missing = [f"init({name}=)" for name in _ARGUMENTS if name not in known]
    if missing:
        raise ConfigurationError(
            f"fastapi-cache2 {version('fastapi-cache2')} has no {', '.join(missing)} any more: "
            "install the version that the extra `cache` names."
        )


check_contract()


def init_fastapi_cache(cache: Cache) -> None:
    """Have `@cache` of fastapi-cache2 run on `cache`, with a coder and keys that are safe.

    What the service has said to `FastAPICache.init` stays, as far as it is its own: prefix,
    lifetime, header, and whether it is enabled, and a backend, coder or key builder that the
    service has written. What comes with fastapi-cache2 is replaced.
    """
    said: Any = FastAPICache
    backend: Backend | None = said._backend  # noqa: SLF001 -- its method refuses what is not set
    coder: type[Coder] | None = said._coder  # noqa: SLF001 -- likewise
    key_builder: Any = said._key_builder  # noqa: SLF001 -- likewise
    if not said._init:  # noqa: SLF001 -- nothing public tells
        prefix, expire, header = PREFIX, None, "X-FastAPI-Cache"
    else:
        prefix, expire = said.get_prefix(), said.get_expire()
        header = said.get_cache_status_header()
    is_enabled = said.get_enable()
    FastAPICache.reset()
    FastAPICache.init(
        BaselineBackend(cache) if backend is None or _is_replaced(backend) else backend,
        prefix=prefix,
        expire=expire or max(1, round(cache.settings.expire.total_seconds())),
        coder=TypedCoder if coder is None or coder in _STOCK_CODERS else coder,
        key_builder=(
            KeyBuilder(cache.settings)
            if key_builder in {None, default_key_builder} or isinstance(key_builder, KeyBuilder)
            else key_builder
        ),
        cache_status_header=header,
        enable=is_enabled,
    )


@asynccontextmanager
async def fastapi_cache_lifespan(cache: Cache) -> AsyncGenerator[None]:
    """Have `@cache` run on `cache` in this block, which begins once the service has started.

    The registry belongs to the process: of several applications in one, the last to start has it.
    """
    init_fastapi_cache(cache)
    try:
        yield
    finally:
        said: Any = FastAPICache
        backend = said._backend  # noqa: SLF001 -- its method refuses what is not set
        if isinstance(backend, BaselineBackend) and backend.cache is cache:
            FastAPICache.reset()


def _is_replaced(backend: Backend) -> bool:
    return isinstance(backend, BaselineBackend) or type(backend).__module__.startswith(
        _STOCK_BACKENDS
    )
