"""What the parts of the library tell about themselves, as metrics."""

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

_METER = "fastapi_baseline"


def record_build_info(provider: MeterProvider, *, version: str, commit: str = "") -> None:
    """Tell which build this process runs, as labels of `build_info`, whose value is 1."""
    gauge = provider.get_meter(_METER).create_gauge(
        "build.info", description="The build that runs: always 1."
    )
    gauge.set(1, {"version": version, "commit": commit, "python": platform.python_version()})


def observe_dropped_log_records(provider: MeterProvider, count: Callable[[], int]) -> None:
    """Show how many lines of the log were lost, as `count` says whenever it is asked.

    Applications of one process lose the same lines: the same `count` is asked only once.
    """
    provider.get_meter(_METER).create_observable_counter(
        "log.records.dropped",
        callbacks=[_Total(count)],
        description="Lines that were not written, since standard output did not keep up.",
    )


@dataclass(frozen=True, slots=True)
class _Total:
    count: Callable[[], int]

    def __call__(self, options: CallbackOptions) -> Iterable[Observation]:
        del options
        return [Observation(self.count())]


class CheckOutcome(Protocol):
    """What one run of a health check found."""

    @property
    def name(self) -> str:
        """Return the name of the check."""
        ...

    @property
    def fault(self) -> str | None:
        """Return the kind of the fault, or `None` if there was none."""
        ...

    @property
    def duration(self) -> timedelta:
        """Return how long the run took."""
        ...


class HealthMetrics:
    """The outcomes of health checks, by the name of the check."""

    def __init__(self, provider: MeterProvider) -> None:
        """Measure with `provider`."""
        meter = provider.get_meter(_METER)
        self._status = meter.create_gauge(
            "health.check.status", description="Whether the last run of the check passed: 1, or 0."
        )
        self._duration = meter.create_histogram(
            "health.check.duration", unit="s", description="How long the check took."
        )

    def record(self, outcome: CheckOutcome) -> None:
        """Record one run of a check."""
        attributes = {"check": outcome.name}
        self._status.set(0 if outcome.fault else 1, attributes)
        self._duration.record(outcome.duration.total_seconds(), attributes)
