"""What the runs of one check amount to."""

import logging
from datetime import timedelta

from fastapi_baseline.clock import Clock
from fastapi_baseline.health.results import CheckReport, CheckResult, CheckStatus

logger = logging.getLogger(__name__)


class CheckHistory:
    """Remembers what a check found, and says what follows from it.

    A system that never was well counts as failed at its first fault, and one that was after
    `failures_to_down` in a row. What was found longer than `stale_after` ago no longer counts.
    """

    def __init__(
        self,
        name: str,
        *,
        critical: bool,
        failures_to_down: int,
        stale_after: timedelta,
        clock: Clock,
    ) -> None:
        """Begin without any run."""
        self._name = name
        self._critical = critical
        self._failures_to_down = failures_to_down
        self._stale_after = stale_after
        self._clock = clock
        self._result: CheckResult | None = None
        self._remembered_at = 0.0
        self._failures = 0
        self._is_up = False
        self.has_passed = False
        """Whether the check has ever found its system well."""

    @property
    def has_run(self) -> bool:
        """Return whether the check has found anything yet."""
        return self._result is not None

    @property
    def has_failed(self) -> bool:
        """Return whether the last run found a fault."""
        return self._result is not None and self._result.fault is not None

    @property
    def age(self) -> timedelta:
        """Return how long ago the last run was."""
        return timedelta(seconds=self._clock.monotonic() - self._remembered_at)

    def remember(self, result: CheckResult, *, cause: BaseException | None) -> None:
        """Add a run; a change is logged, with its cause."""
        before, self._result = self._result, result
        self._remembered_at = self._clock.monotonic()
        if cause is None:
            self._failures = 0
            self._is_up = self.has_passed = True
            if before is not None and before.fault is not None:
                logger.info("The check %r passes again", self._name)
            return
        self._failures += 1
        self._is_up = self._is_up and self._failures < self._failures_to_down
        if before is None or before.fault != result.fault:
            logger.warning("The check %r found a fault: %r", self._name, cause.__cause__ or cause)

    def report(self) -> CheckReport:
        """Return what is known now."""
        return CheckReport(
            name=self._name,
            critical=self._critical,
            status=self._status(),
            failures=self._failures,
            result=self._result,
        )

    def _status(self) -> CheckStatus:
        if not self.has_run:
            return CheckStatus.PENDING
        if self.age > self._stale_after:
            return CheckStatus.STALE
        if not self.has_failed:
            return CheckStatus.OK
        return CheckStatus.FAILING if self._is_up else CheckStatus.FAILED
