"""Which attributes of which model a constraint is about.

PostgreSQL names the constraint, SQLite the columns; either is looked up in the metadata, and what
is not found there is not repeated.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.orm import registry
from sqlalchemy.orm.exc import UnmappedColumnError
from sqlalchemy.sql.compiler import IdentifierPreparer
from sqlalchemy.sql.visitors import iterate


@cache
def _preparer() -> IdentifierPreparer:
    """Return what writes names for PostgreSQL, whose dialect is slow to import."""
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 -- see above

    return postgresql.dialect().identifier_preparer


def violated_attributes(driver_error: Any, registries: Sequence[registry]) -> list[str]:
    """Return the attributes that a violated constraint is about, in its order; maybe none."""
    for mapped in registries:
        columns = _violated_columns(driver_error, _tables_of(mapped))
        if columns:
            return [_attribute_of(column, mapped) for column in columns]
    return []


def _tables_of(mapped: registry) -> list[Table]:
    tables = dict.fromkeys(mapped.metadata.tables.values())
    for mapper in mapped.mappers:
        tables.update(dict.fromkeys(cast("list[Table]", mapper.tables)))
    return list(tables)


def _violated_columns(driver_error: Any, tables: list[Table]) -> list[Column[Any]]:
    if getattr(driver_error, "sqlite_errorname", None):
        return _columns_named_by_sqlite(str(driver_error), tables)
    diagnosis = getattr(driver_error, "diag", driver_error)  # psycopg's, or asyncpg's own
    table_name: str | None = getattr(diagnosis, "table_name", None)
    constraint: str | None = getattr(diagnosis, "constraint_name", None)
    column: str = getattr(diagnosis, "column_name", None) or ""
    candidates = [table for table in tables if table.name == table_name]
    if constraint:
        return _columns_of(constraint, candidates)
    return [table.columns[column] for table in candidates if column in table.columns][:1]


def _columns_named_by_sqlite(message: str, tables: list[Table]) -> list[Column[Any]]:
    """Return the columns that a message ends with: `… failed: item.tenant_id, item.name`."""
    _, _, subject = message.partition(" constraint failed: ")
    by_name = {
        f"{table.name}.{column.name}": column for table in tables for column in table.columns
    }
    columns = [by_name[name] for name in subject.split(", ") if name in by_name]
    if columns and len(columns) == len(subject.split(", ")):
        return columns
    return _columns_of(subject.removeprefix("index '").removesuffix("'"), tables)


def _columns_of(name: str, tables: list[Table]) -> list[Column[Any]]:
    quoted = _preparer().quote(name)
    for table in tables:
        for constraint in (*table.constraints, *table.indexes):
            if constraint.name is None:
                is_it = name == _default_name(constraint, table)
            else:
                # Formatted, since a long name is shortened on its way to the database.
                is_it = quoted == _preparer().format_constraint(constraint)
            if is_it:
                return list(_columns_in(constraint))
    return []


def _default_name(constraint: Constraint | Index, table: Table) -> str | None:
    """Return the name that PostgreSQL gives a constraint that has none."""
    match constraint:
        case PrimaryKeyConstraint():
            return f"{table.name}_pkey"
        case UniqueConstraint():
            suffix = "key"
        case ForeignKeyConstraint():
            suffix = "fkey"
        case _:
            return None
    columns = "_".join(column.name for column in constraint.columns)
    return f"{table.name}_{columns}_{suffix}"


def _columns_in(constraint: Constraint | Index) -> Iterator[Column[Any]]:
    if isinstance(constraint, Index):
        yield from _unique_columns(constraint.expressions)
    elif isinstance(constraint, CheckConstraint):
        yield from _unique_columns([constraint.sqltext])
    elif isinstance(constraint, (UniqueConstraint, PrimaryKeyConstraint, ForeignKeyConstraint)):
        yield from constraint.columns


def _unique_columns(expressions: Iterable[Any]) -> Iterator[Column[Any]]:
    found: dict[Column[Any], None] = {}
    for expression in expressions:
        for part in iterate(expression):
            if isinstance(part, Column):
                found[cast("Column[Any]", part)] = None
    yield from found


def _attribute_of(column: Column[Any], mapped: registry) -> str:
    for mapper in sorted(mapped.mappers, key=lambda mapper: len(list(mapper.iterate_to_root()))):
        if column.table in mapper.tables:
            try:
                return mapper.get_property_by_column(column).key
            except UnmappedColumnError:
                continue
    return column.key
