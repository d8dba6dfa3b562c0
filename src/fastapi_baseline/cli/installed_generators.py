"""`baseline add KIND`, for the kinds that other packages bring as entry points."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from fastapi_baseline.cli.options import SETTINGS, Json
from fastapi_baseline.cli.project import enter_service


class AddGroup(TyperGroup):
    """What can be added: what the library has, and what is installed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all kinds."""
        from fastapi_baseline.scaffolding.extensions import find_generators  # noqa: PLC0415

        own = super().list_commands(ctx)
        return [*own, *(name for name in find_generators() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a kind; those of the library come first."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        from fastapi_baseline.scaffolding.extensions import find_generators  # noqa: PLC0415

        found = find_generators().get(cmd_name)
        return None if found is None else _command(cmd_name, origin=found.origin)


class _GeneratorCommand(TyperCommand):
    """A command whose generator is imported only when it is called, or its own help is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write what the generator says of itself."""
        from fastapi_baseline.scaffolding.extensions import find_generators  # noqa: PLC0415

        self.help = find_generators()[str(self.name)].load().help
        super().format_help(ctx, formatter)


def _command(name: str, *, origin: str) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)

    @app.command(
        name,
        cls=_GeneratorCommand,
        help=f"What {origin} brings.",
        # What the generator has options for is its own affair.
        context_settings={**SETTINGS, "ignore_unknown_options": True},
    )
    def generate(
        arguments: Annotated[
            list[str] | None,
            typer.Argument(metavar="ARGUMENT", show_default=False, help="What it takes."),
        ] = None,
        *,
        is_dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Only say what would be written.")
        ] = False,
        is_json: Json = False,
    ) -> None:
        _generate(name, arguments or [], is_dry_run=is_dry_run, is_json=is_json)

    return typer.main.get_command(app)


def _generate(name: str, arguments: Sequence[str], *, is_dry_run: bool, is_json: bool) -> None:
    root = enter_service(Path.cwd())
    from fastapi_baseline.cli.console import print_done, print_lines  # noqa: PLC0415 -- slow
    from fastapi_baseline.scaffolding.extensions import (  # noqa: PLC0415 -- likewise
        carry_out,
        find_generators,
        plan_generation,
    )
    from fastapi_baseline.scaffolding.service import read_service  # noqa: PLC0415 -- likewise

    generation = plan_generation(find_generators()[name], arguments, read_service(root))
    paths = generation.missing if is_dry_run else carry_out(generation)
    if is_json:
        written = [str(path) for path in paths]
        document = {"kind": name, "dry_run": is_dry_run, "written": written}
        print_lines([json.dumps(document, ensure_ascii=False)])
        return
    print_lines([f"{'Would write' if is_dry_run else 'Written'}: {path}" for path in paths])
    if not paths:
        print_done("Everything is there already, just so: there is nothing to do.")
    elif not is_dry_run:
        print_done(f"The {name} is added.")
