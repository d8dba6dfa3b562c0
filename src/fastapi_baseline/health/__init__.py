"""What orchestrators ask: whether the process lives, and whether it can do its work."""

from fastapi_baseline.health.checks import (
    DiskFullError,
    DiskSpaceCheck,
    EventLoopLagCheck,
    EventLoopLagError,
)
from fastapi_baseline.health.dependencies import CurrentAvailability, get_availability
from fastapi_baseline.health.errors import (
    DrainingError,
    NotAliveError,
    NotReadyError,
    TrafficRefusedError,
    UnknownHealthGroupError,
)
from fastapi_baseline.health.info import INFO_PATH, make_info_router
from fastapi_baseline.health.monitor import HealthMonitor
from fastapi_baseline.health.registration import CheckRegistration, HealthGroup
from fastapi_baseline.health.results import CheckReport, CheckResult, CheckStatus, HealthReport
from fastapi_baseline.health.routes import (
    HEALTH_PATH,
    LIVENESS_PATH,
    PROBE_PATHS,
    READINESS_PATH,
    STARTUP_PATH,
    make_health_router,
)

__all__ = [
    "HEALTH_PATH",
    "INFO_PATH",
    "LIVENESS_PATH",
    "PROBE_PATHS",
    "READINESS_PATH",
    "STARTUP_PATH",
    "CheckRegistration",
    "CheckReport",
    "CheckResult",
    "CheckStatus",
    "CurrentAvailability",
    "DiskFullError",
    "DiskSpaceCheck",
    "DrainingError",
    "EventLoopLagCheck",
    "EventLoopLagError",
    "HealthGroup",
    "HealthMonitor",
    "HealthReport",
    "NotAliveError",
    "NotReadyError",
    "TrafficRefusedError",
    "UnknownHealthGroupError",
    "get_availability",
    "make_health_router",
    "make_info_router",
]
