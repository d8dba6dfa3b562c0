"""The command that looks at a service as a whole; it imports what it does when it is called."""

# ruff: noqa: PLC0415 -- else every command would pay for all of them

from pathlib import Path
from typing import Annotated

import typer

from fastapi_baseline.cli.options import SETTINGS, Json

diagnosis = typer.Typer(rich_markup_mode=None, context_settings=SETTINGS)


@diagnosis.command()
def doctor(
    *,
    is_long: Annotated[
        bool, typer.Option("--files", help="Show every file, and whose it is.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Show how the service in this folder has drifted, and whether it can be worked on here."""
    from fastapi_baseline.cli.doctor import examine_service

    if not examine_service(Path.cwd(), is_long=is_long, is_json=is_json):
        raise typer.Exit(1)
