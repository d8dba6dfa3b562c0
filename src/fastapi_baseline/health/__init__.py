"""What orchestrators ask: whether the process lives, and whether it can do its work."""

from fastapi_baseline.health.checks import CheckResult, NotReadyError, run_checks
from fastapi_baseline.health.routes import LIVENESS_PATH, READINESS_PATH, make_health_router

__all__ = [
    "LIVENESS_PATH",
    "READINESS_PATH",
    "CheckResult",
    "NotReadyError",
    "make_health_router",
    "run_checks",
]
