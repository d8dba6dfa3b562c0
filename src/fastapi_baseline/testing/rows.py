"""Rows that a test needs and does not care about."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

from fastapi import FastAPI

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database, WriteSession

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import JSON, Column, Enum, inspect
    from sqlalchemy.orm import Mapper
    from sqlalchemy.types import TypeDecorator, TypeEngine

ModelT = TypeVar("ModelT")

_MAX_DEPTH = 10
_VALUES: dict[type[Any], Any] = {
    bool: False,
    bytes: b"",
    date: date(2026, 1, 1),
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    Decimal: Decimal(0),
    float: 0.0,
    int: 0,
    time: time(0),
    timedelta: timedelta(0),
}


async def add_row(app: FastAPI, model: type[ModelT], **values: Any) -> ModelT:
    """Store a row in the database of an application that is running, and return it.

    What the row needs and is not given is made up: texts and identifiers are new each time, and
    what it refers to is added, too. What may be left out is left out.

    Raises:
        ConfigurationError: If the application has no database, or a value cannot be made up.
    """
    database: Database | None = getattr(app.state, "database", None)
    if database is None:
        raise ConfigurationError("The application has no database: set DATABASE_URL.")
    async with database.transaction() as session:
        return await _add(session, inspect(model), values)


async def _add(
    session: WriteSession, mapper: Mapper[ModelT], values: dict[str, Any], *, depth: int = 0
) -> ModelT:
    made = dict(values)
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if attribute.key in values or not isinstance(column, Column) or not _is_needed(column):
            continue
        if column.foreign_keys:
            made[attribute.key] = await _refer(session, mapper, column, depth=depth)
        else:
            made[attribute.key] = _make_up(column, mapper)
    entity = mapper.class_(**made)
    session.add(entity)
    await session.flush()
    return entity


def _is_needed(column: Column[Any]) -> bool:
    is_counted = column.primary_key and column.autoincrement in {True, "auto"}
    is_number = _python_type(column.type) is int
    return not (
        column.nullable
        or column.default is not None
        or column.server_default is not None
        or (is_counted and is_number and not column.foreign_keys)
    )


async def _refer(
    session: WriteSession, mapper: Mapper[Any], column: Column[Any], *, depth: int
) -> Any:
    target = next(iter(column.foreign_keys)).column
    others = [other for other in mapper.registry.mappers if target.table in other.tables]
    if not others or depth == _MAX_DEPTH:
        message = f"{column} refers to {target}, and no row of that can be made up: give its value."
        raise ConfigurationError(message)
    parent = others[0].base_mapper
    row = await _add(session, parent, {}, depth=depth + 1)
    return getattr(row, parent.get_property_by_column(target).key)


def _make_up(column: Column[Any], mapper: Mapper[Any]) -> Any:
    kind = column.type
    if isinstance(kind, Enum):
        return next(iter(kind.enum_class)) if kind.enum_class else kind.enums[0]
    if isinstance(kind, JSON):
        return {}
    python_type = _python_type(kind)
    if python_type is UUID:
        return uuid4()
    if python_type is str:
        return uuid4().hex[: getattr(kind, "length", None) or None]
    if python_type not in _VALUES:
        message = f"No {column.name} of {mapper.class_.__name__} can be made up: give its value."
        raise ConfigurationError(message)
    return _VALUES[python_type]


def _python_type(kind: TypeEngine[Any]) -> type[Any]:
    # What decorates another type without saying more is as that.
    if isinstance(kind, TypeDecorator) and kind.python_type is object:
        return _python_type(kind.impl_instance)
    return kind.python_type
