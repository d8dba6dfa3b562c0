"""A new application, or one that exists, with everything around it."""

import importlib.metadata
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exception_handlers import (
    http_exception_handler,
    request_validation_exception_handler,
)
from opentelemetry.trace import TracerProvider
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline.app.backends import Backends, open_backends
from fastapi_baseline.app.documents import PROBLEM_RESPONSE, document_responses
from fastapi_baseline.app.internal_routes import InternalRoutes
from fastapi_baseline.app.management import add_management, is_authorized
from fastapi_baseline.app.service import Service
from fastapi_baseline.app.telemetry import (
    Telemetry,
    exclude_from_telemetry,
    make_global,
    make_telemetry,
)
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.discovery import find_domains, package_of
from fastapi_baseline.documentation import add_documentation_pages
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.health import (
    HEALTH_PATH,
    INFO_PATH,
    PROBE_PATHS,
    CheckRegistration,
    HealthGroup,
    HealthMonitor,
    make_health_router,
    make_info_router,
)
from fastapi_baseline.idempotency import IdempotencyCaptureMiddleware
from fastapi_baseline.lifecycle import (
    Availability,
    GracefulShutdown,
    HealthCheck,
    Lifespan,
    chain_lifespans,
)
from fastapi_baseline.middleware import (
    Stack,
    StackChange,
    TrustedProxiesMiddleware,
    is_layer,
    make_exception_handlers,
    make_stack,
)
from fastapi_baseline.observability import LoggingHandle, make_loggers_router
from fastapi_baseline.observability import configure_logging as configure_process_logging
from fastapi_baseline.observability.logging import LOGGERS_PATH
from fastapi_baseline.observability.metrics import (
    METRICS_PATH,
    make_metrics_router,
    observe_dropped_log_records,
)
from fastapi_baseline.settings import Settings

INTERNAL_PATHS = (*PROBE_PATHS, METRICS_PATH, INFO_PATH, LOGGERS_PATH)
"""What is for orchestrators and operators, and no part of the service's traffic."""

_OWN_GROUPS = ("live", "ready", "startup")

# What FastAPI registers by itself; a service that registered something else keeps it.
_FRAMEWORK_HANDLERS = (http_exception_handler, request_validation_exception_handler)
_LAST_LINES = timedelta(seconds=1)


def create_app(
    settings: Settings,
    *,
    package: str | None = None,
    lifespan: Lifespan | None = None,
    checks: Sequence[HealthCheck | CheckRegistration] = (),
    health_groups: Sequence[HealthGroup] = (),
    stack: StackChange | None = None,
    tracer_provider: TracerProvider | None = None,
    validation_status: int = 422,
    clock: Clock | None = None,
    configure_logging: bool = True,
    **options: Any,
) -> FastAPI:
    """Build the application of a service from its settings.

    The domains of `package` (by default the one that the settings are defined in) are served. If
    the settings name a database, it is opened with the application, closed after `lifespan`, and
    part of readiness; nothing connects before the first request. Logging is configured for the
    whole process, since the process is the service's; `configure_logging=False` leaves it alone.

    `stack` is handed the layers around the application and returns those that it wants. Traces go
    to `tracer_provider`, by default to the endpoint of the settings. `validation_status` is the
    status of requests that do not validate: 422, or 400 for clients that know only that. `options`
    go to `FastAPI`; middleware among them goes inside of the library's layers.

    Raises:
        ConfigurationError: If the settings contradict each other, or an extra or a domain cannot
            be imported.
    """
    settings.check()
    logs = configure_process_logging(settings.log) if configure_logging else None
    package = package or package_of(type(settings))
    domains = find_domains(package) if package else ()
    version = settings.build.version or _version_of(package)
    telemetry = make_telemetry(settings, version=version, tracer_provider=tracer_provider)
    if tracer_provider is None:  # One that was handed in is for this application.
        make_global(telemetry)

    options.setdefault("title", settings.service_name)
    options.setdefault("version", version)
    options["responses"] = PROBLEM_RESPONSE | options.get("responses", {})
    options["telemetry"] = telemetry.as_config(
        excluded=_internal_paths(health_groups)
    ) | options.get("telemetry", {})
    app = Service(entry=_entry(settings), lifespan=lifespan, **options)
    for domain in domains:
        if domain.router is not None:
            app.include_router(domain.router)
    _join(
        app,
        settings,
        checks=checks,
        health_groups=health_groups,
        stack=stack,
        telemetry=telemetry,
        logs=logs,
        validation_status=validation_status,
        clock=clock or SystemClock(),
    )
    return app


