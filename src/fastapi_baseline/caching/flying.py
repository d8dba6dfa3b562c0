"""Making entries: once for all who want them, in this process and among all."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from fastapi_baseline.caching.claims import Claims
from fastapi_baseline.caching.entries import Entry, Found
from fastapi_baseline.caching.single_flight import Flight, wait_for

REFRESH_TIMEOUT = timedelta(seconds=30)
"""How long it may take to make an entry anew in the background."""
REFRESH_PAUSE = timedelta(seconds=2)
"""How long after one attempt to do so another is made."""


class Flying(Claims):
    """The flights of a cache, from their beginning to where their entries are kept."""

    async def begin(self, key: str, tags: tuple[str, ...]) -> Flight:
        """Return a flight, or what has come of the one of somebody else."""
        flight = self._flight(key, tags)
        if not self._settings.enabled:
            return flight
        entry = self._levels.find_fresh_local(key)
        if entry is not None:
            # Somebody was quicker while the caller looked elsewhere.
            flight.settle(Found(entry, "fresh", "local"))
            return flight
        other = self._flights.find(key)
        if other is not None and self._levels.is_current(key, other.tags, since=other.moment):
            await self._share(flight, other)
            return flight
        self._flights.lead(flight)
        try:
            await self._claim(flight, wait_s=self._lock_timeout_s)
        except BaseException:
            flight.abandon()
            raise
        if flight.found is None:
            self._levels.counts.made += 1
        return flight

    async def begin_alone(self, key: str, tags: tuple[str, ...]) -> Flight:
        """Return a flight that waits for nobody, and that nobody waits for."""
        flight = self._flight(key, tags)
        if self._settings.enabled:
            self._levels.counts.made += 1
            await self._ask(flight)
        return flight

    async def put(self, key: str, entry: Entry) -> None:
        """Keep an entry that nobody waits for."""
        flight = self._flight(key, entry.tags)
        if self._settings.enabled:
            await self._ask(flight)
            await flight.complete(entry)

    def refresh(
        self,
        key: str,
        make: Callable[[], Awaitable[Entry | None]],
        *,
        seen: Entry,
        tags: tuple[str, ...],
    ) -> bool:
        """Start to make an entry anew, unless somebody does already or there is no room."""
        if key in self._flights or not self._background.has_room:
            return False
        self._levels.postpone_refresh(key, seconds=REFRESH_PAUSE.total_seconds())
        flight = self._flights.lead(self._flight(key, tags))
        return self._background.start(
            lambda: self._refresh(flight, make, seen), at_end=flight.abandon
        )

    def _flight(self, key: str, tags: tuple[str, ...]) -> Flight:
        return Flight(
            key,
            tags=tags,
            moment=self._levels.marks.moment,
            flights=self._flights,
            complete=self._complete,
        )

    async def _share(self, flight: Flight, other: Flight) -> None:
        """Wait for another flight; what it brings is current for all who came before it landed."""
        started = self._clock.monotonic()
        entry = await wait_for(other)
        self._waiting.record(self._clock.monotonic() - started)
        if entry is not None:
            self._levels.counts.shared += 1
            flight.settle(Found(entry, "fresh", "flight"))
            return
        self._levels.counts.made += 1
        await self._claim(flight, wait_s=0)

    async def _refresh(
        self, flight: Flight, make: Callable[[], Awaitable[Entry | None]], seen: Entry
    ) -> None:
        counts = self._levels.counts
        try:
            claim = await self._ask(flight)
            if claim is not None:
                newer = claim.entry
                if newer is not None and newer.stored_at > seen.stored_at:
                    self._keep_found(flight, newer)
                    return
                if not claim.is_granted:
                    return
            async with asyncio.timeout(REFRESH_TIMEOUT.total_seconds()):
                entry = await make()
            if entry is not None:
                await flight.complete(entry)
                counts.refreshes += 1
        except Exception:
            counts.failed_refreshes += 1
            raise
