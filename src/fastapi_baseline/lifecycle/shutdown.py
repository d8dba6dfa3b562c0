"""What SIGTERM does: the process drains, its server closes, and both have an end."""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from datetime import timedelta
from types import FrameType
from typing import Any

from fastapi_baseline.lifecycle.availability import Availability

logger = logging.getLogger(__name__)

EXIT_LATE = 1
EXIT_FORCED = 128 + signal.SIGTERM

# What the server itself needs between the steps: it looks for its end ten times a second.
_SLACK = timedelta(seconds=1)

_Handler = Callable[[int, FrameType | None], Any]


class GracefulShutdown:
    """Let the process drain at SIGTERM before its server hears of it.

    Servers close their listener first and tell the application last, so balancers go on sending
    requests that nobody takes. With this, SIGTERM makes readiness fail at once, the process goes on
    answering for `drain_delay`, and only then does the handler run that the server has installed.
    `SIGINT` is left to the server.

    A process that is still there after `limit`, whatever it waits for, ends. So does, at once, one
    that gets a second SIGTERM, unless it is a worker: service managers send SIGTERM to a parent and
    its workers, and then the parent sends it to them again, so patience is the parent's to lose.

    The server must have installed a Python handler when the lifespan begins, as uvicorn has, also
    under gunicorn. With others, SIGTERM only makes readiness fail.
    """

    def __init__(
        self,
        availability: Availability,
        *,
        drain_delay: timedelta,
        limit: timedelta,
        before_exit: Callable[[], object] | None = None,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        """Count `limit` from SIGTERM; `before_exit` may write out lines before a hard `end`."""
        self._availability = availability
        self._drain_delay = drain_delay
        self._limit = limit
        self._before_exit = before_exit
        self._end = end
        self._received = 0
        self._previous: _Handler | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Listen to SIGTERM; enter it first, so that it listens until all else has stopped."""
        del app
        self._availability.end_draining()
        self._received = 0
        is_main = threading.current_thread() is threading.main_thread()
        previous = signal.getsignal(signal.SIGTERM) if is_main else None
        if not callable(previous):
            yield
            return
        self._previous = previous
        self._loop = asyncio.get_running_loop()
        # Bound once: each access to a method makes another object.
        ours = self._receive
        signal.signal(signal.SIGTERM, ours)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGTERM) is ours:
                signal.signal(signal.SIGTERM, previous)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # Runs between any two instructions of the main thread, which may hold any lock.
        self._received += 1
        if self._received == 1:
            self._call_soon(self._drain, otherwise=lambda: self._pass_on(number, frame))
        elif multiprocessing.parent_process() is not None:
            return
        elif self._received == 2:  # noqa: PLR2004 -- the one that has lost its patience
            self._call_soon(self._end_now, otherwise=lambda: self._end(EXIT_FORCED))
        else:
            self._end(EXIT_FORCED)

    def _call_soon(self, call: Callable[[], None], *, otherwise: Callable[[], object]) -> None:
        try:
            assert self._loop is not None  # noqa: S101 -- set before the handler
            # In a context of its own: the signal may have interrupted any request.
            self._loop.call_soon_threadsafe(call, context=Context())
        except RuntimeError:
            otherwise()

    def _drain(self) -> None:
        self._availability.begin_draining()
        delay_s = self._drain_delay.total_seconds()
        logger.info("SIGTERM: answering requests for another %.1f s, then closing", delay_s)
        # Never cancelled: what hangs after the last lifespan, such as a thread, hangs too.
        timer = threading.Timer((self._limit + _SLACK).total_seconds(), self._end_late)
        timer.daemon = True
        timer.start()
        asyncio.get_running_loop().call_later(delay_s, self._pass_on, signal.SIGTERM, None)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if self._previous is not None:
            self._previous(number, frame)

    def _end_now(self) -> None:
        logger.warning("A second SIGTERM: ending at once, with what is under way")
        self._flush_and_end(EXIT_FORCED)

    def _end_late(self) -> None:
        logger.error("Not stopped within %.1f s: ending at once", self._limit.total_seconds())
        self._flush_and_end(EXIT_LATE)

    def _flush_and_end(self, code: int) -> None:
        if self._before_exit is not None:
            with suppress(Exception):
                self._before_exit()
        self._end(code)
