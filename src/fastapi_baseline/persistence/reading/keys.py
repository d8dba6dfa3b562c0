"""Primary keys as callers give them: a value, or a tuple if there are several columns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Enum,
    Integer,
    SmallInteger,
    String,
    Uuid,
    and_,
    tuple_,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from fastapi_baseline.persistence.errors import InvalidKeyError
from fastapi_baseline.persistence.shape import Shape, shape_of
from fastapi_baseline.persistence.specification import Condition

Key = tuple[Any, ...]

# Bind parameters of a statement are limited, to 32,766 on SQLite and 32,767 by asyncpg.
_MAX_PARAMETERS = 30_000
_MAX_INTEGER = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    kind: type[Any] | None
    limit: int
    comparable: Any
    """The column, as something that a number beyond its own range can be compared with."""


def key_of(shape: Shape, key: Any) -> Key | None:
    """Return the values of a primary key, or `None` if no row can have it.

    Raises:
        InvalidKeyError: If they are too few or too many, or of another type than the columns.
    """
    values = cast("Key", key if isinstance(key, tuple) else (key,))
    columns = _columns(shape.mapper.class_)
    if len(values) != len(columns):
        names = ", ".join(column.key for column in shape.key)
        message = f"A key of {shape.mapper.class_.__name__} has the values ({names}): {key!r}"
        raise InvalidKeyError(message)
    for value, column in zip(values, columns, strict=True):
        if value is None:
            return None
        if column.kind is not None and not isinstance(value, column.kind):
            name, wanted = shape.mapper.class_.__name__, column.kind.__name__
            message = f"A key of {name} is of {wanted}, and not of {type(value).__name__}."
            raise InvalidKeyError(message)
        if column.kind is int and not -_MAX_INTEGER <= value < _MAX_INTEGER:
            return None
    return values


def is_within(shape: Shape, key: Key) -> bool:
    """Return whether a driver takes the values as those of the key's columns."""
    columns = _columns(shape.mapper.class_)
    return all(
        column.kind is not int or -column.limit <= value < column.limit
        for value, column in zip(key, columns, strict=True)
    )


def has_key(shape: Shape, key: Key) -> Condition:
    """Return what says that a row has this key."""
    columns = _columns(shape.mapper.class_)
    return and_(*[column.comparable == value for column, value in zip(columns, key, strict=True)])


def have_keys(shape: Shape, keys: Iterable[Key]) -> Iterator[Condition]:
    """Return what says that rows have these keys, for as many statements as they take."""
    columns = [column.comparable for column in _columns(shape.mapper.class_)]
    target: Any = columns[0] if len(columns) == 1 else tuple_(*columns)
    unique = [*dict.fromkeys(keys)]
    values: Sequence[Any] = unique if len(columns) > 1 else [key[0] for key in unique]
    size = _MAX_PARAMETERS // len(columns)
    for start in range(0, len(values), size):
        yield target.in_(values[start : start + size])


@cache
def _columns(model: type[Any]) -> tuple[_Column, ...]:
    return tuple(
        _Column(
            kind=_kind_of(attribute.type),
            limit=_limit_of(attribute.type),
            comparable=(
                type_coerce(attribute, BigInteger())
                if isinstance(attribute.type, Integer)
                else attribute
            ),
        )
        for attribute in shape_of(model).key
    )


def _kind_of(column_type: TypeEngine[Any]) -> type[Any] | None:
    match column_type:
        case Integer():
            return int
        case Uuid():
            return UUID if column_type.as_uuid else str
        case String() if not isinstance(column_type, Enum):
            return str
        case _:
            return None


def _limit_of(column_type: TypeEngine[Any]) -> int:
    # SQLite stores all of them with eight bytes; asyncpg refuses to send what a column cannot hold.
    if isinstance(column_type, SmallInteger):
        return 2**15
    return _MAX_INTEGER if isinstance(column_type, BigInteger) else 2**31
