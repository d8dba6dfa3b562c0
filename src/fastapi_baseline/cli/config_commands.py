"""`baseline config` and `baseline defaults`: what the service in this folder is told, and by whom."""

# ruff: noqa: PLC0415 -- each command imports what it does when it is called

from pathlib import Path
from typing import Annotated

import typer

from fastapi_baseline.cli.options import SETTINGS, Application, Json

config = typer.Typer(
    help="Show what the service in this folder is told by its environment.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
defaults = typer.Typer(
    help="Show which defaults the service in this folder follows.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)


@config.command()
def show(
    *,
    is_changed: Annotated[
        bool, typer.Option("--changed", help="Only what is not the library's default.")
    ] = False,
    is_redacted: Annotated[
        bool, typer.Option("--redacted", help="Hide secrets; that is always done.")
    ] = False,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Show every setting, its value and where it comes from; secrets are never shown."""
    del is_redacted
    from fastapi_baseline.cli.config import show_settings
    from fastapi_baseline.cli.run import find_target

    target = find_target(application, start=Path.cwd())
    show_settings(target, is_changed=is_changed, is_json=is_json)


@config.command()
def example(*, application: Application = None) -> None:
    """Print a file like .env with every setting, to copy from."""
    from fastapi_baseline.cli.config import show_example
    from fastapi_baseline.cli.run import find_target

    show_example(find_target(application, start=Path.cwd()))


@config.command()
def schema(*, application: Application = None) -> None:
    """Print a JSON schema of the variables, for the values of a chart."""
    from fastapi_baseline.cli.config import show_schema
    from fastapi_baseline.cli.run import find_target

    show_schema(find_target(application, start=Path.cwd()))


@defaults.command()
def diff(
    date: Annotated[
        str | None,
        typer.Argument(
            metavar="DATE", show_default=False, help="A date such as 2026.11; else the latest."
        ),
    ] = None,
    *,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Show what changes when the service raises its defaults to a date."""
    from fastapi_baseline.cli.config import show_changes
    from fastapi_baseline.cli.run import find_target

    show_changes(find_target(application, start=Path.cwd()), until=date, is_json=is_json)