def install(
    app: FastAPI,
    settings: Settings,
    *,
    checks: Sequence[HealthCheck | CheckRegistration] = (),
    health_groups: Sequence[HealthGroup] = (),
    stack: StackChange | None = None,
    tracer_provider: TracerProvider | None = None,
    validation_status: int = 422,
    clock: Clock | None = None,
) -> ASGIApp:
    """Add the library's layers to an application that exists, and return what is to be served.

    The layers go outside of the application's own middleware, and the lifespan around its own.
    Handlers that it registered stay, also the one for `Exception`; only the framework's defaults
    make room for problems. Routes that it has come first, so a `/livez` of its own stays. If it
    has a CORS layer, ours is left out. Logging is not touched: call
    `fastapi_baseline.observability.configure_logging` if you want it.

    FastAPI traces an application where the process has said, so the provider for traces becomes
    that of the process, unless it has another.

    Raises:
        ConfigurationError: If the application has already started or was installed into before,
            the settings contradict each other, or an extra is missing.
    """
    settings.check()
    if app.middleware_stack is not None:
        raise ConfigurationError("install() must be called before the application starts.")
    if hasattr(app.state, "baseline_settings"):
        raise ConfigurationError("install() was already called for this application.")
    version = settings.build.version or app.version
    telemetry = make_telemetry(settings, version=version, tracer_provider=tracer_provider)
    make_global(telemetry)
    _join(
        app,
        settings,
        checks=checks,
        health_groups=health_groups,
        stack=stack,
        telemetry=telemetry,
        logs=None,
        validation_status=validation_status,
        clock=clock or SystemClock(),
    )
    return _entry(settings)(_without_telemetry(app, paths=_internal_paths(health_groups)))


def _internal_paths(health_groups: Sequence[HealthGroup]) -> tuple[str, ...]:
    groups = (*_OWN_GROUPS, *(group.name for group in health_groups))
    return (*INTERNAL_PATHS, *(f"{HEALTH_PATH}/{name}" for name in groups))


def _entry(settings: Settings) -> Callable[[ASGIApp], ASGIApp]:
    return partial(
        TrustedProxiesMiddleware,
        trusted=settings.trusted_proxies,
        headers=settings.forwarded_headers,
    )


def _without_telemetry(app: ASGIApp, *, paths: Collection[str]) -> ASGIApp:
    internal = frozenset(paths)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") in internal:
            exclude_from_telemetry(scope)
        await app(scope, receive, send)

    return serve


