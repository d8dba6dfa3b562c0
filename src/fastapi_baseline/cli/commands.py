"""The commands and their options; each imports what it does when it is called."""

# ruff: noqa: PLC0415 -- else every command would pay for all of them

from pathlib import Path
from typing import Annotated

import typer

from fastapi_baseline import __version__
from fastapi_baseline.cli.auth_commands import auth
from fastapi_baseline.cli.config_commands import config, defaults
from fastapi_baseline.cli.dev_commands import dev
from fastapi_baseline.cli.doctor_commands import diagnosis
from fastapi_baseline.cli.options import SETTINGS, Application, Json
from fastapi_baseline.cli.project import enter_service_with_database
from fastapi_baseline.cli.resource_commands import add, remove
from fastapi_baseline.cli.update_commands import updates

app = typer.Typer(
    help="Make, run and look after FastAPI services.",
    no_args_is_help=True,
    add_completion=False,
    # Rich is slow to import, and would be imported for a plain --help.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)
database = typer.Typer(
    help="Migrate the database of the service in this folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
cache = typer.Typer(
    help="Look at what the service in this folder keeps in Redis, and throw it away.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
app.add_typer(auth, name="auth")
app.add_typer(database, name="db")
app.add_typer(cache, name="cache")
app.add_typer(add, name="add")
app.add_typer(remove, name="remove")
app.command()(dev)
app.add_typer(updates)
app.add_typer(diagnosis)
app.add_typer(config, name="config")
app.add_typer(defaults, name="defaults")

Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Entries with this tag.")]
Key = Annotated[str | None, typer.Option("--key", metavar="KEY", help="The entry with this key.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", metavar="NAME", help="Entries of this namespace.")
]


def _show_version(value: bool) -> None:  # noqa: FBT001 -- how typer calls back
    if value:
        typer.echo(f"baseline {__version__}")
        raise typer.Exit


@app.callback()
def configure(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Make, run and look after FastAPI services."""
    # The first has been answered by its callback; `main` reads the second, also when this fails.
    del version, debug


@app.command()
def new(
    directory: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR_OR_NAME",
            show_default=False,
            help="Where to make it; the last part is its name.",
        ),
    ] = None,
    *,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", "-d", metavar="KEY=VALUE", help="Answer a question; repeatable."),
    ] = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Ask nothing: take the default answers.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", help="Make it in exactly this folder."),
    ] = None,
) -> None:
    """Make a service from the template of this version; needs no network."""
    from fastapi_baseline.cli.new import create_service

    create_service(directory, answers=data or [], into=into, is_asking=not defaults)


@app.command()
def run(
    *,
    application: Application = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar="PORT", help="The port to listen on.")
    ] = 8000,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when the code changes.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, envvar="WEB_CONCURRENCY", help="How many processes.")
    ] = 1,
) -> None:
    """Run the service in this folder."""
    if reload and workers > 1:
        raise typer.BadParameter("Use either --reload or --workers.")
    from fastapi_baseline.lifecycle import growing_heap

    with growing_heap():
        from fastapi_baseline.cli.run import ServerOptions, find_target, serve

        target = find_target(application, start=Path.cwd())
    options = ServerOptions(host=host, port=port, workers=workers, reload=reload)
    serve(target, options)


@app.command(name="check")
def check_application(
    *,
    is_deployment: Annotated[
        bool, typer.Option("--deploy", help="Also what is unsafe where people depend on it.")
    ] = False,
    is_release: Annotated[
        bool,
        typer.Option(
            "--update-openapi", help="First write the OpenAPI document that is released now."
        ),
    ] = False,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Show what is wrong with how the service in this folder is set up, its migrations and API."""
    from fastapi_baseline.cli.check import check_service
    from fastapi_baseline.cli.run import find_target

    target = find_target(application, start=Path.cwd())
    is_well = check_service(
        target, is_deployment=is_deployment, is_release=is_release, is_json=is_json
    )
    if not is_well:
        raise typer.Exit(1)


@database.command()
def revision(
    *,
    message: Annotated[str, typer.Option("--message", "-m", help="What it changes, briefly.")],
    autogenerate: Annotated[
        bool, typer.Option("--autogenerate/--empty", help="Compare the models, or leave it empty.")
    ] = True,
) -> None:
    """Write a migration from the models to alembic/versions."""
    root = enter_service_with_database(Path.cwd())
    from fastapi_baseline.cli.database import write_revision

    write_revision(root, message, autogenerate=autogenerate)


@database.command()
def upgrade(target: Annotated[str, typer.Argument(metavar="REVISION")] = "head") -> None:
    """Apply migrations, by default all of them."""
    root = enter_service_with_database(Path.cwd())
    from fastapi_baseline.cli.database import upgrade_database

    upgrade_database(root, target)


@database.command()
def downgrade(
    target: Annotated[str, typer.Argument(metavar="REVISION", help="-1, base, or a revision.")],
) -> None:
    """Take migrations back."""
    root = enter_service_with_database(Path.cwd())
    from fastapi_baseline.cli.database import downgrade_database

    downgrade_database(root, target)


@database.command()
def current() -> None:
    """Show the migration that the database is at."""
    root = enter_service_with_database(Path.cwd())
    from fastapi_baseline.cli.database import show_current

    show_current(root)


@database.command()
def check() -> None:
    """Fail if a migration is missing, or one is not applied."""
    root = enter_service_with_database(Path.cwd())
    from fastapi_baseline.cli.database import check_database

    check_database(root)


@cache.command()
def inspect(
    *,
    tag: Tag = None,
    key: Key = None,
    namespace: Namespace = None,
    limit: Annotated[int, typer.Option(min=1, help="How many entries to show at most.")] = 100,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Show what is kept, or some of it."""
    if sum(name is not None for name in (tag, key, namespace)) > 1:
        raise typer.BadParameter("Use one of --tag, --key and --namespace.")
    from fastapi_baseline.cli.cache import Selection, inspect_cache
    from fastapi_baseline.cli.run import find_target

    selection = Selection(tag=tag, key=key, namespace=namespace)
    target = find_target(application, start=Path.cwd())
    inspect_cache(target, selection, limit=limit, is_json=is_json)


@cache.command()
def purge(
    *,
    tag: Tag = None,
    key: Key = None,
    namespace: Namespace = None,
    is_all: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many entries that would be.")
    ] = False,
    is_json: Json = False,
    application: Application = None,
) -> None:
    """Throw entries away, in Redis and in all running processes."""
    if sum([is_all, *(name is not None for name in (tag, key, namespace))]) != 1:
        raise typer.BadParameter("Use one of --tag, --key, --namespace and --all.")
    from fastapi_baseline.cli.cache import Selection, purge_cache
    from fastapi_baseline.cli.run import find_target

    selection = Selection(tag=tag, key=key, namespace=namespace)
    target = find_target(application, start=Path.cwd())
    purge_cache(target, selection, is_dry_run=is_dry_run, is_json=is_json)
