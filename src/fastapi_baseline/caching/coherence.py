"""How the processes of a service learn what is no longer to be believed.

An invalidation is stored, and told to all who listen. What the store does not take is kept, and
told when it is back; meanwhile this process does not believe what the store has.
"""

import asyncio
import logging
from collections.abc import Callable
from uuid import uuid4

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.store import CacheStore, Invalidation
from fastapi_baseline.errors import UnavailableError

with optional("msgspec", extra="cache"):
    import msgspec

logger = logging.getLogger("fastapi_baseline.caching")

MAX_UNDELIVERED = 10_000
"""How many tags and keys wait for the store; if there are more, everything in it is forgotten."""

_RETRY_S = 0.25


class Outbox:
    """What the store has not been told yet."""

    def __init__(self, *, max_names: int = MAX_UNDELIVERED) -> None:
        """Hold at most `max_names` names."""
        self._max_names = max_names
        self._tags: set[str] = set()
        self._keys: set[str] = set()
        self._namespaces: set[str] = set()
        self._is_everything = False

    def __len__(self) -> int:
        """Return how many names wait; "everything" is one."""
        return len(self._tags) + len(self._keys) + len(self._namespaces) + int(self._is_everything)

    def add(self, invalidation: Invalidation) -> None:
        """Hold an invalidation."""
        self._tags.update(invalidation.tags)
        self._keys.update(invalidation.keys)
        self._namespaces.update(invalidation.namespaces)
        self._is_everything |= invalidation.is_everything
        if self._is_everything or len(self) > self._max_names:
            self.take()
            self._is_everything = True

    def take(self) -> Invalidation:
        """Return all that is held, and hold it no longer."""
        taken = Invalidation(
            tags=tuple(self._tags),
            keys=tuple(self._keys),
            namespaces=tuple(self._namespaces),
            is_everything=self._is_everything,
        )
        self._tags.clear()
        self._keys.clear()
        self._namespaces.clear()
        self._is_everything = False
        return taken


class Coherence:
    """What one process tells the others, and hears from them.

    `apply` is called with what others say, and has this process forget it.
    """

    def __init__(self, store: CacheStore, *, apply: Callable[[Invalidation], object]) -> None:
        """Tell others through `store`."""
        self.is_listening = False
        self._store = store
        self._apply = apply
        self._sender = uuid4().hex
        self._outbox = Outbox()
        self._is_delivering = False

    @property
    def undelivered(self) -> int:
        """Return how many names the store has not been told."""
        return len(self._outbox)

    @property
    def is_behind(self) -> bool:
        """Return whether there is something that the store has not been told."""
        return self._is_delivering or bool(self._outbox)

    async def tell(self, invalidation: Invalidation) -> int:
        """Tell the store and all processes, now or as soon as the store answers.

        Returns how many keys the store has removed.
        """
        if self.is_behind:
            self._outbox.add(invalidation)
            await self.catch_up()
            return 0
        try:
            return await self._send(invalidation)
        except UnavailableError:
            if not self.is_behind:
                logger.warning("Invalidations of the cache wait until Redis answers.")
            self._outbox.add(invalidation)
            return 0
        except BaseException:
            # Cancelled: the store may have been told or not.
            self._outbox.add(invalidation)
            raise

    async def catch_up(self) -> bool:
        """Tell the store what it has not been told, and return whether it knows all of it now."""
        if self._is_delivering or not self._outbox:
            return not self.is_behind
        self._is_delivering = True
        taken = self._outbox.take()
        try:
            await self._send(taken)
        except UnavailableError:
            self._outbox.add(taken)
            return False
        except BaseException:
            self._outbox.add(taken)
            raise
        finally:
            self._is_delivering = False
        if not self._outbox:
            logger.info("Invalidations of the cache that waited for Redis are done.")
        return not self._outbox

    async def deliver(self) -> None:
        """Tell the store, whenever it answers again, what it has not been told; for ever."""
        while True:
            await asyncio.sleep(_RETRY_S)
            if self._outbox:
                await self.catch_up()

    async def listen(self) -> None:
        """Hear what others say, and connect again whenever the store has gone; for ever."""
        while True:
            try:
                async with self._store.listen() as messages:
                    self.is_listening = True
                    async for message in messages:
                        if message is not None and message.sender != self._sender:
                            self._apply(message)
            except UnavailableError as error:
                # Whoever talks to the store says so when it is gone.
                logger.debug("Invalidations of other processes are not heard: %r", error)
            finally:
                self.is_listening = False
            await asyncio.sleep(_RETRY_S)

    async def _send(self, invalidation: Invalidation) -> int:
        return await self._store.invalidate(
            msgspec.structs.replace(invalidation, sender=self._sender)
        )