def _join(
    app: FastAPI,
    settings: Settings,
    *,
    checks: Sequence[HealthCheck | CheckRegistration],
    health_groups: Sequence[HealthGroup],
    stack: StackChange | None,
    telemetry: Telemetry,
    logs: LoggingHandle | None,
    validation_status: int,
    clock: Clock,
) -> None:
    """Put everything that both kinds of application get onto one."""
    availability = Availability()
    app.state.baseline_settings = settings
    app.state.availability = availability
    backends = open_backends(app, settings, telemetry=telemetry, clock=clock)
    monitor = HealthMonitor(
        [*backends.checks, *checks],
        settings=settings.health,
        clock=clock,
        groups=health_groups,
        availability=availability,
        on_result=telemetry.health_metrics().record if telemetry.is_measuring else None,
        in_background=settings.environment != "test",
    )
    management = _add_routes(app, settings, monitor=monitor, telemetry=telemetry, logs=logs)
    document_responses(app)
    add_documentation_pages(app, allow_cdn=not settings.is_deployed)
    for kind, handler in make_exception_handlers(validation_status=validation_status).items():
        if app.exception_handlers.get(kind) in {None, *_FRAMEWORK_HANDLERS}:
            app.exception_handlers[kind] = handler
    for layer in reversed(
        _layers_for(
            app,
            settings,
            backends=backends,
            change=stack,
            exempt_paths=_internal_paths(health_groups),
            telemetry=telemetry,
            availability=availability,
            clock=clock,
        )
    ):
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    app.router.lifespan_context = chain_lifespans(
        _shutdown(settings, availability, logs).lifespan,
        # What is left last comes first: the lines and spans of all others are still to be sent.
        *([logs.make_lifespan()] if logs is not None else []),
        *backends.lifespans,
        *telemetry.lifespans(),
        *([management] if management is not None else []),
        monitor.lifespan,
        app.router.lifespan_context,
        budget=settings.shutdown.cleanup,
    )


def _shutdown(
    settings: Settings, availability: Availability, logs: LoggingHandle | None
) -> GracefulShutdown:
    shutdown = settings.shutdown
    return GracefulShutdown(
        availability,
        drain_delay=settings.drain_delay,
        limit=settings.drain_delay + shutdown.grace + shutdown.cleanup,
        before_exit=None if logs is None else partial(logs.flush, _LAST_LINES),
    )


def _add_routes(
    app: FastAPI,
    settings: Settings,
    *,
    monitor: HealthMonitor,
    telemetry: Telemetry,
    logs: LoggingHandle | None,
) -> Lifespan | None:
    """Add what orchestrators and operators ask for, and return what opens a port for the latter."""

    def shows_details(connection: HTTPConnection) -> bool:
        return settings.shows_health_details or is_authorized(connection, settings.management.token)

    build = settings.build
    internal = APIRouter()
    internal.include_router(make_health_router(monitor, details=shows_details))
    operators = [
        make_info_router(
            settings, version=build.version or app.version, commit=build.commit, built_at=build.time
        )
    ]
    if telemetry.is_measuring:
        operators.append(make_metrics_router(telemetry.registry))
    if logs is not None:
        operators.append(make_loggers_router(logs.levels))
        if telemetry.is_measuring:
            observe_dropped_log_records(telemetry.meter_provider, lambda: logs.dropped)
    if settings.management.port is not None:
        operators.append(make_health_router(monitor, details=True))
    management = add_management(internal, settings, operators)
    app.router.routes.append(InternalRoutes(internal, paths=INTERNAL_PATHS))
    return management


def _layers_for(
    app: FastAPI,
    settings: Settings,
    *,
    backends: Backends,
    change: StackChange | None,
    exempt_paths: Collection[str],
    telemetry: Telemetry,
    availability: Availability,
    clock: Clock,
) -> Sequence[Middleware]:
    layers = make_stack(
        settings,
        clock=clock,
        exempt_paths=exempt_paths,
        availability=availability,
        observer=telemetry.request_metrics(),
    )
    if any(is_layer(layer, CORSMiddleware) for layer in app.user_middleware):
        layers = Stack(layer for layer in layers if not is_layer(layer, CORSMiddleware))
    layers.append(
        Middleware(
            IdempotencyCaptureMiddleware,
            store=backends.idempotency,
            settings=settings.idempotency,
        )
    )
    return layers if change is None else list(change(layers))


def _version_of(package: str | None) -> str:
    """Return the version of the distribution that is called like `package`."""
    try:
        return importlib.metadata.version(package or "")
    except (ValueError, importlib.metadata.PackageNotFoundError):
        return "0.0.0"
