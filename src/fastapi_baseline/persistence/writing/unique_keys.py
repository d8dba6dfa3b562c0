"""The unique keys of a table, as what an upsert can tell rows by."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Index, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.orm import Mapper

from fastapi_baseline.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueKey:
    """Columns whose values no two rows share; only among the rows that meet `where`, if given."""

    columns: tuple[Column[Any], ...]
    where: ColumnElement[bool] | None = None


def unique_key(mapper: Mapper[Any], names: Collection[str]) -> UniqueKey:
    """Return the unique key of a model's table that consists of these attributes, in any order.

    One that holds for all rows goes before one that is partial.

    Raises:
        ConfigurationError: If no constraint and no unique index does.
    """
    table: Any = mapper.local_table
    wanted = {mapper.columns[name] for name in names if name in mapper.columns}
    found = (key for key in _keys_of(table) if wanted == {*key.columns})
    for key in sorted(found, key=lambda key: key.where is not None):
        return key
    message = (
        f"{mapper.class_.__name__} has no unique key of {', '.join(names) or 'no attributes'}: add "
        "a unique constraint or index, and name all of its columns."
    )
    raise ConfigurationError(message)


def _keys_of(table: Table) -> Iterator[UniqueKey]:
    for constraint in table.constraints:
        # One that is deferred cannot say at once whether a row is there.
        is_unique = isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint))
        if is_unique and not constraint.deferrable:
            yield UniqueKey(columns=tuple(constraint.columns))
    for index in table.indexes:
        columns = [part for part in index.expressions if isinstance(part, Column)]
        if index.unique and len(columns) == len(index.expressions):
            yield UniqueKey(columns=tuple(columns), where=_condition_of(index))


def _condition_of(index: Index) -> Any:
    conditions = (index.dialect_options[name].get("where") for name in ("postgresql", "sqlite"))
    return next((condition for condition in conditions if condition is not None), None)
