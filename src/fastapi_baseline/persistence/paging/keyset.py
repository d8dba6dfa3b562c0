"""Where a row stands in an order, and the condition that others stand beyond it.

A position holds the values of the sort keys as the database has them, so that what comes back is
what it was, bit by bit: PostgreSQL's text of a value (`CAST(x AS TEXT)`), whatever its type, and
in SQLite what is stored. A conversion to Python and back would round REAL and NUMERIC, cut what
`datetime` cannot say, and make lower case of citext matter: rows would be lost or repeated.

Rows that the database calls equal (`=`) are told apart by the next key, and at last by the primary
key. So collations do no harm, as long as a key is compared as it is sorted, which databases do: a
nondeterministic collation of PostgreSQL, citext and NOCASE of SQLite only make more rows equal.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    bindparam,
    or_,
    tuple_,
    type_coerce,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BinaryExpression, BindParameter
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import NULLTYPE, Boolean, NullType, TypeEngine

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.reading.ordering import SortKey

Value = str | int | float | bytes | None
"""A value of a sort key as the database has it."""

Position = tuple[Value, ...]
"""The values that the sort keys have in one row."""


def position_columns(keys: Iterable[SortKey]) -> list[ColumnElement[Any]]:
    """Return what to select beside a row in order to know its position.

    Raises:
        ConfigurationError: If a key is an expression without a type: no value could be compared
            with it on PostgreSQL.
    """
    return [_Stored(_typed(key.expression)) for key in keys]


def beyond(keys: Sequence[SortKey], position: Position) -> ColumnElement[bool]:
    """Return the condition that a row comes after a position, in the order of the keys.

    It begins with a bound that an index on the first key can use. There is none where NULL is yet
    to come: for lists that are paged far, sort by what is never NULL.
    """
    first, value = keys[0], position[0]
    if _is_one_range(keys):
        bounds = [_Bound(key, value) for key, value in zip(keys, position, strict=True)]
        return _compared(_row([key.expression for key in keys]), _row(bounds), _beyond(first))
    rest = beyond(keys[1:], position[1:])
    column = first.expression
    if value is None:
        return or_(column.is_not(None), rest) if first.nulls_first else and_(column.is_(None), rest)
    bound = _Bound(first, value)
    further = _compared(column, bound, _beyond(first))
    if first.is_nullable and not first.nulls_first:
        return or_(further, column.is_(None), and_(_compared(column, bound, operators.eq), rest))
    return and_(_compared(column, bound, _at_or_beyond(first)), or_(further, rest))


def _is_one_range(keys: Sequence[SortKey]) -> bool:
    return (
        all(not key.is_nullable and key.descending == keys[0].descending for key in keys)
        or len(keys) == 1
    )


def _typed(expression: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(expression.type, NullType):
        message = f"No type is known for {expression}: sort by type_coerce(..., the type) of it."
        raise ConfigurationError(message)
    return expression


def _beyond(key: SortKey) -> operators.OperatorType:
    return operators.lt if key.descending else operators.gt


def _at_or_beyond(key: SortKey) -> operators.OperatorType:
    return operators.le if key.descending else operators.ge


def _row(values: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return values[0] if len(values) == 1 else tuple_(*values)


def _compared(
    left: ColumnElement[Any], right: ColumnElement[Any], operator: operators.OperatorType
) -> ColumnElement[bool]:
    # Not by Python's operators: a type may give them another meaning than ORDER BY has.
    return BinaryExpression(left, right, operator, type_=Boolean())


class _Stored(ColumnElement[Any]):
    """A value as the database has it."""

    __visit_name__ = "stored_value"
    _traverse_internals = [("element", InternalTraversal.dp_clauseelement)]  # noqa: RUF012 -- SQLAlchemy's way
    inherit_cache = True
    type: TypeEngine[Any] = NULLTYPE

    def __init__(self, element: ColumnElement[Any]) -> None:
        self.element = element

    @property
    def _from_objects(self) -> Any:
        return cast("Any", self.element)._from_objects  # noqa: SLF001 -- how SQLAlchemy nests elements


@compiles(_Stored)
def _compile_text(element: _Stored, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(sql_cast(element.element, Text()), **options)


@compiles(_Stored, "sqlite")
def _compile_raw(element: _Stored, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(type_coerce(element.element, NULLTYPE), **options)


class _Bound(ColumnElement[Any]):
    """A value of a position, as a parameter of the type that its key has."""

    __visit_name__ = "bound_value"
    _traverse_internals = [  # noqa: RUF012 -- SQLAlchemy's way
        ("parameter", InternalTraversal.dp_clauseelement),
        ("type", InternalTraversal.dp_type),
    ]
    inherit_cache = True

    def __init__(self, key: SortKey, value: Value) -> None:
        self.parameter: BindParameter[Any] = bindparam(None, value, NULLTYPE, unique=True)
        self.type = key.expression.type


@compiles(_Bound)
def _compile_typed(element: _Bound, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(sql_cast(sql_cast(element.parameter, Text()), element.type), **options)


@compiles(_Bound, "sqlite")
def _compile_untyped(element: _Bound, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.parameter, **options)
