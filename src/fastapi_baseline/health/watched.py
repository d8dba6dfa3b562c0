"""One check over time: when it runs, and what its runs amount to."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import timedelta

from fastapi_baseline.clock import Clock
from fastapi_baseline.health.history import CheckHistory
from fastapi_baseline.health.registration import CheckRegistration
from fastapi_baseline.health.results import CheckResult
from fastapi_baseline.settings import HealthSettings

logger = logging.getLogger(__name__)

_RETRY = timedelta(seconds=1)
"""How soon a check that failed runs again, so that what is well again is used again."""
_SLACK_S = 0.5
_JITTER = 0.1

ResultHook = Callable[[CheckResult], object]


class WatchedCheck:
    """Runs one check, once at a time, and remembers what it found.

    A run goes on when whoever asked for it goes away: others may wait for the same run.
    """

    def __init__(
        self,
        registration: CheckRegistration,
        *,
        settings: HealthSettings,
        clock: Clock,
        on_result: ResultHook | None = None,
    ) -> None:
        """Take what the registration leaves open from `settings`."""
        self.registration = registration
        self.name = registration.check.name
        self._clock = clock
        self._on_result = on_result
        self._timeout = registration.timeout or settings.timeout
        self._interval = registration.interval or settings.interval
        self.history = CheckHistory(
            self.name,
            critical=registration.critical,
            failures_to_down=settings.failures_to_unready,
            # What is run once an hour cannot be a minute old.
            stale_after=max(settings.stale_after, 2 * self._interval + self._timeout),
            clock=clock,
        )
        self._run: asyncio.Task[None] | None = None

    @property
    def is_due(self) -> bool:
        """Return whether it is time for another run."""
        return not self.history.has_run or self.history.age >= self._pause()

    async def refresh(self) -> None:
        """Run the check, or wait for the run that is under way; return when its time is up."""
        run = self._run
        if run is None or run.done() or run.get_loop() is not asyncio.get_running_loop():
            # Held here, raises nothing, and outlives a request that asked for it.
            run = self._run = asyncio.create_task(self._observe())  # noqa: TID251 -- held here
        # A check that will not be cancelled keeps its run, and nobody waits for it.
        await asyncio.wait({run}, timeout=self._timeout.total_seconds() + _SLACK_S)

    async def watch(self) -> None:
        """Run the check again and again; processes that started together drift apart."""
        while True:
            await self.refresh()
            pause_s = self._pause().total_seconds()
            await asyncio.sleep(pause_s * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311

    async def stop(self) -> None:
        """Cancel the run that is under way, if there is one, and see it end."""
        if self._run is not None and self._run.get_loop() is asyncio.get_running_loop():
            self._run.cancel()
            await asyncio.wait({self._run}, timeout=_SLACK_S)
        self._run = None

    async def _observe(self) -> None:
        began = self._clock.monotonic()
        fault: BaseException | None = None
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                await self.registration.check.check()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not ours: the check has waited for something that was cancelled.
            fault = error
        except Exception as error:  # noqa: BLE001 -- whatever it is, the system is not well
            fault = error
        result = CheckResult(
            name=self.name,
            fault=None if fault is None else type(fault).__name__,
            checked_at=self._clock.now(),
            duration=timedelta(seconds=self._clock.monotonic() - began),
        )
        self.history.remember(result, cause=fault)
        self._tell(result)

    def _tell(self, result: CheckResult) -> None:
        if self._on_result is None:
            return
        try:
            self._on_result(result)
        except Exception:
            logger.exception("The hook for results of health checks failed")

    def _pause(self) -> timedelta:
        return min(self._interval, _RETRY) if self.history.has_failed else self._interval
