"""One who makes an entry, while others who want the same wait for it."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from fastapi_baseline.caching.entries import Entry, Found
from fastapi_baseline.caching.store import Claim


class Flight:
    """The making of one entry.

    Either `found` is what somebody else has made meanwhile; or the entry is to be made now, and
    then to be given to `complete`. Whoever does not get that far calls `abandon`.
    """

    __slots__ = (
        "_complete",
        "_flights",
        "_is_over",
        "claim",
        "found",
        "holds_lock",
        "key",
        "landed",
        "moment",
        "tags",
        "token",
    )

    def __init__(
        self,
        key: str,
        *,
        tags: tuple[str, ...],
        moment: int,
        flights: "Flights",
        complete: Callable[["Flight", Entry], Awaitable[None]],
    ) -> None:
        """Begin at a moment of the `Marks` of this process."""
        self.key = key
        self.tags = tags
        self.moment = moment
        self.token = uuid4().hex
        self.claim: Claim | None = None
        self.found: Found | None = None
        self.holds_lock = False
        self.landed: asyncio.Future[Entry | None] | None = None
        self._flights = flights
        self._complete = complete
        self._is_over = False

    @property
    def is_leader(self) -> bool:
        """Return whether others wait for this one; who waited in vain makes it alone."""
        return self.landed is not None

    async def complete(self, entry: Entry) -> None:
        """Store the entry, and hand it to those who wait. A second call does nothing.

        It is not stored if it is too large, or if one of its tags, or its key, was invalidated
        since the flight began. Those who wait get it all the same: they came before that.
        """
        if self._is_over:
            return
        self._is_over = True
        self._flights.land(self, entry)
        await self._complete(self, entry)

    def abandon(self) -> None:
        """Let those who wait go: each makes it itself. Nothing happens after `complete`."""
        if not self._is_over:
            self._is_over = True
            self._flights.land(self, None)

    def settle(self, found: Found) -> None:
        """Note what somebody else has made, and hand it to those who wait."""
        self.found = found
        self._is_over = True
        self._flights.land(self, found.entry)


class Flights:
    """The flights of one process, by their keys."""

    def __init__(self, *, release: Callable[[Flight], None]) -> None:
        """Call `release` for each that ends without an entry that is stored."""
        self._release = release
        self._flights: dict[str, Flight] = {}

    def __contains__(self, key: str) -> bool:
        """Return whether an entry is being made."""
        return key in self._flights

    def find(self, key: str) -> Flight | None:
        """Return the flight that makes an entry, if there is one."""
        return self._flights.get(key)

    def lead(self, flight: Flight) -> Flight:
        """Let others wait for this flight from now on; those that wait for another go on so."""
        flight.landed = asyncio.get_running_loop().create_future()
        self._flights[flight.key] = flight
        return flight

    def land(self, flight: Flight, entry: Entry | None) -> None:
        """Hand an entry, or the news that there is none, to those who wait."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        if flight.landed is not None and not flight.landed.done():
            flight.landed.set_result(entry)
        if entry is None or flight.found is not None:
            self._release(flight)


async def wait_for(flight: Flight) -> Entry | None:
    """Return what comes of a flight that others wait for, too; `None` if nothing does.

    Whoever is cancelled meanwhile goes alone.
    """
    assert flight.landed is not None  # noqa: S101 -- only such flights can be found
    return await asyncio.shield(flight.landed)
