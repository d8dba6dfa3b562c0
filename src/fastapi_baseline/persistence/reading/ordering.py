"""Orders that are total, so that no row is lost or repeated between two pages of a list.

NULL sorts differently by default in PostgreSQL and SQLite, so it is always said where it goes: to
the end in both directions, unless an order says otherwise. The primary key is the tie-break.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, Self, TypeVar, cast

from sqlalchemy import Column, ColumnElement, Index, Label, Select, UnaryExpression
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Bundle, Mapper, QueryableAttribute
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import OrderByList
from sqlalchemy.sql.visitors import InternalTraversal

from fastapi_baseline.persistence.shape import Shape, shape_of

Order = ColumnElement[Any] | QueryableAttribute[Any]
"""What can be sorted by: an attribute or an expression, or its `.desc()`, `.nulls_first()`, ..."""

SelectT = TypeVar("SelectT", bound=Select[Any])

_Part = tuple[ColumnElement[Any], bool, bool]
"""An expression, whether it descends, and whether NULL comes first."""

# How many orders are remembered; a service has so many lists, and not one for each request.
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SortKey:
    """One of the things that rows are sorted by."""

    expression: ColumnElement[Any]
    descending: bool
    nulls_first: bool
    is_nullable: bool

    def reversed(self) -> Self:
        """Return the key that sorts the other way round."""
        return replace(self, descending=not self.descending, nulls_first=not self.nulls_first)

    def clause(self) -> ColumnElement[Any]:
        """Return the key as an ORDER BY takes it.

        A key that is never NULL gets no NULLS clause: an index that has none would not fit it.
        """
        sorted_ = self.expression.desc() if self.descending else self.expression
        if not self.is_nullable:
            return sorted_
        return sorted_.nulls_first() if self.nulls_first else sorted_.nulls_last()


def sort_keys(order_by: Order | Iterable[Order], shape: Shape) -> tuple[SortKey, ...]:
    """Return the keys of an order, and those of the primary key that it lacks.

    The tie-break goes the way that the last key goes, so that one index serves them all.

    Raises:
        TypeError: If something in it is no expression, such as the name of a column.
    """
    parts = tuple(part for order in _orders(order_by) for part in _taken_apart(order))
    # Columns are few and asked for again and again; other expressions are made anew each time.
    is_plain = all(isinstance(expression, Column) for expression, _, _ in parts)
    make = _keys_of_columns if is_plain else _keys_of
    return make(shape.mapper.class_, parts)


def order_clauses(keys: Iterable[SortKey]) -> list[ColumnElement[Any]]:
    """Return what an ORDER BY takes."""
    return [key.clause() for key in keys]


def ordered(
    statement: SelectT, order_by: Order | Iterable[Order], shape: Shape
) -> tuple[SelectT, tuple[SortKey, ...]]:
    """Return a statement in a total order, and the keys of it.

    What is asked for replaces an order that the statement has; else that one is kept.
    """
    own: Sequence[ColumnElement[Any]] = statement._order_by_clauses  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- there is no other way to read it
    keys = sort_keys(_orders(order_by) or own, shape)
    unsorted = statement.order_by(None) if own else statement
    return unsorted.order_by(*_clauses(keys)), keys


def order_index(
    model: type[Any], *order_by: Order, name: str | None = None, **options: Any
) -> Index:
    """Return an index that serves lists of the model in an order, forwards and backwards.

    It is called after the class: `order_index(Post, Post.pinned, Post.created_at.desc())`; the
    primary key is added as lists add it. `options` are those of `sqlalchemy.Index`.
    """
    keys = sort_keys(order_by, shape_of(model))
    return Index(name, *[_indexed(key) for key in keys], **options)


class _Nulls(ColumnElement[Any]):
    """Where NULL goes in an index; SQLite has no such clause, and reads any index both ways."""

    __visit_name__ = "index_nulls"
    _traverse_internals = [("element", InternalTraversal.dp_clauseelement)]  # noqa: RUF012 -- SQLAlchemy's way
    inherit_cache = True

    def __init__(self, element: ColumnElement[Any], *, first: bool) -> None:
        self.element = element
        self.type = element.type
        self.first = first


@compiles(_Nulls)
def _compile_nulls(element: _Nulls, compiler: SQLCompiler, **options: Any) -> str:
    clause = "NULLS FIRST" if element.first else "NULLS LAST"
    return f"{compiler.process(element.element, **options)} {clause}"


@compiles(_Nulls, "sqlite")
def _compile_no_nulls(element: _Nulls, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.element, **options)


def _indexed(key: SortKey) -> ColumnElement[Any]:
    sorted_ = key.expression.desc() if key.descending else key.expression
    return _Nulls(sorted_, first=key.nulls_first) if key.is_nullable else sorted_


def _orders(order_by: Order | Iterable[Order]) -> tuple[Order, ...]:
    # The direction of a composite attribute is no expression, whatever its type says.
    if isinstance(order_by, (ColumnElement, QueryableAttribute, OrderByList)):
        return (cast("Order", order_by),)
    if isinstance(order_by, str):
        raise TypeError(f"Order by columns, such as Order.created_at.desc(), not by {order_by!r}.")
    return tuple(order_by)


def _taken_apart(order: Order) -> Iterable[_Part]:
    """Take an order apart; of modifiers that contradict each other, the outermost counts."""
    whole: Any = order.__clause_element__() if isinstance(order, QueryableAttribute) else order
    if isinstance(whole, (Bundle, OrderByList)):
        # A composite attribute, as it is or with a direction.
        for clause in cast("Sequence[ColumnElement[Any]]", cast("Any", whole).clauses):
            yield from _taken_apart(clause)
        return
    element = _element(whole)
    descending: bool | None = None
    nulls_first: bool | None = None
    while isinstance(element, UnaryExpression) and element.modifier in _MODIFIERS:
        sense, value = _MODIFIERS[element.modifier]
        if sense == "direction" and descending is None:
            descending = value
        if sense == "nulls" and nulls_first is None:
            nulls_first = value
        element = _element(element.element)
    yield element, descending or False, nulls_first or False


def _keys_of(model: type[Any], parts: tuple[_Part, ...]) -> tuple[SortKey, ...]:
    required = _required_columns(shape_of(model).mapper)
    keys: dict[ColumnElement[Any], SortKey] = {}
    for expression, descending, nulls_first in parts:
        if expression not in keys:
            key = _key(expression, required, descending=descending, nulls_first=nulls_first)
            keys[expression] = key
    direction = next(reversed(keys.values())).descending if keys else False
    ties = _tie_break(model, direction)
    return (*keys.values(), *(key for key in ties if key.expression not in keys))


@lru_cache(maxsize=_REMEMBERED)
def _clauses(keys: tuple[SortKey, ...]) -> list[ColumnElement[Any]]:
    return order_clauses(keys)


_keys_of_columns = lru_cache(maxsize=_REMEMBERED)(_keys_of)


def _key(
    expression: ColumnElement[Any],
    required: frozenset[ColumnElement[Any]],
    *,
    descending: bool,
    nulls_first: bool = False,
) -> SortKey:
    # What is not a column of the model itself may come from an outer join.
    is_nullable = not (isinstance(expression, Column) and expression in required)
    return SortKey(
        expression=expression,
        descending=descending,
        nulls_first=nulls_first,
        is_nullable=is_nullable,
    )


_MODIFIERS: dict[Any, tuple[str, bool]] = {
    operators.asc_op: ("direction", False),
    operators.desc_op: ("direction", True),
    operators.nulls_first_op: ("nulls", True),
    operators.nulls_last_op: ("nulls", False),
}


def _element(order: Any) -> ColumnElement[Any]:
    """Return an expression without its name: names of columns mean nothing in a WHERE."""
    element: Any = order
    # What an ORDER BY has stored refers to a label by way of a wrapper.
    while isinstance(element, Label) or getattr(element, "__visit_name__", "") == _REFERENCE:
        element = cast("Any", element).element
    if not isinstance(element, ColumnElement):
        raise TypeError(f"{order!r} is no expression to sort by: name an attribute of a model.")
    return cast("ColumnElement[Any]", element)


_REFERENCE = "label_reference"


@cache
def _tie_break(model: type[Any], descending: bool) -> tuple[SortKey, ...]:  # noqa: FBT001 -- a key of the cache
    shape = shape_of(model)
    required = _required_columns(shape.mapper)
    return tuple(
        _key(key.__clause_element__(), required, descending=descending) for key in shape.key
    )


@cache
def _required_columns(mapper: Mapper[Any]) -> frozenset[ColumnElement[Any]]:
    return frozenset(
        column
        for table in mapper.tables
        for column in cast("Iterable[Column[Any]]", table.columns)
        if not column.nullable
    )
