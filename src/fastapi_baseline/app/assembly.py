"""A new application, or one that exists, with everything around it."""

import importlib.metadata
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import (
    http_exception_handler,
    request_validation_exception_handler,
)
from opentelemetry.trace import TracerProvider
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline.app.auth import open_auth
from fastapi_baseline.app.backends import Backends, open_backends
from fastapi_baseline.app.documents import PROBLEM_RESPONSE, document_responses
from fastapi_baseline.app.internal_routes import add_internal_routes
from fastapi_baseline.app.parts import Parts
from fastapi_baseline.app.service import Service
from fastapi_baseline.app.telemetry import exclude_from_telemetry, make_global, make_telemetry
from fastapi_baseline.auth.openapi import prepare_documentation_pages
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.discovery import find_domains, package_of
from fastapi_baseline.documentation import add_documentation_pages
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.health import CheckRegistration, HealthGroup, HealthMonitor
from fastapi_baseline.idempotency import IdempotencyCaptureMiddleware
from fastapi_baseline.inspection import note, refusing
from fastapi_baseline.lifecycle import (
    GracefulShutdown,
    HealthCheck,
    Lifespan,
    chain_lifespans,
    frozen_heap,
)
from fastapi_baseline.middleware import (
    DeadlineMiddleware,
    ErrorBoundaryMiddleware,
    Stack,
    StackChange,
    TrustedProxiesMiddleware,
    is_layer,
    make_exception_handlers,
    make_stack,
)
from fastapi_baseline.observability import configure_logging as configure_process_logging
from fastapi_baseline.settings import Settings

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
    part of readiness; nothing connects before the first request. The process is the service's: its
    logging is configured, and what exists once it has started is kept out of garbage collections,
    except in tests. `configure_logging=False` leaves both alone.

    `stack` is handed the layers around the application and returns those that it wants. Traces go
    to `tracer_provider`, by default to the endpoint of the settings. `validation_status` is the
    status of requests that do not validate: 422, or 400 for clients that know only that. `options`
    go to `FastAPI`; middleware among them goes inside of the library's layers.

    Raises:
        ConfigurationError: If the settings contradict each other, or an extra or a domain cannot
            be imported.
    """
    note(settings=settings)
    with refusing():
        settings.check()
    logs = configure_process_logging(settings.log) if configure_logging else None
    package = package or package_of(type(settings))
    domains = find_domains(package) if package else ()
    version = settings.build.version or _version_of(package)
    telemetry = make_telemetry(settings, version=version, tracer_provider=tracer_provider)
    parts = Parts(
        settings=settings,
        telemetry=telemetry,
        clock=clock or SystemClock(),
        logs=logs,
        checks=checks,
        health_groups=health_groups,
        stack=stack,
        validation_status=validation_status,
    )
    if tracer_provider is None:  # One that was handed in is for this application.
        make_global(telemetry)

    options = {"title": settings.service_name, "version": version, **options}
    app = _make_service(parts, lifespan=lifespan, options=options)
    for domain in domains:
        if domain.router is not None:
            app.include_router(domain.router)
    _join(app, parts)
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
    note(settings=settings)
    with refusing():
        settings.check()
    if app.middleware_stack is not None:
        raise ConfigurationError("install() must be called before the application starts.")
    if hasattr(app.state, "baseline_settings"):
        raise ConfigurationError("install() was already called for this application.")
    version = settings.build.version or app.version
    telemetry = make_telemetry(settings, version=version, tracer_provider=tracer_provider)
    parts = Parts(
        settings=settings,
        telemetry=telemetry,
        clock=clock or SystemClock(),
        logs=None,
        checks=checks,
        health_groups=health_groups,
        stack=stack,
        validation_status=validation_status,
    )
    make_global(telemetry)
    _join(app, parts)
    return _entry(settings)(_without_telemetry(app, paths=parts.internal_paths))


def _make_service(parts: Parts, *, lifespan: Lifespan | None, options: dict[str, Any]) -> Service:
    telemetry = parts.telemetry.as_config(excluded=parts.internal_paths)
    return Service(
        entry=_entry(parts.settings),
        lifespan=lifespan,
        **options
        | {
            "responses": PROBLEM_RESPONSE | options.get("responses", {}),
            "telemetry": telemetry | options.get("telemetry", {}),
        },
    )


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


def _join(app: FastAPI, parts: Parts) -> None:
    """Put everything that both kinds of application get onto one."""
    settings, telemetry, logs = parts.settings, parts.telemetry, parts.logs
    note(app=app)
    app.state.baseline_settings = settings
    app.state.availability = parts.availability
    backends = open_backends(app, settings, telemetry=telemetry, clock=parts.clock)
    auth = open_auth(app, parts)
    monitor = HealthMonitor(
        [*backends.checks, *parts.checks],
        settings=settings.health,
        clock=parts.clock,
        groups=parts.health_groups,
        availability=parts.availability,
        on_result=telemetry.health_metrics().record if telemetry.is_measuring else None,
        in_background=settings.environment != "test",
    )
    management = add_internal_routes(app, parts, monitor)
    document_responses(app, limits=backends.rate_limits)
    prepare_documentation_pages(app)
    add_documentation_pages(app, allow_cdn=not settings.is_deployed, connect_to=auth.origins)
    handlers = make_exception_handlers(validation_status=parts.validation_status)
    for kind, handler in handlers.items():
        if app.exception_handlers.get(kind) in {None, *_FRAMEWORK_HANDLERS}:
            app.exception_handlers[kind] = handler
    backends.rate_limits.remove_layers(app)
    for layer in reversed(_layers_for(app, parts, backends, cors=auth.cors)):
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    # A test makes many applications in one process, and reads lines when they are written.
    is_own_process = logs is not None and settings.environment != "test"
    app.router.lifespan_context = chain_lifespans(
        _shutdown(parts).lifespan,
        # What is left last comes first: the lines and spans of all others are still to be sent.
        *([logs.make_lifespan()] if logs is not None and is_own_process else []),
        *backends.lifespans,
        *auth.lifespans,
        *telemetry.lifespans(),
        *([management] if management is not None else []),
        monitor.lifespan,
        app.router.lifespan_context,
        # What the service says of its cache and its limits when it starts is known by now.
        *backends.inner_lifespans,
        *auth.inner_lifespans,
        *([frozen_heap] if is_own_process else []),
        budget=settings.shutdown.cleanup,
    )


def _shutdown(parts: Parts) -> GracefulShutdown:
    delay, shutdown = parts.settings.drain_delay, parts.settings.shutdown
    return GracefulShutdown(
        parts.availability,
        drain_delay=delay,
        limit=delay + shutdown.grace + shutdown.cleanup,
        before_exit=None if parts.logs is None else partial(parts.logs.flush, _LAST_LINES),
    )


def _layers_for(
    app: FastAPI, parts: Parts, backends: Backends, *, cors: Sequence[Middleware]
) -> Sequence[Middleware]:
    layers = make_stack(
        parts.settings,
        clock=parts.clock,
        exempt_paths=parts.internal_paths,
        availability=parts.availability,
        observer=parts.telemetry.request_metrics(),
    )
    if any(is_layer(layer, CORSMiddleware) for layer in app.user_middleware):
        layers = Stack(layer for layer in layers if not is_layer(layer, CORSMiddleware))
    # It answers for its own paths, outside of what the settings say of all others.
    has_other = any(is_layer(layer, CORSMiddleware) for layer in layers)
    layers.before(CORSMiddleware if has_other else ErrorBoundaryMiddleware, *cors)
    # After what costs nothing to refuse, and before all work.
    layers.after(DeadlineMiddleware, backends.rate_limits.layer(exempt_paths=parts.internal_paths))
    if backends.cache_layer is not None:
        layers.append(backends.cache_layer)
    layers.append(
        Middleware(
            IdempotencyCaptureMiddleware,
            store=backends.idempotency,
            settings=parts.settings.idempotency,
        )
    )
    return layers if parts.stack is None else list(parts.stack(layers))


def _version_of(package: str | None) -> str:
    """Return the version of the distribution that is called like `package`."""
    try:
        return importlib.metadata.version(package or "")
    except (ValueError, importlib.metadata.PackageNotFoundError):
        return "0.0.0"
