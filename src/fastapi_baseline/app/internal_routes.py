"""Routes for orchestrators and operators, which cost the other routes nothing."""

from collections.abc import Collection
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from fastapi_baseline.app.management import add_management, is_authorized
from fastapi_baseline.app.parts import INTERNAL_PATHS, Parts
from fastapi_baseline.health import (
    HEALTH_PATH,
    HealthMonitor,
    make_health_router,
    make_info_router,
)
from fastapi_baseline.lifecycle import StatelessLifespan
from fastapi_baseline.observability import make_loggers_router
from fastapi_baseline.observability.logging import LOGGERS_PATH
from fastapi_baseline.observability.metrics import (
    make_metrics_router,
    observe_dropped_log_records,
)

_WITH_PARTS = (f"{HEALTH_PATH}/", f"{LOGGERS_PATH}/")


class InternalRoutes(BaseRoute):
    """One route that stands for all of a router, and knows its paths by heart.

    The framework asks route by route, so a service would pay for these with each of its requests
    that is not meant for them.
    """

    # Probes are for everybody, and what operators see asks for their token.
    decides_access = True

    def __init__(self, router: APIRouter, *, paths: Collection[str]) -> None:
        """Pass requests for `paths`, and for what is below of them, to `router`."""
        self._router = router
        self._paths = frozenset(paths)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is meant for one of the paths."""
        path: str = scope["path"]
        if scope["type"] != "http":
            return Match.NONE, {}
        root: str = scope.get("root_path", "")
        if root:
            path = path.removeprefix(root)
        if path in self._paths or path.startswith(_WITH_PARTS):
            return Match.FULL, {}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for one of the paths."""
        await self._router(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        """Return the path of a route by its name."""
        return self._router.url_path_for(name, **path_params)


def add_internal_routes(
    app: FastAPI, parts: Parts, monitor: HealthMonitor
) -> StatelessLifespan | None:
    """Add what orchestrators and operators ask for.

    Returns:
        What opens and closes the port of the operators, or `None` if they have none of their own.
    """
    settings = parts.settings

    def shows_details(connection: HTTPConnection) -> bool:
        return settings.shows_health_details or is_authorized(connection, settings.management.token)

    internal = APIRouter()
    internal.include_router(make_health_router(monitor, details=shows_details))
    management = add_management(internal, settings, _routers_for_operators(app, parts, monitor))
    app.router.routes.append(InternalRoutes(internal, paths=INTERNAL_PATHS))
    return management


def _routers_for_operators(app: FastAPI, parts: Parts, monitor: HealthMonitor) -> list[APIRouter]:
    settings, telemetry, logs = parts.settings, parts.telemetry, parts.logs
    build = settings.build
    version = build.version or app.version
    routers = [
        make_info_router(settings, version=version, commit=build.commit, built_at=build.time)
    ]
    if telemetry.is_measuring:
        routers.append(make_metrics_router(telemetry.registry))
    if logs is not None:
        routers.append(make_loggers_router(logs.levels))
        if telemetry.is_measuring:
            observe_dropped_log_records(telemetry.meter_provider, lambda: logs.dropped)
    if settings.management.port is not None:
        routers.append(make_health_router(monitor, details=True))
    return routers
