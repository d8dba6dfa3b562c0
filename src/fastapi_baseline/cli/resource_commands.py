"""The commands that add parts to a service, and remove them; each imports what it does."""

# ruff: noqa: PLC0415 -- else every command would pay for all of them

from pathlib import Path
from typing import Annotated

import typer

from fastapi_baseline.cli.installed_generators import AddGroup
from fastapi_baseline.cli.options import SETTINGS, Json
from fastapi_baseline.cli.project import enter_service_with_database

add = typer.Typer(
    cls=AddGroup,
    help="Add to the service in this folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
remove = typer.Typer(
    help="Remove from the service in this folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)


@add.callback()
def prepare_to_add() -> None:
    """Add to the service in this folder."""


@remove.callback()
def prepare_to_remove() -> None:
    """Remove from the service in this folder."""


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be written or deleted.")
]
Migration = Annotated[
    bool,
    typer.Option("--migration/--no-migration", help="Write what the database needs, or leave it."),
]


Fields = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FIELD:TYPE]...",
        show_default=False,
        help="Its fields, in quotes: 'total:decimal(12,2)' 'status:enum(open|paid)' "
        "'customer:ref=customer' 'note:text?' 'number:string(20)!'. After the type: "
        "? optional, ! unique, # indexed.",
    ),
]
Plural = Annotated[
    str | None,
    typer.Option("--plural", metavar="NAMES", help="What several are called: orders."),
]


@add.command(name="resource")
def add_resource(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What one is called: order.")],
    fields: Fields = None,
    *,
    plural: Plural = None,
    from_table: Annotated[
        str | None,
        typer.Option(
            "--from-table", metavar="TABLE", help="Take the fields of a table that is there."
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url", metavar="URL", help="Where that is; else the service's database."
        ),
    ] = None,
    from_openapi: Annotated[
        str | None,
        typer.Option(
            "--from-openapi",
            metavar="FILE#/components/schemas/NAME",
            help="Take the fields of a schema of an OpenAPI document.",
        ),
    ] = None,
    is_migrated: Migration = True,
    is_dry_run: DryRun = False,
    is_json: Json = False,
) -> None:
    """Add a resource: model, schemas, repository, service, routes, tests and migration."""
    if sum([bool(fields), from_table is not None, from_openapi is not None]) > 1:
        raise typer.BadParameter("Use one of fields, --from-table and --from-openapi.")
    if database_url is not None and from_table is None:
        raise typer.BadParameter("--database-url says where the table of --from-table is.")
    here = Path.cwd()
    root = enter_service_with_database(here)
    from fastapi_baseline.cli.resource_sources import Source, read_resource
    from fastapi_baseline.cli.resources import Manner, add
    from fastapi_baseline.scaffolding.service import read_service

    source = Source(
        words=fields or (),
        table=from_table,
        database_url=database_url,
        schema=None if from_openapi is None else str(here / from_openapi),
    )
    service = read_service(root)
    reading = read_resource(name, source, service, plural=plural)
    manner = Manner(
        is_migrated=is_migrated, is_dry_run=is_dry_run, is_json=is_json, notes=reading.notes
    )
    add(reading.resource, service, manner)


@remove.command(name="resource")
def remove_resource(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What one is called: order.")],
    *,
    is_forced: Annotated[
        bool, typer.Option("--force", help="Also delete what was edited since it was written.")
    ] = False,
    is_migrated: Migration = True,
    is_dry_run: DryRun = False,
    is_json: Json = False,
) -> None:
    """Remove a resource that was added here, and its table."""
    root = enter_service_with_database(Path.cwd())
    from fastapi_baseline.cli.resources import Manner, remove
    from fastapi_baseline.scaffolding.service import read_service

    manner = Manner(
        is_migrated=is_migrated, is_dry_run=is_dry_run, is_json=is_json, is_forced=is_forced
    )
    remove(name, read_service(root), manner)
