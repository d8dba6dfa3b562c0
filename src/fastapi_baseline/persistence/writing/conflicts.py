"""INSERT ... ON CONFLICT DO UPDATE: how rows are told, and what changes in those that exist."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Boolean, ColumnElement, Dialect, and_, literal_column, null
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.sql.visitors import iterate

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.shape import Shape
from fastapi_baseline.persistence.specification import Condition
from fastapi_baseline.persistence.writing.row_defaults import (
    RowContext,
    discriminator,
    evaluated,
    is_python_side,
)
from fastapi_baseline.persistence.writing.rows import Row
from fastapi_baseline.persistence.writing.stamps import WriteStamp, conflict_values, insert_values
from fastapi_baseline.persistence.writing.unique_keys import UniqueKey

Attributes = QueryableAttribute[Any] | Sequence[QueryableAttribute[Any]]

# PostgreSQL notes in a row that exists which transaction has locked it last: here, this one.
_IS_NEW = literal_column("(xmax = 0)", Boolean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One upsert: how rows are made, how they are told, and what becomes of those that exist."""

    shape: Shape
    context: RowContext
    stamp: WriteStamp
    names: tuple[str, ...]
    """The attributes that rows are told by."""
    key: UniqueKey
    update: frozenset[str] | None
    """The attributes to set in rows that exist; if left out, all that are given."""
    before: Sequence[Condition]
    """What a row that exists must meet to be updated."""

    def key_of(self, source: Any) -> tuple[Any, ...]:
        """Return the values that tell a row, or an entity, from others."""
        if isinstance(source, dict):
            return tuple(cast("Row", source).get(name) for name in self.names)
        return tuple(getattr(source, name) for name in self.names)

    def filled(self, row: Row) -> Row:
        """Return a row with its key, as far as defaults make it.

        Raises:
            ConfigurationError: If it cannot be told from others.
        """
        missing = [name for name in self.names if name not in row]
        columns = {name: self.shape.mapper.columns[name] for name in missing}
        is_filled = all(column.default or column.server_default for column in columns.values())
        if missing and (len(missing) == len(self.names) or not is_filled):
            message = (
                f"A {self.shape.mapper.class_.__name__} is upserted by its {', '.join(self.names)}, "
                f"and one gives no {', '.join(missing)}: give a value, or another key."
            )
            raise ConfigurationError(message)
        made = {
            name: evaluated(column.default, self.context)
            for name, column in columns.items()
            if is_python_side(column.default)
        }
        return {**row, **made} if made else row

    def stamped(self, row: Row) -> Row:
        """Return a row as it is inserted."""
        updated_at = self.shape.attribute("updated_at")
        # A row that exists is changed now, whenever this one says that it was created.
        now = {} if updated_at is None else {updated_at.key: self.stamp.moment}
        row = {**discriminator(self.shape.mapper), **now, **row}
        return insert_values(self.shape, row, stamp=self.stamp)

    def changed(self, given: Iterable[str]) -> frozenset[str]:
        """Return what changes in a row that exists, if these attributes are given."""
        changed = self.shape.settable.intersection(given)
        return changed.difference(self.names) if self.update is None else changed & self.update

    def statement(self, changed: Iterable[str]) -> Any:
        """Return the INSERT for rows that change these attributes where they exist.

        If they change nothing, a row that exists stays as it is, and comes back all the same.
        """
        name = "postgresql" if self.context.dialect.name == "postgresql" else "sqlite"
        # Only one of them is imported already, by the engine.
        kind: Any = importlib.import_module(f"sqlalchemy.dialects.{name}")
        statement = kind.insert(self.shape.mapper.class_)
        excluded = statement.excluded
        columns = self.shape.mapper.columns
        values = {name: excluded[columns[name].key] for name in changed}
        if values:
            values |= self._set_by_every_update(values)
            values |= conflict_values(self.shape, excluded)
        else:
            values = {self.names[0]: excluded[columns[self.names[0]].key]}
        return statement.on_conflict_do_update(
            index_elements=self.key.columns,
            index_where=self.key.where,
            set_={columns[name].key: value for name, value in values.items()},
            where=and_(*self.before) if self.before else None,
        )

    def _set_by_every_update(self, values: Mapping[str, Any]) -> Row:
        """Return what `onupdate` of columns says, which does not count in an ON CONFLICT."""
        set_anyway: dict[str, Any] = {
            name: column.onupdate
            for name, column in self.shape.mapper.columns.items()
            if name not in values and name not in self.shape.stamped
            if getattr(column, "onupdate", None) is not None
        }
        return {
            name: evaluated(onupdate, self.context) if is_python_side(onupdate) else onupdate.arg
            for name, onupdate in set_anyway.items()
        }


def is_new_in(dialect: Dialect) -> ColumnElement[Any]:
    """Return what says of a row that comes back whether it is new, or NULL if nothing can."""
    return _IS_NEW if dialect.name == "postgresql" else null()


def has_subquery(condition: Condition) -> bool:
    """Return whether a condition asks other rows; in an INSERT they would not be related to it."""
    return any(isinstance(part, SelectBase) for part in iterate(condition))


def is_returnable(condition: Condition, dialect: Dialect) -> bool:
    """Return whether a row that comes back can say for itself whether it meets a condition."""
    # SQLite 3.40 takes a column in RETURNING for another one when it asks whether that is NULL.
    return dialect.name == "postgresql" and not has_subquery(condition)


def several(attributes: Attributes) -> Sequence[QueryableAttribute[Any]]:
    """Return attributes as a sequence, also if it is only one."""
    return [attributes] if isinstance(attributes, QueryableAttribute) else attributes
