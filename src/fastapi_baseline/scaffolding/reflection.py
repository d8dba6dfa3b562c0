"""A table as its database describes it."""

import asyncio
import importlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError

with optional("sqlalchemy", "greenlet", extra="persistence"):
    # By name: SQLAlchemy itself looks for it only when it first runs something.
    importlib.import_module("greenlet")
    from sqlalchemy import URL, Connection, NullPool, inspect
    from sqlalchemy.engine.reflection import Inspector
    from sqlalchemy.exc import SAWarning, SQLAlchemyError
    from sqlalchemy.ext.asyncio import create_async_engine

_PATIENCE = timedelta(seconds=30)
_MOST_NAMES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """Columns of a table that refer to another one."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]
    """The columns that they refer to."""
    key: tuple[str, ...]
    """The columns of the primary key of the other table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; its columns are as SQLAlchemy reflects them."""

    name: str
    is_sqlite: bool
    columns: Sequence[Mapping[str, Any]]
    primary: tuple[str, ...]
    uniques: tuple[tuple[str, ...], ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    """The columns of the indexes that are neither unique nor of a part of the rows."""
    special: tuple[str, ...] = ()
    """The names of unique indexes of a part of the rows, or over expressions."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[str, ...] = ()
    """The conditions of its checks, as the database has them."""
    unread: tuple[str, ...] = ()
    """What SQLAlchemy says that it has left out."""


def reflect(name: str, *, database_url: str) -> Table:
    """Return a table of a database, which is only looked at.

    Raises:
        ConfigurationError: If there is no such table or database, or it does not answer. The
            message repeats nothing of the URL that may be secret.
        MissingExtraError: If the driver is not installed; the message names the extra.
    """
    from fastapi_baseline.persistence.engines.url import (  # noqa: PLC0415 -- slow to import
        is_memory,
        parse_url,
    )

    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite":
        if is_memory(url):
            raise ConfigurationError("A database in memory has no tables: name a file.")
        path = Path(url.database or "")
        # To connect would make it.
        if not url.query and not path.is_file():
            raise ConfigurationError(f"There is no database {path}.")
    try:
        return asyncio.run(_look(url, name))
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        message = f"The database cannot be looked at. {lines[0]}"
        raise ConfigurationError(message) from error


async def _look(url: URL, name: str) -> Table:
    from fastapi_baseline.persistence.engines.postgres import (  # noqa: PLC0415 -- slow to import
        connect_arguments,
    )
    from fastapi_baseline.settings import DatabaseSettings  # noqa: PLC0415 -- likewise

    arguments: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        settings = DatabaseSettings(statement_timeout=_PATIENCE)
        url, arguments = connect_arguments(url, settings, application_name="baseline add resource")
    engine = create_async_engine(url, connect_args=arguments, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_read, name)
    finally:
        await engine.dispose()


def _read(connection: Connection, name: str) -> Table:
    inspector = inspect(connection)
    _require_table(inspector, name)
    # SQLAlchemy warns of what it leaves out, on lines of their own and with a place in its code.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SAWarning)
        table = _describe(inspector, name)
    return replace(table, unread=tuple(str(warning.message) for warning in caught))


def _describe(inspector: Inspector, name: str) -> Table:
    is_sqlite = inspector.dialect.name == "sqlite"
    # Its constraints are read from the text that made the table, and some of them are missed there;
    # the indexes that it has made for them are not.
    options: dict[str, Any] = {"include_auto_indexes": True} if is_sqlite else {}
    indexes = inspector.get_indexes(name, **options)
    plain = [index for index in indexes if _is_plain(index)]
    primary = tuple(inspector.get_pk_constraint(name)["constrained_columns"])
    uniques = [tuple(unique["column_names"]) for unique in inspector.get_unique_constraints(name)]
    uniques += [_columns(index) for index in plain if index["unique"]]
    return Table(
        name=name,
        is_sqlite=is_sqlite,
        columns=[dict(column) for column in inspector.get_columns(name)],
        primary=primary,
        uniques=tuple(dict.fromkeys(unique for unique in uniques if unique != primary)),
        indexes=tuple(_columns(index) for index in plain if not index["unique"]),
        special=tuple(
            str(index["name"]) for index in indexes if index["unique"] and not _is_plain(index)
        ),
        foreign_keys=tuple(_foreign_keys(inspector, name)),
        checks=tuple(check["sqltext"] for check in inspector.get_check_constraints(name)),
    )


def _require_table(inspector: Inspector, name: str) -> None:
    tables = sorted(inspector.get_table_names())
    if name in tables:
        return
    if name in inspector.get_view_names():
        message = f"{name!r} is a view, whose rows cannot be changed: name a table."
        raise ConfigurationError(message)
    if "." in name:
        message = (
            f"{name!r} is of another schema: put it first in the search path of the user, and "
            f"name the table alone."
        )
        raise ConfigurationError(message)
    near = get_close_matches(name, tables, n=_MOST_NAMES) or tables[:_MOST_NAMES]
    known = ", ".join(near) + (", …" if len(near) < len(tables) else "")
    raise ConfigurationError(f"There is no table {name!r}; there are: {known or 'none'}.")


def _is_plain(index: Mapping[str, Any]) -> bool:
    options: Mapping[str, Any] = index.get("dialect_options") or {}
    is_partial = any(key.endswith("_where") and value is not None for key, value in options.items())
    return not is_partial and None not in index["column_names"]


def _columns(index: Mapping[str, Any]) -> tuple[str, ...]:
    included = set[str](index.get("include_columns") or ())
    return tuple(column for column in index["column_names"] if column not in included)


def _foreign_keys(inspector: Inspector, name: str) -> Iterator[ForeignKey]:
    for found in inspector.get_foreign_keys(name):
        other = found["referred_table"]
        primary = inspector.get_pk_constraint(other, schema=found["referred_schema"])
        key = tuple(primary["constrained_columns"])
        yield ForeignKey(
            columns=tuple(found["constrained_columns"]),
            table=other,
            # SQLite leaves out which, if it is the primary key.
            referred=tuple(found["referred_columns"]) or key,
            key=key,
        )
