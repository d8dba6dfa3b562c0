"""What is done beside the requests: entries that are made anew, and locks that are given back."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context

logger = logging.getLogger("fastapi_baseline.caching")

MAX_TASKS = 100
"""How many there are at once, at most."""

_PATIENCE_S = 0.5

Work = Callable[[], Awaitable[None]]


class Background:
    """Tasks that no request waits for; they end with the block of `running`.

    Each begins with an empty context: it belongs to no request, and acts for nobody.
    """

    def __init__(self, *, max_tasks: int = MAX_TASKS) -> None:
        """Run at most `max_tasks` at once."""
        self._max_tasks = max_tasks
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def has_room(self) -> bool:
        """Return whether one more can be started, by whoever asks."""
        return (
            self._loop is not None
            and len(self._tasks) < self._max_tasks
            and self._loop is asyncio.get_running_loop()
        )

    def start(self, work: Work, *, at_end: Callable[[], None] | None = None) -> bool:
        """Start a task, and return whether there was room for it.

        What it raises is logged. `at_end` is called when it has ended, if it was started, whatever
        became of it: it may be cancelled before it has begun.
        """
        if self._loop is None or not self.has_room:
            return False
        # Held here, cancelled below. A TaskGroup would wrap errors of what runs inside of the block.
        task = self._loop.create_task(_logged(work), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if at_end is not None:
            task.add_done_callback(lambda _: at_end())
        return True

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run tasks in this block, and cancel those that are left at its end."""
        self._loop = asyncio.get_running_loop()
        try:
            yield
        finally:
            self._loop = None
            left = {*self._tasks}
            while left:
                for task in left:
                    # More than once: a library that waits for a reply may miss a cancellation.
                    task.cancel()
                _, left = await asyncio.wait(left, timeout=_PATIENCE_S)


async def _logged(work: Work) -> None:
    try:
        await work()
    except Exception:
        logger.exception("Work in the background of the cache has failed.")
