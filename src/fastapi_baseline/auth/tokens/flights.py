"""Work that many wait for, and that is done once at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context


class Flight:
    """Work in a task of its own, so that whoever waits may go away, and the others go on waiting.

    It has an empty context: it is for no request, and acts for nobody.
    """

    def __init__(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do `work`, which does not fail."""
        self._work = work
        self._task: asyncio.Task[None] | None = None

    @property
    def is_under_way(self) -> bool:
        """Return whether somebody has begun it, and it has not come to its end."""
        return self._task is not None and not self._task.done()

    def start(self) -> asyncio.Task[None]:
        """Begin it, unless it is under way."""
        loop = asyncio.get_running_loop()
        task = self._task
        if task is None or task.done() or task.get_loop() is not loop:
            # Held here, and cancelled by `close`.
            task = self._task = loop.create_task(self._work(), context=Context())
        return task

    async def wait(self) -> None:
        """Begin it, unless it is under way, and wait for its end."""
        # The task is not awaited itself: who is cancelled here would cancel it.
        await asyncio.wait({self.start()})

    async def close(self) -> None:
        """Give it up."""
        task, self._task = self._task, None
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait({task})
