"""Who makes an entry, among all processes, and where it is kept when it is made."""

import asyncio

from opentelemetry.metrics import Histogram

from fastapi_baseline.caching.background import Background
from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.levels import Levels
from fastapi_baseline.caching.single_flight import Flight, Flights
from fastapi_baseline.caching.store import Claim
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.settings import CacheSettings

_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.05


class Claims:
    """The flights of one process, and what the store says to them."""

    def __init__(
        self,
        levels: Levels,
        background: Background,
        *,
        clock: Clock,
        settings: CacheSettings,
        waiting: Histogram,
    ) -> None:
        """Keep entries in `levels`."""
        self._levels = levels
        self._background = background
        self._clock = clock
        self._settings = settings
        self._waiting = waiting
        self._lock_timeout_s = settings.lock_timeout.total_seconds()
        self._flights = Flights(release=self._release)

    async def _claim(self, flight: Flight, *, wait_s: float) -> None:
        """Ask the store who makes the entry, and wait for whoever does; `found` is what he made."""
        started = self._clock.monotonic()
        pause_s = _FIRST_PAUSE_S
        while (claim := await self._ask(flight)) is not None:
            if claim.entry is not None and self._keep_found(flight, claim.entry):
                break
            if claim.is_granted or self._clock.monotonic() - started >= wait_s:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        if pause_s > _FIRST_PAUSE_S:
            self._waiting.record(self._clock.monotonic() - started)
            self._levels.counts.shared += flight.found is not None

    async def _ask(self, flight: Flight) -> Claim | None:
        remote = self._levels.remote
        if remote is None:
            return None
        flight.claim = None
        try:
            if not await self._levels.can_ask():
                return None
            # From here on he may have been given the lock, whether he hears of it or not.
            flight.holds_lock = True
            # What is invalidated while the answer is under way is not current.
            flight.moment = self._levels.marks.moment
            flight.claim = await remote.claim(
                flight.key,
                token=flight.token,
                tags=flight.tags,
                lock_timeout_s=self._lock_timeout_s,
            )
        except UnavailableError:
            return None
        flight.holds_lock = flight.claim.is_granted
        return flight.claim

    def _keep_found(self, flight: Flight, entry: Entry) -> bool:
        found = self._levels.keep(flight.key, entry, moment=flight.moment)
        if found is None or found.state != "fresh":
            return False
        flight.settle(found)
        return True

    async def _complete(self, flight: Flight, entry: Entry) -> None:
        levels = self._levels
        current = levels.is_current(flight.key, entry.tags, since=flight.moment)
        if not self._settings.enabled or entry.size > self._settings.max_entry_size or not current:
            self._release(flight)
            return
        levels.keep(flight.key, entry, moment=flight.moment)
        if levels.remote is None or flight.claim is None:
            return
        ttl_s = entry.kept_until - self._clock.now().timestamp()
        try:
            kept = await levels.remote.put(
                flight.key, entry, token=flight.token, claim=flight.claim, ttl_s=ttl_s
            )
            flight.holds_lock = False
        except UnavailableError:
            return
        except BaseException:
            self._release(flight)
            raise
        if not kept:
            # It was invalidated, or is not the latest.
            levels.local.delete(flight.key)

    def _release(self, flight: Flight) -> None:
        """Have the store let others make the entry, without waiting for that."""
        remote = self._levels.remote
        if remote is None or not flight.holds_lock:
            return
        flight.holds_lock = False

        async def release() -> None:
            try:
                await remote.release(flight.key, token=flight.token)
            except UnavailableError:
                return  # It ends by itself.

        self._background.start(release)
