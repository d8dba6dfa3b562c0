"""Rows as callers give them: mappings of attributes, or entities that are not stored."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState

from fastapi_baseline.persistence.errors import UnknownAttributeError
from fastapi_baseline.persistence.scope import attribute_names
from fastapi_baseline.persistence.shape import Shape

Row = dict[str, Any]


def row_of(source: object, shape: Shape) -> Mapping[str, Any]:
    """Return what a mapping gives, or what was set in an entity; by attribute name."""
    if isinstance(source, Mapping):
        return cast("Mapping[str, Any]", source)
    state: InstanceState[Any] = inspect(cast("Any", source))
    columns = shape.mapper.columns
    return {name: value for name, value in state.dict.items() if name in columns}


def check_names(names: Iterable[str], shape: Shape) -> None:
    """Refuse what is no column of the model; a new row may give its key, and what is stamped.

    Raises:
        UnknownAttributeError: If one of the names is none.
    """
    known = {*shape.settable, *shape.stamped, *attribute_names(shape.key)}
    unknown = sorted(set(names) - known)
    if unknown:
        message = f"{shape.mapper.class_.__name__} has no attribute to set: {', '.join(unknown)}"
        raise UnknownAttributeError(message)
