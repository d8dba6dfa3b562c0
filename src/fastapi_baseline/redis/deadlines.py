"""Waits that end in time, for little: one timer for all that may take equally long.

`asyncio.timeout` sets a timer for each, which costs more than the rest of a short wait. It also
believes that a cancellation arrives: `asyncio.wait_for` may lose one before Python 3.12, and a
client that uses it then waits for ever.

The time is that of a clock which ticks twenty times to a limit; a tick that comes late counts as one
that did not. So what an event loop loses that is held up is not taken from those who wait: a busy
service would else find that nothing answers, since it had no time to look.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, TypeVar

_TICKS = 20
# Ending a wait takes some 100 us of Python: more at a time would hold up the event loop.
_AT_ONCE = 16
_INSIST_AFTER_S = 0.01

T = TypeVar("T")


class _Wait:
    __slots__ = ("cancellations", "cancelled_before", "expires_at", "task")

    def __init__(self, task: asyncio.Task[Any], expires_at: float) -> None:
        self.task: asyncio.Task[Any] | None = task
        self.expires_at = expires_at
        self.cancelled_before = task.cancelling()
        self.cancellations = 0


class DeadlineQueue:
    """Ends waits that take longer than `limit`; all of them in one event loop at a time.

    They end up to a tenth of it earlier.
    """

    __slots__ = (
        "_interval_s",
        "_is_ending",
        "_is_ticking",
        "_limit_s",
        "_loop",
        "_now",
        "_ticked_at",
        "_waits",
    )

    def __init__(self, limit: timedelta) -> None:
        """Give each wait the same time."""
        self._limit_s = limit.total_seconds()
        self._interval_s = self._limit_s / _TICKS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waits: deque[_Wait] = deque()
        self._now = 0.0
        self._ticked_at = 0.0
        self._is_ticking = False
        self._is_ending = False

    async def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Return what `awaitable` gives; it runs in this task, which is cancelled if it is late.

        That this task is cancelled by somebody else stays a cancellation.

        Raises:
            TimeoutError: If there was no time left.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- what is awaited in asyncio has one
        wait = self._add(task)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if _is_timeout(wait):
                raise TimeoutError from None
            raise
        finally:
            wait.task = None
            if wait.cancellations:
                # Something else was raised, or the cancellation got lost; it was not meant to stay.
                _take_back(wait, task)

    def _add(self, task: asyncio.Task[Any]) -> _Wait:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._waits = loop, deque()
            self._is_ticking = self._is_ending = False
        waits = self._waits
        while waits and waits[0].task is None:
            waits.popleft()
        wait = _Wait(task, self._now + self._limit_s)
        waits.append(wait)
        if not self._is_ticking:
            self._is_ticking = True
            self._ticked_at = time.monotonic()
            loop.call_later(self._interval_s, self._tick, loop)
        return wait

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        ticked_at, self._ticked_at = self._ticked_at, time.monotonic()
        elapsed_s = self._ticked_at - ticked_at
        is_late = elapsed_s > 2 * self._interval_s
        self._now += self._interval_s if is_late else elapsed_s
        if not self._is_ending:
            self._end_expired(loop)
        if self._waits:
            loop.call_later(self._interval_s, self._tick, loop)
        else:
            self._is_ticking = False

    def _end_expired(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_ending, ended, waits = False, 0, self._waits
        while waits and (waits[0].task is None or waits[0].expires_at <= self._now):
            if ended == _AT_ONCE:
                self._is_ending = True
                loop.call_soon(self._end_expired, loop)
                return
            wait = waits.popleft()
            if wait.task is not None:
                ended += 1
                _end(wait, loop)


def _end(wait: _Wait, loop: asyncio.AbstractEventLoop) -> None:
    if wait.task is not None:
        wait.cancellations += 1
        wait.task.cancel()
        loop.call_later(_INSIST_AFTER_S, _end, wait, loop)


def _is_timeout(wait: _Wait) -> bool:
    """Return whether nobody but this queue has cancelled, and take that back."""
    if not wait.cancellations or wait.task is None:
        return False
    return _take_back(wait, wait.task) <= wait.cancelled_before


def _take_back(wait: _Wait, task: asyncio.Task[Any]) -> int:
    while wait.cancellations:
        wait.cancellations -= 1
        task.uncancel()
    return task.cancelling()
