"""`baseline run`: a service under uvicorn, with the defaults that the library's layers expect."""

import importlib
import math
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.cli.project import find_root, make_importable
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.lifecycle import growing_heap
from fastapi_baseline.settings import Settings, ShutdownSettings

KEEP_ALIVE = timedelta(seconds=75)
"""How long a connection may rest. It must outlast the patience of balancers, which is a minute
mostly: one that is closed by the service at the moment of its next request loses that request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How an application is served."""

    host: str
    port: int
    workers: int
    reload: bool
    is_announced: bool = False
    """Whether the address is printed also where that is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An application to serve, and the folder to work in."""

    app: str
    folder: Path


def find_target(app: str | None, *, start: Path) -> Target:
    """Return what to serve: `app` if it is given, else the service that `start` lies in.

    Raises:
        ConfigurationError: If there is no service, or what is named cannot be found.
    """
    root = find_root(start)
    if app is None:
        if root is None:
            message = (
                f"There is no service in {start}: call this in the folder of one, "
                f"or name an application: baseline run --app package.main:app"
            )
            raise ConfigurationError(message)
        from fastapi_baseline.discovery import configured_package  # noqa: PLC0415 -- slow

        app = f"{configured_package(root)}.main:app"
    folder = root or start
    return Target(app=app, folder=folder)


def serve(target: Target, options: ServerOptions) -> None:
    """Serve an application until the process is told to stop.

    Raises:
        ConfigurationError: If the application cannot be imported, or is set up wrongly.
    """
    with optional("uvicorn", extra="server"), growing_heap():
        import uvicorn  # noqa: PLC0415 -- of another extra

    source = enter(target)
    # What is served while its code changes may be broken for a while, and is not asked.
    with growing_heap():
        settings = None if options.reload else _settings_of(target, workers=options.workers)
    shutdown = ShutdownSettings() if settings is None else settings.shutdown
    arguments = _arguments(options, source=source, grace=shutdown.grace)
    if options.is_announced or sys.stderr.isatty():
        from fastapi_baseline.cli.console import print_notice  # noqa: PLC0415 -- nobody may see it

        host = f"[{options.host}]" if ":" in options.host else options.host
        print_notice(f"Serving {target.app} on http://{host}:{options.port} (Ctrl-C stops it)")
    try:
        if options.workers > 1:
            from fastapi_baseline.cli.workers import serve_with_workers  # noqa: PLC0415 -- uvicorn

            delay = timedelta(0) if settings is None else settings.drain_delay
            limit = delay + shutdown.grace + shutdown.cleanup
            is_measured = settings is not None and settings.metrics.enabled
            serve_with_workers(target.app, arguments, limit=limit, is_measured=is_measured)
        elif options.reload:
            from fastapi_baseline.cli.reloading import serve_with_reload  # noqa: PLC0415 -- uvicorn

            serve_with_reload(target.app, arguments)
        else:
            uvicorn.run(target.app, **arguments)
    except SystemExit as stop:
        # uvicorn has codes of its own, and has logged why.
        sys.exit(1 if stop.code else 0)


def enter(target: Target) -> Path:
    """Work in the folder of an application that can be imported from it; return where its code is.

    Raises:
        ConfigurationError: If the application cannot be found.
    """
    source = make_importable(target.folder)
    os.chdir(target.folder)
    _check(target)
    return source


def _settings_of(target: Target, *, workers: int) -> Settings | None:
    """Import the application, and return the settings that it was built from, if they are ours.

    Whatever is wrong with it is found here: a worker that cannot start would be started again.
    """
    if workers > 1:
        from fastapi_baseline.cli.workers import without_shared_metrics  # noqa: PLC0415 -- uvicorn

        with without_shared_metrics():
            return find_settings(target)
    return find_settings(target)


def find_settings(target: Target) -> Settings | None:
    """Import an application, and return the settings that it was built from, if they are ours."""
    state = getattr(import_application(target), "state", None)
    settings = getattr(state, "baseline_settings", None)
    return settings if isinstance(settings, Settings) else None


def import_application(target: Target) -> object:
    """Import an application, and return it; `None` if there is none by its name."""
    module, _, attribute = target.app.partition(":")
    application: object = importlib.import_module(module)
    for name in attribute.split("."):
        application = getattr(application, name, None)
    return application


def get_settings(target: Target) -> Settings:
    """Work in the folder of an application, and return the settings that it was built from.

    Raises:
        ConfigurationError: If it was not built by this library.
    """
    enter(target)
    settings = find_settings(target)
    if settings is None:
        message = f"{target.app!r} has no settings of this library: it has not called create_app()."
        raise ConfigurationError(message)
    return settings


def _check(target: Target) -> None:
    module, _, attribute = target.app.partition(":")
    try:
        is_there = bool(attribute) and find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):
        is_there = False
    if not is_there:
        message = (
            f"{target.app!r} cannot be found. An application is named package.module:attribute, "
            f"and its package must be installed: uv sync"
        )
        raise ConfigurationError(message)


def _arguments(options: ServerOptions, *, source: Path, grace: timedelta) -> dict[str, Any]:
    return {
        "host": options.host,
        "port": options.port,
        "workers": options.workers,
        "reload": options.reload,
        "reload_dirs": [str(source)] if options.reload else None,
        # The service has set up logging for the whole process, and logs each request itself.
        "log_config": None,
        "access_log": False,
        "server_header": False,
        # Believed from TRUSTED_PROXIES, by the service itself.
        "proxy_headers": False,
        "timeout_keep_alive": int(KEEP_ALIVE.total_seconds()),
        "timeout_graceful_shutdown": math.ceil(grace.total_seconds()),
    }
