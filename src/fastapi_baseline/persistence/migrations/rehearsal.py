"""Migrations that are tried before they matter: up, down and up again, on a throw-away database.

An empty database shows whether each migration can be applied and taken back, and whether taking it
back leaves what was there before; it cannot show what a migration does to rows.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic import command
from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script

from fastapi_baseline.errors import ConfigurationError, MissingExtraError
from fastapi_baseline.inspection import Finding
from fastapi_baseline.persistence.migrations.commands import compare, explained, open_scripts
from fastapi_baseline.persistence.migrations.environment import Run
from fastapi_baseline.persistence.migrations.errors import ModelsDifferError
from fastapi_baseline.persistence.migrations.shape import Shape, ShapeReader, describe_change
from fastapi_baseline.persistence.migrations.throw_away import throw_away_database


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rehearsal:
    """One service's migrations, oldest first, and a database to try them on."""

    root: Path
    url: str = field(repr=False)
    scripts: Sequence[Script]
    reader: ShapeReader = field(default_factory=ShapeReader)

    def run(self, target: str, *, is_up: bool) -> Sequence[Shape]:
        """Go to a migration, and return the shape that each step on the way has left."""
        shapes: list[Shape] = []
        config, _ = open_scripts(
            self.root,
            Run(
                is_writing=True,
                database_url=self.url,
                observe=lambda connection: shapes.append(self.reader.read(connection)),
            ),
        )
        move = command.upgrade if is_up else command.downgrade
        try:
            with explained():
                move(config, target)
        except Exception as error:
            # Whatever a migration raises is what is wrong with it.
            raise _StepFailedError(error, done=len(shapes)) from error
        return shapes


class _StepFailedError(Exception):
    def __init__(self, cause: Exception, *, done: int) -> None:
        super().__init__(" ".join(str(cause).split()) or type(cause).__name__)
        self.done = done


def find_migration_faults(root: Path, *, server_url: str | None = None) -> Iterator[Finding]:
    """Give what is wrong with the migrations of a service, which has some, given its root folder.

    They are tried on an SQLite file, or in a database of its own on the PostgreSQL server that
    `server_url` names; the database of the service is not touched.

    Raises:
        ConfigurationError: If that server cannot be used.
    """
    try:
        scripts = _read_scripts(root)
    except Exception as error:  # noqa: BLE001 -- a migration is a module, and may raise anything
        yield _failed(f"The migrations cannot be read. {_said(error)}")
        return
    faults = list(_find_forks(scripts))
    if faults:
        yield from faults
        return
    try:
        with throw_away_database(server_url) as url:
            faults = (
                list(_rehearse(_Rehearsal(root=root, url=url, scripts=scripts)))
                if _is_used(root, url)
                else [_not_tried("alembic/env.py does not call run_environment().", "Call it")]
            )
    except MissingExtraError as error:
        faults = [_not_tried(error.message, "Install it, or name a server in TEST_DATABASE_URL")]
    yield from faults


def _read_scripts(root: Path) -> Sequence[Script]:
    with warnings.catch_warnings():
        # Two migrations of one name, and one that follows nothing that is there, are only warned of.
        warnings.simplefilter("error", UserWarning)
        _, directory = open_scripts(root)
        with explained():
            return list(directory.walk_revisions())[::-1]


def _find_forks(scripts: Sequence[Script]) -> Iterator[Finding]:
    heads = sorted(script.revision for script in scripts if script.is_head)
    bases = sorted(script.revision for script in scripts if script.is_base)
    forks = sorted(script.revision for script in scripts if script.is_branch_point)
    for names, what in (
        (heads if len(heads) > 1 else [], "Several migrations are the last one"),
        (bases if len(bases) > 1 else [], "Several migrations are the first one"),
        (forks if len(heads) == 1 else [], "Several migrations follow the same one"),
    ):
        if names:
            yield Finding(
                id="migrations_not_linear",
                what=f"{what}: {', '.join(names)}.",
                remedy="Put them in a row: give one the other as its down_revision.",
            )
            return


def _is_used(root: Path, url: str) -> bool:
    """Return whether env.py goes to the database that it is told to; nothing is changed in any."""
    run = Run(is_writing=False, database_url=url)
    config, directory = open_scripts(root, run)

    def look(revision: Any, context: object) -> list[Any]:
        del revision, context
        return []

    try:
        with EnvironmentContext(config, directory, fn=look, dont_mutate=True):
            directory.run_env()
    except ConfigurationError:
        raise
    except Exception:  # noqa: BLE001 -- an env.py of somebody's own may need anything
        return run.has_used_url
    return run.has_used_url


def _rehearse(rehearsal: _Rehearsal) -> Iterator[Finding]:
    scripts = rehearsal.scripts
    try:
        shapes = rehearsal.run("head", is_up=True)
    except _StepFailedError as error:
        yield _failed(f"{_name(scripts, error.done)} cannot be applied. {error}")
        return
    try:
        compare(rehearsal.root, Run(is_writing=False, database_url=rehearsal.url))
    except ModelsDifferError as error:
        difference = error.message.partition(" Write a migration")[0]
        yield (
            Finding(
                id="migration_missing",
                what=difference.replace("the database", "the migrations", 1),
                remedy="Write a migration: baseline db revision -m MESSAGE",
            )
            if scripts
            else Finding(
                id="first_migration_missing",
                what="There are models, and no migration yet that makes their tables.",
                remedy="Write the first one: baseline db revision -m MESSAGE",
            )
        )
    if scripts:
        yield from _go_back(rehearsal, shapes)


def _go_back(rehearsal: _Rehearsal, shapes: Sequence[Shape]) -> Iterator[Finding]:
    newest_first = rehearsal.scripts[::-1]
    try:
        left = rehearsal.run("base", is_up=False)
    except _StepFailedError as error:
        yield _irreversible(f"{_name(newest_first, error.done)} cannot be taken back. {error}")
        return
    before = [*shapes[:-1][::-1], Shape()]
    for script, found, wanted in zip(newest_first, left, before, strict=True):
        change = describe_change(wanted, found)
        if change:
            yield _irreversible(
                f"The migration {_label(script)}, taken back, leaves another database than it was "
                f"applied to: {change}."
            )
            return
    try:
        rehearsal.run("head", is_up=True)
    except _StepFailedError as error:
        name = _name(rehearsal.scripts, error.done)
        yield _irreversible(f"{name} cannot be applied again once it was taken back. {error}")


def _name(scripts: Sequence[Script], position: int) -> str:
    if position < len(scripts):
        return f"The migration {_label(scripts[position])}"
    return "What follows the last migration"


def _label(script: Script) -> str:
    return f"{script.revision} ({script.doc})" if script.doc else script.revision


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _failed(what: str) -> Finding:
    return Finding(
        id="migration_failed",
        what=_sentence(what),
        remedy=(
            "Mend it; if it is for PostgreSQL only, name a server to try it on in "
            "TEST_DATABASE_URL."
        ),
        can_be_accepted=False,
    )


def _irreversible(what: str) -> Finding:
    return Finding(
        id="migration_irreversible",
        what=_sentence(what),
        remedy=(
            "Let downgrade() undo what upgrade() does, or accept this if nobody will ever go back."
        ),
    )


def _not_tried(reason: str, remedy: str) -> Finding:
    return Finding(
        id="migrations_not_tried",
        what=f"The migrations cannot be tried: {_sentence(reason)}",
        remedy=f"{remedy}, or accept this and try them yourself.",
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
