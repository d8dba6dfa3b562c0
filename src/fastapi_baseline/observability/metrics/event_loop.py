"""Whether the event loop keeps up, and what holds it up if it does not."""

import asyncio
import logging
import sys
import threading
import traceback
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType

from opentelemetry import metrics

from fastapi_baseline.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

_DEFAULT_INTERVAL = timedelta(milliseconds=250)
_DEFAULT_BLOCKED_AFTER = timedelta(milliseconds=500)
# A service that is always blocked must not write of nothing else.
_QUIET_SECONDS = 10.0
_WINDOW_SECONDS = 15.0
_FRAMES = 12


class GreatestLag:
    """The greatest lag of the last 15 to 30 seconds: long enough for every scrape to see it."""

    def __init__(self) -> None:
        """Start with none."""
        self._ends = 0.0
        self._current = 0.0
        self._before = 0.0

    def add(self, lag: float, *, now: float) -> float:
        """Take one more into account, and return the greatest; all in seconds."""
        if now >= self._ends:
            is_next = now < self._ends + _WINDOW_SECONDS
            self._before = self._current if is_next else 0.0
            self._current = 0.0
            self._ends = now + _WINDOW_SECONDS
        self._current = max(self._current, lag)
        return max(self._current, self._before)


class EventLoopMonitor:
    """Measures how late the event loop runs what is due, and logs what blocks it.

    Four times a second it asks to be called, and looks how late it was called: that is how long any
    request had to wait, too. A thread watches meanwhile; when the loop does not come back for
    `blocked_after`, it logs where the code stands, at most once in ten seconds. Enter it where the
    loop runs, which a lifespan does; one monitor watches one loop.
    """

    def __init__(
        self,
        meter_provider: metrics.MeterProvider,
        *,
        clock: Clock | None = None,
        interval: timedelta = _DEFAULT_INTERVAL,
        blocked_after: timedelta = _DEFAULT_BLOCKED_AFTER,
    ) -> None:
        """Measure with `meter_provider`; nothing runs before the monitor is entered."""
        meter = meter_provider.get_meter("fastapi_baseline")
        self._lags = meter.create_histogram(
            "event_loop.lag", unit="s", description="How late the event loop ran what was due."
        )
        self._greatest = meter.create_gauge(
            "event_loop.lag.max",
            unit="s",
            description="The greatest lag of the event loop in the last 15 to 30 seconds.",
        )
        self._clock = clock or SystemClock()
        self._interval = interval.total_seconds()
        self._blocked_after = blocked_after.total_seconds()
        self._window = GreatestLag()
        self._lag = 0.0
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = threading.Event()
        self._watch: threading.Thread | None = None

    def lag(self) -> timedelta:
        """Return the greatest lag lately, with that of the moment; any thread may ask."""
        due = self._due
        overdue = 0.0 if due is None else self._clock.monotonic() - due
        return timedelta(seconds=max(self._lag, overdue, 0.0))

    def lifespan(self, app: object) -> AbstractAsyncContextManager[None]:
        """Return itself, as what is entered with an application."""
        del app
        return self

    async def __aenter__(self) -> None:
        """Start to watch the running loop."""
        self._stopped.clear()
        self._schedule(asyncio.get_running_loop())
        self._watch = threading.Thread(
            target=self._look_out,
            args=(threading.get_ident(),),
            name="event-loop-monitor",
            daemon=True,
        )
        self._watch.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._stopped.set()
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.join()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = self._clock.monotonic() + self._interval
        self._timer = loop.call_later(self._interval, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self._clock.monotonic()
        lag = 0.0 if self._due is None else max(0.0, now - self._due)
        self._lag = self._window.add(lag, now=now)
        self._lags.record(lag)
        self._greatest.set(self._lag)
        self._schedule(loop)

    def _look_out(self, thread: int) -> None:
        quiet_until = 0.0
        while not self._stopped.wait(self._blocked_after / 2):
            now, due = self._clock.monotonic(), self._due
            if due is None or now - due < self._blocked_after or now < quiet_until:
                continue
            quiet_until = now + _QUIET_SECONDS
            logger.warning(
                "The event loop is blocked; no request is being answered.",
                extra={
                    "fields": {
                        "blocked_ms": round((now - due) * 1_000),
                        "stack": _stack_of(thread),
                    }
                },
            )


def _stack_of(thread: int) -> list[str]:
    """Return where the code of a thread stands, the innermost last."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- there is no other way
    walked = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=_FRAMES)
    return [f"{line.filename}:{line.lineno} {line.name}" for line in reversed(walked)]
