"""What `@cache` keeps, in the cache of the application."""

import logging
from datetime import timedelta
from math import ceil

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.compat.coder import StableBytes, UnkeptBytes
from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.caching.registry import namespace_from
from fastapi_baseline.caching.tags import key_of

with optional("fastapi_cache", "jinja2", extra="cache"):
    from fastapi_cache import Backend

logger = logging.getLogger("fastapi_baseline.caching")

_SCHEMA = "fastapi-cache2"
_TAG = "fastapi-cache2:"
# The first byte of a pickle since protocol 2. Whoever can write to Redis could have it run code.
_PICKLE = b"\x80"


class BaselineBackend(Backend):
    """A backend for `FastAPICache.init` over a `Cache`: bounded, coherent, and never in the way.

    While Redis does not answer, this process goes on with what it has. Nothing is read from it, or
    written to it, that a `PickleCoder` would run.
    """

    def __init__(self, cache: Cache) -> None:
        """Keep in `cache`."""
        self.cache = cache
        self._has_warned = False

    async def get_with_ttl(self, key: str) -> tuple[int, bytes | None]:
        """Return what is kept and for how many seconds it is fresh; 0 and `None` if nothing is."""
        entry = await self._find(key)
        if entry is None:
            return 0, None
        left = entry.fresh_until - self.cache.clock.now().timestamp()
        return max(0, ceil(left)), StableBytes(entry.body)

    async def get(self, key: str) -> bytes | None:
        """Return what is kept, or `None`."""
        entry = await self._find(key)
        return None if entry is None else StableBytes(entry.body)

    async def set(self, key: str, value: bytes, expire: int | None = None) -> None:
        """Keep a value for so many seconds, or for as long as the settings say."""
        if isinstance(value, UnkeptBytes) or self._is_pickle(value):
            return
        entry = self.cache.make_entry(
            bytes(value),
            lifetime=Lifetime(expire=timedelta(seconds=expire) if expire else None, jitter=0.0),
            tags=_tags_of(key.rpartition(":")[0]),
            schema=_SCHEMA,
        )
        await self.cache.put(_key(key), entry)

    async def clear(self, namespace: str | None = None, key: str | None = None) -> int:
        """Forget one key, or what is in a namespace and those below; return how many keys there were.

        Those below are not counted. Unlike with stock backends, a key stands for itself: the rest
        of its namespace stays.
        """
        if key:
            return await self.cache.delete(_key(key))
        if not namespace:
            return 0
        await self.cache.invalidate(_TAG + _normal(namespace))
        return await self.cache.clear(namespace_from(namespace))

    async def _find(self, key: str) -> Entry | None:
        key = _key(key)
        entry = self.cache.find_fresh_local(key)
        if entry is None:
            found = await self.cache.find(key)
            entry = None if found is None or found.state != "fresh" else found.entry
        if entry is None or entry.schema != _SCHEMA or self._is_pickle(entry.body):
            return None
        return entry

    def _is_pickle(self, value: bytes) -> bool:
        if value[:1] != _PICKLE:
            return False
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "What a PickleCoder makes is not kept: whoever can write to Redis could have it "
                "run code. Leave the coder out, or use TypedCoder."
            )
        return True


def _key(key: str) -> str:
    namespace, _, name = key.rpartition(":")
    return key_of(namespace_from(namespace), name)


def _normal(namespace: str) -> str:
    return ":".join(part for part in namespace.split(":") if part)


def _tags_of(namespace: str) -> tuple[str, ...]:
    """Return tags for a namespace and all above: `api` and `api:users` for `api:users`."""
    parts = _normal(namespace).split(":")
    return tuple(_TAG + ":".join(parts[: count + 1]) for count in range(len(parts)) if parts[0])
