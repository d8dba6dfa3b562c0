"""What runs around the requests of an application."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any

logger = logging.getLogger(__name__)

StatelessLifespan = Callable[[Any], AbstractAsyncContextManager[None]]
StatefulLifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]
Lifespan = StatelessLifespan | StatefulLifespan
"""Takes the application; entered before its first request and left after its last.

What it yields, if anything, is the state that every request starts with (`request.state`).
"""

_Entered = AbstractAsyncContextManager[Mapping[str, Any] | None]


def chain_lifespans(*lifespans: Lifespan, budget: timedelta | None = None) -> StatefulLifespan:
    """Return one lifespan that enters all of them in order and leaves them in reverse.

    The states that they yield are merged; of two values with one name, the later one counts.

    Leaving them takes `budget` at most, all together. Half of it is shared out evenly, so that
    each has some; the other half is there for whoever comes first. One that is not done in its time
    is cancelled and logged, and the others are left all the same, as they are after an error.
    """

    @asynccontextmanager
    async def chained(app: object) -> AsyncGenerator[dict[str, Any]]:
        state: dict[str, Any] = {}
        shares = _Shares(budget, count=len(lifespans)) if budget is not None else None
        async with AsyncExitStack() as stack:
            for index, lifespan in enumerate(lifespans):
                entered: _Entered = lifespan(app)
                if shares is not None:
                    name = getattr(lifespan, "__qualname__", repr(lifespan))
                    entered = _Bounded(entered, name=name, take=shares.take, waiting=index)
                state.update(await stack.enter_async_context(entered) or {})
            yield state

    return chained


class _Shares:
    """What is left of one budget, in seconds; it runs from when the first share is taken."""

    def __init__(self, budget: timedelta, *, count: int) -> None:
        self._budget_s = budget.total_seconds()
        self._reserved_s = self._budget_s / 2 / max(count, 1)
        self._ends_at: float | None = None

    def take(self, waiting: int) -> float:
        """Return what somebody may have whom `waiting` others wait for."""
        now = asyncio.get_running_loop().time()
        if self._ends_at is None:
            self._ends_at = now + self._budget_s
        return max(self._reserved_s, self._ends_at - now - waiting * self._reserved_s)


class _Bounded(AbstractAsyncContextManager[Mapping[str, Any] | None]):
    """A lifespan that is left in its time, and by the task that entered it."""

    def __init__(
        self, entered: _Entered, *, name: str, take: Callable[[int], float], waiting: int
    ) -> None:
        self._entered = entered
        self._name = name
        self._take = take
        self._waiting = waiting

    async def __aenter__(self) -> Mapping[str, Any] | None:
        return await self._entered.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        share_s = self._take(self._waiting)
        limit = asyncio.timeout(share_s)
        try:
            async with limit:
                return await self._entered.__aexit__(kind, error, traceback)
        except TimeoutError:
            if not limit.expired():
                raise
            logger.error(  # noqa: TRY400 -- the traceback is that of the timeout
                "%s did not stop within %.2f s, and was cancelled", self._name, share_s
            )
            return False
