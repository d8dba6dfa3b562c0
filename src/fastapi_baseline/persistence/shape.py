"""What a repository needs to know of a mapped class, found out once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import Column, Integer, inspect
from sqlalchemy.orm import InstrumentedAttribute, Mapper

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.models import STAMP, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A mapped class: its key, what can be set, and what takes more than one statement.

    `stamped` says of attributes, by name, how they are stamped; they are not `settable`.
    `version` is what its versions are counted in, also if the model counts them its own way;
    `deleted_at` says when it was softly deleted. `is_spread` says that it is in several tables.
    """

    mapper: Mapper[Any]
    key: tuple[InstrumentedAttribute[Any], ...]
    settable: frozenset[str]
    stamped: Mapping[str, Stamp]
    version: InstrumentedAttribute[Any] | None
    deleted_at: InstrumentedAttribute[Any] | None
    counts_by_one: bool
    is_spread: bool
    is_updated_loaded: bool
    is_deleted_loaded: bool

    def attribute(self, stamp: Stamp) -> InstrumentedAttribute[Any] | None:
        """Return what is stamped like this, if anything is."""
        return _attribute(self.mapper.class_, self.stamped, stamp)


@cache
def shape_of(model: type[Any]) -> Shape:
    """Return the shape of a mapped class.

    Raises:
        sqlalchemy.exc.NoInspectionAvailable: If it is not mapped.
        ConfigurationError: If its version is not counted by its mapper.
    """
    mapper: Mapper[Any] = inspect(model)
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    columns = {
        attribute.key
        for attribute in mapper.column_attrs
        if all(isinstance(column, Column) for column in attribute.columns)
    }
    stamped = _stamped(mapper)
    is_spread = len(mapper.tables) > 1
    counts_by_one = _counts_by_one(mapper)
    # The rest needs the unit of work: an entity in several tables, or with others that go with it,
    # takes several statements, and versions that are made in a way of their own are made there.
    is_updated_loaded = is_spread or not counts_by_one
    return Shape(
        mapper=mapper,
        key=tuple(getattr(model, key) for key in keys),
        settable=frozenset(columns.difference(keys, stamped)),
        stamped=stamped,
        version=_attribute(model, stamped, "version"),
        deleted_at=_attribute(model, stamped, "deleted_at"),
        counts_by_one=counts_by_one,
        is_spread=is_spread,
        is_updated_loaded=is_updated_loaded,
        is_deleted_loaded=is_updated_loaded or _takes_others(mapper),
    )


def _stamped(mapper: Mapper[Any]) -> dict[str, Stamp]:
    stamped: dict[str, Stamp] = {
        attribute.key: cast("Stamp", column.info[STAMP])
        for attribute in mapper.column_attrs
        for column in attribute.columns
        if isinstance(column, Column) and STAMP in column.info
    }
    versions = {name for name, how in stamped.items() if how == "version"}
    if mapper.version_id_col is None:
        if versions:
            message = (
                f"{mapper.class_.__name__} does not count its versions: derive from Versioned."
            )
            raise ConfigurationError(message)
        return stamped
    stamped[mapper.get_property_by_column(mapper.version_id_col).key] = "version"
    return stamped


def _attribute(model: type[Any], stamped: Mapping[str, Stamp], stamp: Stamp) -> Any:
    return next((getattr(model, name) for name, how in stamped.items() if how == stamp), None)


def _counts_by_one(mapper: Mapper[Any]) -> bool:
    """Return whether versions, if there are any, are numbers that grow by one."""
    if mapper.version_id_col is None:
        return True
    # Nothing says whether the generator is SQLAlchemy's own but where it is defined.
    is_default = getattr(mapper.version_id_generator, "__module__", None) == Mapper.__module__
    return is_default and isinstance(mapper.version_id_col.type, Integer)


def _takes_others(mapper: Mapper[Any]) -> bool:
    return any(
        (relationship.cascade.delete or relationship.secondary is not None)
        and not relationship.viewonly
        and not relationship.passive_deletes
        for relationship in mapper.relationships
    )
