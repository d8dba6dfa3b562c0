"""Invalidation that waits until what was written can be read."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from fastapi_baseline.caching.tags import check_tags


class Commits(Protocol):
    """What knows when its work is committed: a `persistence.WriteSession` is one."""

    def on_commit(self, hook: Callable[[], Awaitable[object] | object]) -> None:
        """Call `hook`, and await it, when the work is committed."""
        ...


class Invalidates(Protocol):
    """What forgets tags: a `Cache` is one."""

    async def invalidate(self, *tags: str) -> None:
        """Have nobody believe what has one of these tags."""
        ...


def invalidate_after_commit(session: Commits, cache: Invalidates, *tags: str) -> None:
    """Invalidate tags when the transaction of a session is committed, before the response is sent.

    Nothing is invalidated if it is rolled back. Whoever invalidated them at once would let a
    request in between keep what is about to change.
    """
    checked = check_tags(tags)
    session.on_commit(lambda: cache.invalidate(*checked))
