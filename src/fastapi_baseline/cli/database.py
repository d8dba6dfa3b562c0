"""`baseline db`: the migrations of a service, given its root folder."""

from collections.abc import Sequence
from pathlib import Path

from fastapi_baseline.cli.console import print_done, print_lines
from fastapi_baseline.persistence.migrations import commands
from fastapi_baseline.persistence.migrations.commands import Migration


def write_revision(root: Path, message: str, *, autogenerate: bool) -> None:
    """Write a migration, and show where it is."""
    migration = commands.revision(root, message, autogenerate=autogenerate)
    print_done(f"Written: {migration.path.relative_to(root)}. Read it, then: baseline db upgrade")


def upgrade_database(root: Path, target: str) -> None:
    """Apply migrations, and show which."""
    _report(commands.upgrade(root, target), done="Applied", none="There was nothing to apply.")


def downgrade_database(root: Path, target: str) -> None:
    """Take migrations back, and show which."""
    _report(
        commands.downgrade(root, target),
        done="Taken back",
        none="There was nothing to take back.",
    )


def show_current(root: Path) -> None:
    """Show which migrations the database is at, and whether those are the last."""
    state = commands.current(root)
    print_lines([_line(migration) for migration in state.current] or ["No migration is applied."])
    if state.is_up_to_date:
        print_done("All migrations are applied.")
    else:
        print_lines([f"To come: {_line(migration)}" for migration in state.heads])


def check_database(root: Path) -> None:
    """Say that models, migrations and database agree; what they do not is an error."""
    commands.check(root)
    print_done("The models, the migrations and the database agree.")


def _report(migrations: Sequence[Migration], *, done: str, none: str) -> None:
    for migration in migrations:
        print_done(f"{done}: {_line(migration)}")
    if not migrations:
        print_done(none)


def _line(migration: Migration) -> str:
    return f"{migration.revision} {migration.message}"
