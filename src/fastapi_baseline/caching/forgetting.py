"""What can be done about what a cache keeps: look at it, add to it, and forget it."""

from collections.abc import AsyncGenerator

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.levels import Levels
from fastapi_baseline.caching.store import Invalidation
from fastapi_baseline.caching.tags import check_tags, key_of


class Forgetting:
    """What forgets what it keeps: a `Cache` does."""

    _levels: Levels

    @property
    def undelivered(self) -> int:
        """Return how many tags and keys are invalid, and not yet so in Redis."""
        coherence = self._levels.coherence
        return 0 if coherence is None else coherence.undelivered

    async def delete(self, *keys: str) -> int:
        """Forget what is kept under these keys, and return how many there were.

        What is being made for one of them at this moment is not kept either.
        """
        return await self._levels.invalidate(Invalidation(keys=keys))

    async def invalidate(self, *tags: str) -> None:
        """Have nobody believe what has one of these tags; it costs the same for any number of it.

        What is being made with one of them at this moment is not kept either.
        """
        if checked := check_tags(tags):
            await self._levels.invalidate(Invalidation(tags=checked))

    async def clear(self, namespace: str | None = None) -> int:
        """Forget everything in a namespace, or everything, and return how many keys there were."""
        if namespace is None:
            return await self._levels.invalidate(Invalidation(is_everything=True))
        key_of(namespace, "")
        return await self._levels.invalidate(Invalidation(namespaces=(namespace,)))

    def list_entries(self, *, namespace: str | None = None) -> AsyncGenerator[tuple[str, Entry]]:
        """Yield the keys and entries of a namespace, or all: those in Redis, if there is one.

        Raises:
            UnavailableError: If Redis does not answer.
        """
        return self._levels.list_entries(namespace=namespace)

    def add_variant(self, key: str, entry: Entry, *, coding: str, body: bytes) -> None:
        """Keep the body of an entry in another coding, in this process."""
        self._levels.add_variant(key, entry, coding=coding, body=body)
