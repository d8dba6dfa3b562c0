"""Whether something that fails is still asked.

It stops being asked after some failures in a row, so that nobody waits for what will not come. After
a while somebody may try; if that goes well, whether it is well again is decided by those who ask.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

from fastapi_baseline.clock import Clock, SystemClock

_RETRY_INTERVAL = timedelta(seconds=1)


class CircuitState(StrEnum):
    """What a circuit breaker lets through."""

    CLOSED = "closed"
    """Everything: all is well."""
    OPEN = "open"
    """Nothing but, once in a while, a probe."""
    HALF_OPEN = "half_open"
    """Everything, until it is known how the next call went: a probe went well."""


class CircuitBreaker:
    """A state machine that counts failures; it calls nothing itself, and belongs to one thread.

    Who asks looks at `is_open` before, and says afterwards how it went. What neither succeeded nor
    failed (somebody gave up waiting) is not said.
    """

    __slots__ = (
        "_callbacks",
        "_clock",
        "_failures",
        "_failures_to_open",
        "_probe_at",
        "_retry_interval_s",
        "_state",
        "is_open",
    )

    is_open: bool
    """Whether nothing is let through."""

    def __init__(
        self,
        *,
        failures_to_open: int = 5,
        retry_interval: timedelta = _RETRY_INTERVAL,
        clock: Clock | None = None,
    ) -> None:
        """Begin closed; open after `failures_to_open` in a row, and allow a probe in each interval.

        Raises:
            ValueError: If no failure is needed, or there is no time between probes.
        """
        if failures_to_open < 1 or retry_interval <= timedelta(0):
            raise ValueError("A circuit breaker opens after one failure or more, for some time.")
        self._failures_to_open = failures_to_open
        self._retry_interval_s = retry_interval.total_seconds()
        self._clock = clock or SystemClock()
        self._callbacks: list[Callable[[CircuitState], None]] = []
        self._state = CircuitState.CLOSED
        self._failures = 0
        self._probe_at = 0.0
        self.is_open = False

    @property
    def state(self) -> CircuitState:
        """Return what is let through."""
        return self._state

    @property
    def retry_interval(self) -> timedelta:
        """Return how long nothing is let through before somebody may try."""
        return timedelta(seconds=self._retry_interval_s)

    def on_change(self, callback: Callable[[CircuitState], None]) -> None:
        """Have `callback` called with each new state, at the moment it changes."""
        self._callbacks.append(callback)

    def record_success(self) -> None:
        """Say that a call went well: nothing has failed in a row, and a trial is over.

        While nothing is let through, this is the end of a call from before, and changes nothing.
        """
        if self._state is CircuitState.CLOSED:
            self._failures = 0
        elif self._state is CircuitState.HALF_OPEN:
            self._failures = 0
            self._enter(CircuitState.CLOSED)

    def record_failure(self) -> None:
        """Say that a call failed: one more in a row, or the trial did not go well."""
        if self._state is CircuitState.OPEN:
            return
        self._failures += 1
        if self._state is CircuitState.HALF_OPEN or self._failures >= self._failures_to_open:
            self._probe_at = self._clock.monotonic() + self._retry_interval_s
            self._enter(CircuitState.OPEN)

    def claim_probe(self) -> bool:
        """Return whether the caller may try now: one in each interval may, while it is open."""
        now = self._clock.monotonic()
        if self._state is not CircuitState.OPEN or now < self._probe_at:
            return False
        self._probe_at = now + self._retry_interval_s
        return True

    def confirm_probe(self) -> None:
        """Say that a probe went well: calls are let through again, and the next one decides."""
        if self._state is CircuitState.OPEN:
            self._enter(CircuitState.HALF_OPEN)

    def _enter(self, state: CircuitState) -> None:
        self._state = state
        self.is_open = state is CircuitState.OPEN
        for callback in self._callbacks:
            callback(state)
