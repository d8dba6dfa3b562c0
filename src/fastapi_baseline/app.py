"""The place where the parts are joined: a new application, or one that exists."""

import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import (
    http_exception_handler,
    request_validation_exception_handler,
)
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.discovery import find_domains, package_of
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.health import LIVENESS_PATH, READINESS_PATH, make_health_router
from fastapi_baseline.lifecycle import HealthCheck, Lifespan
from fastapi_baseline.middleware import make_exception_handlers, make_stack
from fastapi_baseline.observability import configure_logging as configure_process_logging
from fastapi_baseline.problems import MEDIA_TYPE, PROBLEM_SCHEMA, Problem
from fastapi_baseline.settings import Settings

_PROBES = (LIVENESS_PATH, READINESS_PATH)
_PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
    }
}
# What FastAPI registers by itself; a service that registered something else keeps it.
_FRAMEWORK_HANDLERS = (http_exception_handler, request_validation_exception_handler)


def create_app(
    settings: Settings,
    *,
    package: str | None = None,
    lifespan: Lifespan | None = None,
    checks: Sequence[HealthCheck] = (),
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

    `validation_status` is the status of requests that do not validate: 422, or 400 for clients
    that know only that. `options` go to `FastAPI`; middleware among them goes inside of the
    library's layers.

    Raises:
        ConfigurationError: If the settings contradict each other, or an extra or a domain cannot
            be imported.
    """
    settings.check()
    if configure_logging:
        configure_process_logging(settings.log)
    package = package or package_of(type(settings))
    domains = find_domains(package) if package else ()

    options.setdefault("title", settings.service_name)
    options.setdefault("version", _version_of(package))
    options["responses"] = _PROBLEM_RESPONSE | options.get("responses", {})
    app = FastAPI(lifespan=lifespan, **options)
    for domain in domains:
        if domain.router is not None:
            app.include_router(domain.router)
    _document_problems(app)
    _join(
        app,
        settings,
        checks=checks,
        validation_status=validation_status,
        clock=clock or SystemClock(),
    )
    return app


def install(
    app: FastAPI,
    settings: Settings,
    *,
    checks: Sequence[HealthCheck] = (),
    validation_status: int = 422,
    clock: Clock | None = None,
) -> ASGIApp:
    """Add the library's layers to an application that exists, and return what is to be served.

    The layers go outside of the application's own middleware, and the lifespan around its own.
    Handlers that it registered stay, also the one for `Exception`; only the framework's defaults
    make room for problems. Routes that it has come first, so a `/livez` of its own stays. If it
    has a CORS layer, ours is left out. Logging is not touched: call
    `fastapi_baseline.observability.configure_logging` if you want it.

    Raises:
        ConfigurationError: If the application has already started or was installed into before,
            the settings contradict each other, or an extra is missing.
    """
    settings.check()
    if app.middleware_stack is not None:
        raise ConfigurationError("install() must be called before the application starts.")
    if getattr(app.state, "fastapi_baseline", False):
        raise ConfigurationError("install() was already called for this application.")
    _join(
        app,
        settings,
        checks=checks,
        validation_status=validation_status,
        clock=clock or SystemClock(),
    )
    return app


def _join(
    app: FastAPI,
    settings: Settings,
    *,
    checks: Sequence[HealthCheck],
    validation_status: int,
    clock: Clock,
) -> None:
    """Put everything that both kinds of application get onto one."""
    app.state.fastapi_baseline = True
    found = _open_database(app, settings, clock=clock)
    app.include_router(
        make_health_router(
            [*found, *checks],
            timeout=settings.health.timeout,
            details=settings.shows_health_details,
        )
    )
    for kind, handler in make_exception_handlers(validation_status=validation_status).items():
        if app.exception_handlers.get(kind) in {None, *_FRAMEWORK_HANDLERS}:
            app.exception_handlers[kind] = handler
    for layer in reversed(_layers_for(app, settings, clock=clock)):
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)


def _layers_for(app: FastAPI, settings: Settings, *, clock: Clock) -> list[Middleware]:
    pages = {app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url} - {None}
    layers = make_stack(
        settings, clock=clock, pages={page for page in pages if page}, silent_paths=_PROBES
    )
    if any(layer.cls is CORSMiddleware for layer in app.user_middleware):
        layers = [layer for layer in layers if layer.cls is not CORSMiddleware]
    return layers


def _open_database(app: FastAPI, settings: Settings, *, clock: Clock) -> list[HealthCheck]:
    """Give the application its database, if it has one, and return what tells how that is."""
    if settings.database_url is None:
        return []
    # Only a service with a database pays for the import of SQLAlchemy.
    from fastapi_baseline.persistence import Database  # noqa: PLC0415
    from fastapi_baseline.persistence.query.cursor_routes import has_cursor_routes  # noqa: PLC0415

    database = Database.from_settings(settings, clock=clock)
    if has_cursor_routes(app.routes):
        # A service that cannot page does not start, instead of failing when somebody pages.
        database.cursor_key()
    database.attach(app)
    return [database]


def _version_of(package: str | None) -> str:
    """Return the version of the distribution that is called like `package`."""
    try:
        return importlib.metadata.version(package or "")
    except (ValueError, importlib.metadata.PackageNotFoundError):
        return "0.0.0"


def _document_problems(app: FastAPI) -> None:
    """Add the schema that every operation's error response refers to."""
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas["Problem"] = schema
        return document

    app.openapi = openapi
