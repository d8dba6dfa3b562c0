"""The probes, as routes that are in no documentation."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from fastapi_baseline import context, problems
from fastapi_baseline.errors import BaselineError, FieldError
from fastapi_baseline.health.errors import (
    DrainingError,
    NotAliveError,
    NotReadyError,
    TrafficRefusedError,
    UnknownHealthGroupError,
)
from fastapi_baseline.health.monitor import HealthMonitor
from fastapi_baseline.health.registration import READY
from fastapi_baseline.health.results import HealthReport
from fastapi_baseline.lifecycle import Availability

LIVENESS_PATH = "/livez"
READINESS_PATH = "/readyz"
STARTUP_PATH = "/startupz"
HEALTH_PATH = "/health"
PROBE_PATHS = (LIVENESS_PATH, READINESS_PATH, STARTUP_PATH, HEALTH_PATH)

_METHODS = ("GET", "HEAD")
_HEADERS = {"Cache-Control": "no-store"}

DetailsFor = Callable[[HTTPConnection], bool]


def make_health_router(monitor: HealthMonitor, *, details: bool | DetailsFor) -> APIRouter:
    """Return the routes of the probes, which need nothing else of an application.

    `/livez` is 200 while the process answers, unless a check of the process itself fails.
    `/readyz` is 200 while the service takes traffic, and no critical check of its group fails.
    `/startupz` is 200 from when the checks of its group have passed once. `/health` is about all
    checks, and `/health/{group}` about some. What is not 200 is 503, as problem details.

    With `details`, which may depend on who asks, they say which checks there are and what they
    found. The kind of an error is shown, its text never.
    """
    router = APIRouter(include_in_schema=False)
    probes = _Probes(monitor, (lambda _: details) if isinstance(details, bool) else details)
    for path, answer in (
        (LIVENESS_PATH, probes.answer_liveness),
        (READINESS_PATH, probes.answer_readiness),
        (STARTUP_PATH, probes.answer_startup),
        (HEALTH_PATH, probes.answer_health),
        (f"{HEALTH_PATH}/{{group}}", probes.answer_health),
    ):
        router.add_api_route(path, answer, methods=[*_METHODS])
    return router


class _Probes:
    def __init__(self, monitor: HealthMonitor, details_for: DetailsFor) -> None:
        self._monitor = monitor
        self._details_for = details_for

    async def answer_liveness(self, request: Request) -> Response:
        report = self._monitor.report_liveness()
        if report.is_up:
            return _ok("ok")
        return _problem(request, NotAliveError(fields=self._fields(request, report)))

    async def answer_readiness(self, request: Request) -> Response:
        report = await self._monitor.report(READY)
        shows = self._details_for(request)
        error = _objection(self._monitor.availability, shows=shows)
        if error is None and not report.is_up:
            error = NotReadyError(fields=self._fields(request, report))
        if error is not None:
            return _problem(request, error)
        if not shows:
            return _ok(report.status)
        found = {name: check.status for name, check in report.checks.items()}
        return _ok(report.status, checks=found)

    async def answer_startup(self, request: Request) -> Response:
        if await self._monitor.has_started():
            return _ok("ok")
        return _problem(request, NotReadyError("The service has not started yet."))

    async def answer_health(self, request: Request) -> Response:
        try:
            report = await self._monitor.report(request.path_params.get("group"))
        except UnknownHealthGroupError as error:
            return _problem(request, error)
        if not self._details_for(request):
            if report.is_up:
                return _ok(report.status)
            return _problem(request, NotReadyError())
        availability = self._monitor.availability
        content = {
            "status": report.status,
            "checks": {name: check.as_json() for name, check in report.checks.items()},
            "draining": availability.is_draining,
            "refusals": availability.refusals,
        }
        return JSONResponse(content, 200 if report.is_up else 503, headers=_HEADERS)

    def _fields(self, request: Request, report: HealthReport) -> list[FieldError]:
        return [c.as_field() for c in report.faults()] if self._details_for(request) else []


def _objection(availability: Availability, *, shows: bool) -> NotReadyError | None:
    if availability.is_draining:
        return DrainingError()
    if availability.takes_traffic:
        return None
    reasons = availability.refusals if shows else ()
    return TrafficRefusedError(
        fields=[
            FieldError(path=(), detail=reason, code="traffic_refused", location="availability")
            for reason in reasons
        ]
    )


def _ok(status: str, **content: Any) -> Response:
    return JSONResponse({"status": status, **content}, headers=_HEADERS)


def _problem(request: Request, error: BaselineError) -> Response:
    current = context.current()
    fault = problems.fault_of(error)
    if current is not None:
        current.fields["code"] = fault.code
    response = problems.ProblemResponse(
        fault,
        instance=quote(request.scope["path"]),
        request_id=current.request_id if current is not None else None,
    )
    response.headers.update(_HEADERS)
    return response
