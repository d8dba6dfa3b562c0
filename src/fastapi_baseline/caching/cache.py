"""The cache of an application: what it keeps in each process, and what its processes share."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import random as random_number
from typing import Any, TypeVar

from opentelemetry.metrics import MeterProvider

from fastapi_baseline.caching.background import Background
from fastapi_baseline.caching.codecs import codec_of
from fastapi_baseline.caching.entries import Entry, Found
from fastapi_baseline.caching.flying import Flying
from fastapi_baseline.caching.forgetting import Forgetting
from fastapi_baseline.caching.freshness import Lifetime, moments_of
from fastapi_baseline.caching.levels import Levels
from fastapi_baseline.caching.measures import observe_cache
from fastapi_baseline.caching.memory import MemoryCacheStore
from fastapi_baseline.caching.single_flight import Flight
from fastapi_baseline.caching.store import CacheStore
from fastapi_baseline.caching.tags import check_tags, key_of
from fastapi_baseline.caching.values import Value
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.settings import CacheSettings

T = TypeVar("T")


class Cache(Forgetting):
    """What one process keeps by itself, over what all processes of the service share.

    A key is `namespace:name` (`tags.key_of`). Nothing here fails because Redis does: what cannot be
    read is made, and an invalidation that it does not take is repeated when it is back. A copy of
    what is in Redis is believed for `settings.local_expire` at most; while `lifespan` runs, what
    other processes invalidate is forgotten at once.
    """

    def __init__(
        self,
        *,
        local: MemoryCacheStore | None = None,
        remote: CacheStore | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random_number,
        settings: CacheSettings | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Keep entries as `settings` say; `random` gives numbers from 0 to 1, and never 1."""
        self.settings = settings or CacheSettings()
        self.clock = clock or SystemClock()
        self._random = random
        if local is None:
            local = MemoryCacheStore(max_size=self.settings.max_size, clock=self.clock)
        self._levels = Levels(
            local, remote, clock=self.clock, random=random, settings=self.settings
        )
        self._background = Background()
        waiting = observe_cache(
            self._levels.counts,
            entries=local.__len__,
            size=lambda: local.size,
            evictions=lambda: local.evictions,
            undelivered=lambda: self.undelivered,
            meter_provider=meter_provider,
        )
        self._flying = Flying(
            self._levels,
            self._background,
            clock=self.clock,
            settings=self.settings,
            waiting=waiting,
        )

    def make_entry(self, body: bytes, *, lifetime: Lifetime, **fields: Any) -> Entry:
        """Return an entry that is stored now; `fields` are those of `Entry`."""
        moments = moments_of(
            lifetime,
            now=self.clock.now().timestamp(),
            default=self.settings.expire,
            jitter=self.settings.jitter,
            random=self._random,
        )
        return moments.entry(body, **fields)

    def find_fresh_local(self, key: str) -> Entry | None:
        """Return what this process has, if it may be given as it is; it waits for nothing."""
        return self._levels.find_fresh_local(key)

    async def find(self, key: str, *, tags: Sequence[str] = ()) -> Found | None:
        """Return what there is, from this process or else from Redis, and how good it is.

        It takes one round trip if `tags` are the entry's own, and two otherwise. If it is due, call
        `refresh`.
        """
        return await self._levels.find(key, tags=tags) if self.settings.enabled else None

    async def flight(self, key: str, *, tags: Sequence[str] = ()) -> Flight:
        """Wait for whoever makes the same, and return what came of it, or a flight of one's own.

        If its `found` is set, give that. Otherwise make the entry, and call `complete` with it, or
        `abandon` in any other case. A flight that fails lets the others go, who do not queue again.
        In this process they wait as long as the flight takes, and for another process no longer
        than `settings.lock_timeout`.
        """
        return await self._flying.begin(key, check_tags(tags))

    async def flight_alone(self, key: str, *, tags: Sequence[str] = ()) -> Flight:
        """Return a flight that waits for nobody; what is invalidated meanwhile is not stored."""
        return await self._flying.begin_alone(key, check_tags(tags))

    def refresh(
        self,
        key: str,
        make: Callable[[], Awaitable[Entry | None]],
        *,
        seen: Entry,
        tags: Sequence[str] = (),
    ) -> bool:
        """Start to make an entry anew in the background, and return whether that was done.

        It is done by one of all processes, for nobody: the context is empty, and there is no
        request. If it fails, that is logged, and tried again after some seconds. Without `lifespan`
        there is no background.
        """
        return self._flying.refresh(key, make, seen=seen, tags=check_tags(tags))

    async def put(self, key: str, entry: Entry) -> None:
        """Store an entry that is known to be current at this moment; see `flight` otherwise."""
        await self._flying.put(key, entry)

    async def get_or_set(
        self,
        key: str,
        make: Callable[[], Awaitable[T]],
        *,
        expire: timedelta | None = None,
        tags: Sequence[str] = (),
        stale: timedelta | None = None,
        stale_if_error: timedelta | None = None,
        type_: Any = None,
        namespace: str = "",
    ) -> T:
        """Return the value that is kept under `key`, or else what `make` returns, and keep that.

        The key names all that the value depends on, also whose it is: who asks is no part of it.
        Requests that want the same at once wait for one of them. For `stale` after its time, a
        value is returned while it is made anew in the background: `make` must then need nothing
        that ends with the request. For `stale_if_error`, it is returned if `make` fails.

        `type_` is the type of the value, for anything but what JSON has; whoever gets the value has
        one of their own.

        Raises:
            UncacheableValueError: If the value is not of that type, or of none that can be kept.
        """
        if not self.settings.enabled:
            return await make()
        value = Value(
            self,
            key_of(namespace, key),
            make,
            codec=codec_of(type_),
            lifetime=Lifetime(expire=expire, stale=stale, stale_if_error=stale_if_error),
            tags=check_tags(tags),
        )
        return await value.get()

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Listen to other processes, tell Redis what it missed, and make entries anew."""
        del app
        coherence = self._levels.coherence
        async with self._background.running():
            if coherence is not None:
                self._background.start(coherence.listen)
                self._background.start(coherence.deliver)
            yield
