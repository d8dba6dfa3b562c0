"""Which columns of a model a query may name."""

from functools import cache
from itertools import pairwise
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import ColumnProperty, Mapper, QueryableAttribute, RelationshipProperty

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.query.operators import Attribute, Target

SECRET = "secret"  # noqa: S105 -- no secret, but the mark of one
"""What the `info` of a column has that no query may name: `mapped_column(info={"secret": True})`."""


def column_called(model: type[Any], name: str) -> Attribute:
    """Return the column of a model that is called like a field.

    Raises:
        ConfigurationError: If there is none that may be named; it says what to do.
    """
    mapper = _mapper_of(model)
    if not mapper.has_property(name):
        raise ConfigurationError(
            f"{model.__name__} has no column {name!r}: call the field like one, name one with "
            f"on(...) or via(...), or write Annotated[..., parameter()] if it is no filter."
        )
    if isinstance(mapper.get_property(name), RelationshipProperty):
        raise ConfigurationError(
            f"it is a relationship: name what of it with via({model.__name__}.{name}, ...)."
        )
    return _checked(getattr(model, name))


def checked_target(model: type[Any], target: Target) -> Target:
    """Return where a field leads, if it may.

    Which rows a relationship leads to is known only when all models are: that is checked when the
    first condition is made.

    Raises:
        ConfigurationError: If it starts at another model, or does not end at a column that may be named.
    """
    start = target.path[0] if target.path else target.column
    if not _is_attribute(start) or not issubclass(model, _owner(start)):
        raise ConfigurationError(f"{start} is no attribute of {model.__name__}.")
    for step in target.path:
        if not _is_attribute(step) or not isinstance(_property_of(step), RelationshipProperty):
            raise ConfigurationError(
                f"{step} is no relationship: via() takes a column only at the end."
            )
    if not target.path and _owner(start) is not model:
        return Target(_checked(getattr(model, start.key)))
    return Target(_checked(target.column), target.path)


@cache
def check_path(target: Target) -> None:
    """Check that each relationship on the way leads to the model that the next step is of.

    It configures the mappers, so all models must be there.

    Raises:
        ConfigurationError: If one leads elsewhere: rows of a model that is not related would be
            looked for instead.
    """
    steps = [*target.path, target.column]
    for step, following in pairwise(steps):
        found: Any = step.property.entity.class_
        if not issubclass(found, _owner(following)):
            raise ConfigurationError(f"via(): {step} leads to {found.__name__}, not {following}.")


def _checked(column: Attribute) -> Attribute:
    found = _property_of(column) if _is_attribute(column) else None
    if not isinstance(found, ColumnProperty):
        raise ConfigurationError(f"{column} is no mapped column.")
    if any(getattr(part, "info", {}).get(SECRET) for part in found.columns):
        raise ConfigurationError(f"{column} is secret, and nothing can be asked of it.")
    return column


def _is_attribute(candidate: Any) -> bool:
    return isinstance(candidate, QueryableAttribute) and isinstance(_owner(candidate), type)


def _owner(attribute: Any) -> Any:
    """Return the class that an attribute is of; an alias of one is none."""
    return getattr(attribute, "class_", None)


def _property_of(attribute: Attribute) -> Any:
    # Not `attribute.property`, which configures the mappers: not all may be there yet.
    mapper = _mapper_of(_owner(attribute))
    return mapper.get_property(attribute.key) if mapper.has_property(attribute.key) else None


def _mapper_of(model: type[Any]) -> Mapper[Any]:
    try:
        return inspect(model)
    except NoInspectionAvailable as error:
        raise ConfigurationError(f"{model!r} is not mapped.") from error
