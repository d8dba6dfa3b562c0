"""What a database looks like to migrations: its tables, with what can be compared reliably of them.

Defaults and checks are left out: databases write them in words of their own, which differ after a
table was copied.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.dialects.postgresql.base import PGInspector
from sqlalchemy.engine.reflection import Inspector

_VERSIONS = "alembic_version"
_MOST = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """The parts of a database, each in words; the order in which they were made does not count."""

    parts: frozenset[str] = frozenset()


@dataclass(slots=True)
class ShapeReader:
    """Reads what one database looks like, again and again.

    SQLite keeps the statements that have made each table, so those that are as they were are not
    looked at again: there is one question for each property of each table.
    """

    _known: dict[str, tuple[object, Collection[str]]] = field(
        default_factory=dict[str, tuple[object, Collection[str]]]
    )

    def read(self, connection: Connection) -> Shape:
        """Return what the database looks like now, also in the middle of a transaction."""
        inspector = inspect(connection)
        statements = _statements(connection)
        tables = [name for name in inspector.get_table_names() if name != _VERSIONS]
        changed = [
            name
            for name in tables
            if name not in statements or self._known.get(name, (None,))[0] != statements[name]
        ]
        for name, parts in _parts_of(inspector, changed).items():
            self._known[name] = (statements.get(name), parts)
        found = {part for name in tables for part in self._known[name][1]}
        return Shape(frozenset(found | set(_types_of(inspector))))


def describe_change(wanted: Shape, found: Shape) -> str:
    """Return what is there too much, and what is missing; nothing if the two are the same."""
    more = [f"it still has {part}" for part in sorted(found.parts - wanted.parts)]
    less = [f"it lacks {part}" for part in sorted(wanted.parts - found.parts)]
    changes = [*more, *less]
    rest = len(changes) - _MOST
    return ", ".join([*changes[:_MOST], *([f"and {rest} more"] if rest > 0 else [])])


def _statements(connection: Connection) -> Mapping[str, object]:
    if connection.dialect.name != "sqlite":
        return {}
    found: dict[str, tuple[Any, ...]] = {}
    query = "SELECT tbl_name, name, sql FROM sqlite_master ORDER BY name"
    for table, name, statement in connection.execute(text(query)):
        found[table] = (*found.get(table, ()), name, statement)
    return found


def _parts_of(inspector: Inspector, tables: Sequence[str]) -> Mapping[str, Collection[str]]:
    if not tables:
        return {}
    parts = {name: {f"table {name}"} for name in tables}
    for find in (_columns_of, _keys_of, _indexes_of):
        for name, part in find(inspector, tables):
            parts[name].add(part)
    return parts


def _columns_of(inspector: Inspector, tables: Sequence[str]) -> Iterator[tuple[str, str]]:
    for (_, table), columns in inspector.get_multi_columns(filter_names=tables).items():
        for column in columns:
            kind = column["type"].compile(inspector.bind.dialect)
            null = "" if column["nullable"] else " not null"
            yield table, f"column {table}.{column['name']} {kind}{null}"


def _keys_of(inspector: Inspector, tables: Sequence[str]) -> Iterator[tuple[str, str]]:
    for (_, table), primary in inspector.get_multi_pk_constraint(filter_names=tables).items():
        columns = ", ".join(primary["constrained_columns"]) if primary else ""
        yield table, f"primary key of {table} ({columns})"
    for (_, table), found in inspector.get_multi_unique_constraints(filter_names=tables).items():
        for unique in found:
            yield table, f"unique {table} ({', '.join(unique['column_names'])})"
    for (_, table), keys in inspector.get_multi_foreign_keys(filter_names=tables).items():
        for key in keys:
            columns = ", ".join(key["constrained_columns"])
            other = f"{key['referred_table']} ({', '.join(key['referred_columns'])})"
            yield table, f"foreign key {table} ({columns}) to {other}"


def _indexes_of(inspector: Inspector, tables: Sequence[str]) -> Iterator[tuple[str, str]]:
    for (_, table), indexes in inspector.get_multi_indexes(filter_names=tables).items():
        for index in indexes:
            # An index over an expression has no column there.
            columns = ", ".join(name or "expression" for name in index["column_names"])
            unique = ", unique" if index["unique"] else ""
            yield table, f"index {index['name']} of {table} ({columns}{unique})"


def _types_of(inspector: Inspector) -> Iterator[str]:
    if isinstance(inspector, PGInspector):
        for enum in inspector.get_enums():
            yield f"type {enum['name']} ({', '.join(enum['labels'])})"
