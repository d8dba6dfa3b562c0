"""`baseline run`: a service under uvicorn, with the defaults that the library's layers expect."""

import importlib
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.cli.console import print_notice
from fastapi_baseline.cli.project import find_root, make_importable
from fastapi_baseline.errors import ConfigurationError

GRACE = timedelta(seconds=25)
"""How long requests may take to end after SIGTERM; orchestrators kill after 30 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How an application is served; without `forwarded_allow_ips`, no proxy header is believed."""

    host: str
    port: int
    workers: int
    reload: bool
    forwarded_allow_ips: str | None


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
    with optional("uvicorn", extra="server"):
        import uvicorn  # noqa: PLC0415 -- of another extra

    source = make_importable(target.folder)
    os.chdir(target.folder)
    _check(target)
    if options.workers > 1:
        # A worker that cannot start is started again for ever, so the application is tried here.
        importlib.import_module(target.app.partition(":")[0])
    if sys.stderr.isatty():
        host = f"[{options.host}]" if ":" in options.host else options.host
        print_notice(f"Serving {target.app} on http://{host}:{options.port} (Ctrl-C stops it)")
    try:
        uvicorn.run(target.app, **_arguments(options, source=source))
    except SystemExit as stop:
        # uvicorn has codes of its own, and has logged why.
        sys.exit(1 if stop.code else 0)


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


def _arguments(options: ServerOptions, *, source: Path) -> dict[str, Any]:
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
        "proxy_headers": options.forwarded_allow_ips is not None,
        "forwarded_allow_ips": options.forwarded_allow_ips,
        "timeout_graceful_shutdown": int(GRACE.total_seconds()),
    }
