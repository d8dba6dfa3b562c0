"""Entries in this process and in the store, and which of them may be believed."""

import math
from collections.abc import AsyncGenerator, Callable, Sequence

from fastapi_baseline.caching.coherence import Coherence
from fastapi_baseline.caching.copies import Copies, is_due
from fastapi_baseline.caching.entries import Entry, Found
from fastapi_baseline.caching.memory import MemoryCacheStore, Record
from fastapi_baseline.caching.store import CacheStore, Invalidation
from fastapi_baseline.caching.tags import namespace_of
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.settings import CacheSettings


class Levels(Copies):
    """What this process keeps by itself (`local`), over what all processes share (`remote`).

    A copy of what is in the store is believed for `settings.local_expire` at most, whether anybody
    has said that it is invalid or not.
    """

    def __init__(
        self,
        local: MemoryCacheStore,
        remote: CacheStore | None,
        *,
        clock: Clock,
        random: Callable[[], float],
        settings: CacheSettings,
    ) -> None:
        """Keep what `settings` allow."""
        believed_s = math.inf if remote is None else settings.local_expire.total_seconds()
        super().__init__(local, clock=clock, random=random, believed_s=believed_s)
        self.remote = remote
        self.coherence = None if remote is None else Coherence(remote, apply=self.forget)

    async def find(self, key: str, *, tags: Sequence[str]) -> Found | None:
        """Return what there is, from this process or else from the store."""
        found = await self._find(key, tags=tags)
        if found is None or found.state == "fallback":
            self.counts.misses += 1
        elif found.state == "stale":
            self.counts.stale_hits += 1
        elif found.level == "local":
            self.counts.local_hits += 1
        else:
            self.counts.remote_hits += 1
        return found

    async def invalidate(self, invalidation: Invalidation) -> int:
        """Forget what is invalid, everywhere, and return how many keys were removed."""
        self.counts.invalidations += 1
        removed = self.forget(invalidation)
        if self.coherence is None:
            return removed
        try:
            return await self.coherence.tell(invalidation) or removed
        finally:
            # Once more: somebody may have read it from the store while that was being told.
            self.forget(invalidation)

    async def list_entries(self, *, namespace: str | None) -> AsyncGenerator[tuple[str, Entry]]:
        """Yield keys and entries that are of use: those of the store, if there is one.

        Raises:
            UnavailableError: If it does not answer.
        """
        if self.remote is not None:
            async for item in self.remote.list_entries(namespace=namespace):
                yield item
            return
        now = self._clock.now().timestamp()
        for key, record in self.local:
            entry = record.entry
            if (
                (namespace is None or namespace_of(key) == namespace)
                and entry.state_at(now) is not None
                and self.marks.is_current(entry.tags, record.moment)
            ):
                yield key, entry

    async def can_ask(self) -> bool:
        """Return whether the store can be asked: it has been told all that is invalid."""
        coherence = self.coherence
        return coherence is not None and (not coherence.is_behind or await coherence.catch_up())

    async def _find(self, key: str, *, tags: Sequence[str]) -> Found | None:
        now = self._clock.now().timestamp()
        record = self.local.find(key)
        if record is not None and not self.marks.is_current(record.entry.tags, record.moment):
            self.local.delete(key)
            record = None
        if record is not None and record.believed_until > self._clock.monotonic():
            state = record.entry.state_at(now)
            # What is good for the worst case only may be there anew in the store.
            if state is not None and (state != "fallback" or self.remote is None):
                return Found(record.entry, state, "local", is_due=is_due(record, now))
        if self.remote is None:
            return None
        moment = self.marks.moment
        try:
            if not await self.can_ask():
                return self._find_fallback(record, now)
            entry = await self.remote.find(key, tags=tags)
        except UnavailableError:
            return self._find_fallback(record, now)
        if entry is None:
            self.local.delete(key)
            return None
        return self.keep(key, entry, moment=moment)

    def _find_fallback(self, record: Record | None, now: float) -> Found | None:
        """Return a copy that nobody can say anything about, for when even making it fails."""
        if record is None or now >= record.entry.error_until:
            return None
        if record.entry.error_until <= record.entry.fresh_until:
            return None  # Nobody has said that an old copy is better than none.
        if not self.marks.is_current(record.entry.tags, record.moment):
            return None
        return Found(record.entry, "fallback", "local")
