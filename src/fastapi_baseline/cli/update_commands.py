"""The commands that bring the template's changes to a service; each imports what it does."""

# ruff: noqa: PLC0415 -- else every command would pay for all of them

from pathlib import Path
from typing import Annotated

import typer

from fastapi_baseline.cli.options import SETTINGS, Application, Json

updates = typer.Typer(rich_markup_mode=None, context_settings=SETTINGS)

Plan = Annotated[
    bool, typer.Option("--plan", help="Only say what it would do to each file; change nothing.")
]
Lock = Annotated[bool, typer.Option("--lock/--no-lock", help="Then lock the library's version.")]
Check = Annotated[
    bool, typer.Option("--check/--no-check", help="Then check the service and its migrations.")
]
Tests = Annotated[bool, typer.Option("--tests/--no-tests", help="Then run the service's tests.")]
Name = Annotated[str, typer.Argument(metavar="CAPABILITY", help="Such as cache, or helm.")]


@updates.command()
def update(
    *,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="VERSION", show_default=False, help="Which release; else the newest."
        ),
    ] = None,
    is_plan: Plan = False,
    is_locked: Lock = True,
    is_checked: Check = True,
    is_tested: Tests = True,
    is_checklist: Annotated[
        bool,
        typer.Option("--checklist", help="Only show what to see to before the next deployment."),
    ] = False,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Bring what is new in the template to the service in this folder; needs no network for it."""
    if is_checklist:
        from fastapi_baseline.cli.checklist import show_checklist
        from fastapi_baseline.cli.run import find_target

        show_checklist(find_target(application, start=Path.cwd()), is_json=is_json)
        return
    from fastapi_baseline.cli.updates import Following, update_service

    following = Following(lock=is_locked, check=is_checked, tests=is_tested)
    _exit(update_service(Path.cwd(), to, following, is_plan=is_plan, is_json=is_json))


@updates.command()
def enable(
    capability: Name,
    *,
    is_plan: Plan = False,
    is_locked: Lock = True,
    is_checked: Check = True,
    is_tested: Tests = True,
    is_json: Json = False,
) -> None:
    """Give the service in this folder a capability that it did without."""
    from fastapi_baseline.cli.updates import Following, switch_capability

    following = Following(lock=is_locked, check=is_checked, tests=is_tested)
    switched = switch_capability(
        Path.cwd(), capability, following, is_on=True, is_plan=is_plan, is_json=is_json
    )
    _exit(switched)


@updates.command()
def disable(
    capability: Name,
    *,
    is_plan: Plan = False,
    is_locked: Lock = True,
    is_checked: Check = True,
    is_tested: Tests = True,
    is_json: Json = False,
) -> None:
    """Take a capability from the service in this folder; its own code stays as it is."""
    from fastapi_baseline.cli.updates import Following, switch_capability

    following = Following(lock=is_locked, check=is_checked, tests=is_tested)
    switched = switch_capability(
        Path.cwd(), capability, following, is_on=False, is_plan=is_plan, is_json=is_json
    )
    _exit(switched)


def _exit(is_well: bool) -> None:  # noqa: FBT001 -- what a command has returned
    if not is_well:
        raise typer.Exit(1)
