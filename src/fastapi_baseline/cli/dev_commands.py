"""`baseline dev`: the options of the command that serves a service while it is written."""

# ruff: noqa: PLC0415 -- each command imports what it does when it is called

from pathlib import Path
from typing import Annotated

import typer

from fastapi_baseline.cli.options import Application

PORT = 8000


def dev(
    *,
    services: Annotated[
        bool,
        typer.Option(
            "--services", help="Start PostgreSQL and Redis, and keep their data in .baseline/."
        ),
    ] = False,
    migrate: Annotated[
        bool,
        typer.Option(
            "--migrate/--no-migrate",
            help="Apply migrations first, where the database is only for development.",
        ),
    ] = True,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar="PORT", help="The port to listen on.")
    ] = PORT,
    application: Application = None,
) -> None:
    """Serve the service in this folder while it is written: it starts again when code changes."""
    from fastapi_baseline.cli.dev import Development, develop
    from fastapi_baseline.cli.run import find_target

    options = Development(host=host, port=port, has_services=services, is_migrating=migrate)
    develop(find_target(application, start=Path.cwd()), options)
