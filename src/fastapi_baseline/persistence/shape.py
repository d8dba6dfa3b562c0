"""What a repository needs to know of a mapped class, found out once."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Column, inspect
from sqlalchemy.orm import InstrumentedAttribute, Mapper


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A mapped class: its key, what can be set, and what takes more than one statement."""

    mapper: Mapper[Any]
    key: tuple[InstrumentedAttribute[Any], ...]
    settable: frozenset[str]
    is_updated_loaded: bool
    is_deleted_loaded: bool


@cache
def shape_of(model: type[Any]) -> Shape:
    """Return the shape of a mapped class.

    Raises:
        sqlalchemy.exc.NoInspectionAvailable: If it is not mapped.
    """
    mapper: Mapper[Any] = inspect(model)
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    settable = {
        attribute.key
        for attribute in mapper.column_attrs
        if all(isinstance(column, Column) for column in attribute.columns)
    }
    # The rest needs the unit of work: versions are counted there, and an entity in several tables,
    # or with others that go with it, takes several statements.
    is_spread = len(mapper.tables) > 1
    return Shape(
        mapper=mapper,
        key=tuple(getattr(model, key) for key in keys),
        settable=frozenset(settable.difference(keys)),
        is_updated_loaded=is_spread or mapper.version_id_col is not None,
        is_deleted_loaded=is_spread or mapper.version_id_col is not None or _takes_others(mapper),
    )


def _takes_others(mapper: Mapper[Any]) -> bool:
    return any(
        (relationship.cascade.delete or relationship.secondary is not None)
        and not relationship.viewonly
        and not relationship.passive_deletes
        for relationship in mapper.relationships
    )
