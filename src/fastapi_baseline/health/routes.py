"""The probes, as routes that are in no documentation."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter

from fastapi_baseline.errors import FieldError
from fastapi_baseline.health.checks import CheckResult, NotReadyError, run_checks
from fastapi_baseline.lifecycle import HealthCheck

LIVENESS_PATH = "/livez"
READINESS_PATH = "/readyz"


def make_health_router(
    checks: Sequence[HealthCheck], *, timeout: timedelta, details: bool
) -> APIRouter:
    """Return the routes of the probes.

    `/livez` is 200 while the process answers at all, and touches nothing else: restarting a process
    does not mend a database. `/readyz` is 200 if all checks pass within `timeout`, and else 503.
    With `details`, both outcomes say which checks there are and what they found.
    """
    router = APIRouter(include_in_schema=False)

    @router.get(LIVENESS_PATH)
    async def is_alive() -> dict[str, str]:
        return {"status": "ok"}

    @router.get(READINESS_PATH)
    async def is_ready() -> dict[str, Any]:
        results = await run_checks(checks, within=timeout)
        faults = [result for result in results if result.fault is not None]
        if faults:
            raise NotReadyError(fields=_as_fields(faults) if details else ())
        answer: dict[str, Any] = {"status": "ok"}
        if details:
            answer["checks"] = {result.name: "ok" for result in results}
        return answer

    return router


def _as_fields(faults: Sequence[CheckResult]) -> list[FieldError]:
    return [
        FieldError(
            path=(result.name,),
            detail=f"The check failed with {result.fault}.",
            code="check_failed",
            location="checks",
        )
        for result in faults
    ]
