"""Values of functions, kept as responses are."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from fastapi_baseline.caching.codecs import NOTHING, Codec
from fastapi_baseline.caching.entries import Entry, Found
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.caching.single_flight import Flight
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import BaselineError, DeadlineExceededError, UnavailableError


class Keeper(Protocol):
    """What keeps values: a `Cache`."""

    clock: Clock

    def find_fresh_local(self, key: str) -> Entry | None:
        """Return what may be given without waiting."""
        ...

    async def find(self, key: str, *, tags: Sequence[str] = ()) -> Found | None:
        """Return what there is."""
        ...

    async def flight(self, key: str, *, tags: Sequence[str] = ()) -> Flight:
        """Return what somebody else makes, or a flight of one's own."""
        ...

    def make_entry(self, body: bytes, *, lifetime: Lifetime, **fields: Any) -> Entry:
        """Return an entry."""
        ...

    def refresh(
        self,
        key: str,
        make: Callable[[], Awaitable[Entry | None]],
        *,
        seen: Entry,
        tags: Sequence[str] = (),
    ) -> bool:
        """Start to make an entry anew."""
        ...


class Value:
    """A value that is wanted: under which key, of which type, and how to make it."""

    def __init__(
        self,
        keeper: Keeper,
        key: str,
        make: Callable[[], Awaitable[Any]],
        *,
        codec: Codec,
        lifetime: Lifetime,
        tags: tuple[str, ...],
    ) -> None:
        """Ask `keeper`, or else call `make`."""
        self._keeper = keeper
        self._key = key
        self._make = make
        self._codec = codec
        self._lifetime = lifetime
        self._tags = tags

    async def get(self) -> Any:
        """Return the value, from the cache or made now."""
        entry = self._keeper.find_fresh_local(self._key)
        if entry is not None and (value := self._read(entry)) is not NOTHING:
            return value
        found = await self._keeper.find(self._key, tags=self._tags)
        old = NOTHING if found is None else self._read(found.entry)
        if found is None or old is NOTHING or found.state == "fallback":
            return await self._make_or_share(old)
        if found.is_due:
            self._keeper.refresh(self._key, self._make_entry, seen=found.entry, tags=self._tags)
        return old

    async def _make_or_share(self, old: Any) -> Any:
        flight = await self._keeper.flight(self._key, tags=self._tags)
        try:
            if flight.found is not None:
                value = self._read(flight.found.entry)
                if value is not NOTHING:
                    return value
            started = self._keeper.clock.monotonic()
            try:
                value = await self._make()
            except Exception as error:
                if old is NOTHING or not is_covered_by_stale(error):
                    raise
                return old
            await flight.complete(self._entry_of(value, started))
            return value
        finally:
            flight.abandon()

    async def _make_entry(self) -> Entry:
        started = self._keeper.clock.monotonic()
        return self._entry_of(await self._make(), started)

    def _entry_of(self, value: Any, started: float) -> Entry:
        return self._keeper.make_entry(
            self._codec.encode(value),
            lifetime=self._lifetime,
            tags=self._tags,
            schema=self._codec.schema,
            making_s=self._keeper.clock.monotonic() - started,
        )

    def _read(self, entry: Entry) -> Any:
        return self._codec.read(entry.body, schema=entry.schema)


def is_covered_by_stale(error: Exception) -> bool:
    """Return whether an older copy may be given instead of an error (RFC 5861, section 4).

    It may if the service, or something that it needs, has failed; not if the error is the answer,
    such as that there is no such thing any more.
    """
    return not isinstance(error, BaselineError) or isinstance(
        error, UnavailableError | DeadlineExceededError
    )
