"""What an application is joined from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi_baseline.app.telemetry import Telemetry
from fastapi_baseline.clock import Clock
from fastapi_baseline.health import (
    HEALTH_PATH,
    INFO_PATH,
    PROBE_PATHS,
    CheckRegistration,
    HealthGroup,
)
from fastapi_baseline.lifecycle import Availability, HealthCheck
from fastapi_baseline.middleware import StackChange
from fastapi_baseline.observability import LoggingHandle
from fastapi_baseline.observability.logging import LOGGERS_PATH
from fastapi_baseline.observability.metrics import METRICS_PATH
from fastapi_baseline.settings import Settings

INTERNAL_PATHS = (*PROBE_PATHS, METRICS_PATH, INFO_PATH, LOGGERS_PATH)
"""What is for orchestrators and operators, and no part of the service's traffic."""

_OWN_GROUPS = ("live", "ready", "startup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What was said of one application, and what was made for it before it is put together.

    `logs` is `None` if the logging of the process is not ours.
    """

    settings: Settings
    telemetry: Telemetry
    clock: Clock
    logs: LoggingHandle | None
    checks: Sequence[HealthCheck | CheckRegistration]
    health_groups: Sequence[HealthGroup]
    stack: StackChange | None
    validation_status: int
    availability: Availability = field(default_factory=Availability)

    @property
    def internal_paths(self) -> tuple[str, ...]:
        """Return the paths that are no part of the service's traffic, with those of groups."""
        groups = (*_OWN_GROUPS, *(group.name for group in self.health_groups))
        return (*INTERNAL_PATHS, *(f"{HEALTH_PATH}/{name}" for name in groups))
