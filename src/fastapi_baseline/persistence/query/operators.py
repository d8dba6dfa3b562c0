"""What a client may ask of a column: one of several values, a range, a text, or none at all.

The fields of a `ListQuery` have these types. How each is written in a URL:

    status: In[Status] | None              ?status=open&status=paid
    created_at: Range[datetime] | None     ?created_at[gte]=...&created_at[lt]=...
    number: Text | None                    ?number[contains]=... [startswith] [eq] [ne]
    shipped_at: IsNull | None              ?shipped_at[is_null]=true
    paid: bool | None                      ?paid=true
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import Enum
from sqlalchemy.orm import QueryableAttribute, RelationshipProperty

from fastapi_baseline.persistence.specification import Condition

ValueT = TypeVar("ValueT")

Attribute = QueryableAttribute[Any]

_ESCAPE = "/"


class Operator:
    """What a field of a query asks of its column; the values are bound, never written out."""

    __slots__ = ()

    parts: ClassVar[tuple[str, ...]] = ()
    """The names in brackets, in a URL; none means that the parameter has the field's own name."""

    def conditions(self, column: Attribute) -> list[Condition]:
        """Return what a row must meet, all of it; nothing, if nothing is asked."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # The values were validated as parameters before the operator was made of them.
        del source, handler
        return core_schema.is_instance_schema(cls)


# Without slots, with which `In[int]([1])` fails: the class is made twice (Python 3.11 to 3.13).
@dataclass(frozen=True, init=False)
class In(Operator, Generic[ValueT]):
    """The column has one of the values: `In([Status.OPEN, Status.PAID])`."""

    values: tuple[ValueT, ...]

    def __init__(self, values: Iterable[ValueT]) -> None:
        object.__setattr__(self, "values", tuple(dict.fromkeys(values)))

    def conditions(self, column: Attribute) -> list[Condition]:
        """Return that the column has one of the values; of no values, none."""
        return [column.in_([_bound(column, value) for value in self.values])]


@dataclass(frozen=True, kw_only=True)
class Range(Operator, Generic[ValueT]):
    """The column is in a range; a row without a value is in none."""

    parts: ClassVar[tuple[str, ...]] = ("gt", "gte", "lt", "lte")

    gt: ValueT | None = None
    gte: ValueT | None = None
    lt: ValueT | None = None
    lte: ValueT | None = None

    def conditions(self, column: Attribute) -> list[Condition]:
        """Return one condition for each bound that is given."""
        conditions: list[Condition] = []
        if self.gt is not None:
            conditions.append(column > _bound(column, self.gt))
        if self.gte is not None:
            conditions.append(column >= _bound(column, self.gte))
        if self.lt is not None:
            conditions.append(column < _bound(column, self.lt))
        if self.lte is not None:
            conditions.append(column <= _bound(column, self.lte))
        return conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Operator):
    """The column is a text, or contains or begins with one.

    `eq` and `ne` are exact, and a row without a text is `ne` to every text. `contains` and
    `startswith` take `%` and `_` as they are and ignore case: that of all letters in PostgreSQL,
    where a trigram index serves both, and that of ASCII letters in SQLite.
    """

    parts: ClassVar[tuple[str, ...]] = ("eq", "ne", "contains", "startswith")

    eq: str | None = None
    ne: str | None = None
    contains: str | None = None
    startswith: str | None = None

    def conditions(self, column: Attribute) -> list[Condition]:
        """Return one condition for each text that is given."""
        conditions: list[Condition] = []
        if self.eq is not None:
            conditions.append(column == self.eq)
        if self.ne is not None:
            conditions.append(column.is_distinct_from(self.ne))
        if self.contains is not None:
            conditions.append(contains(column, self.contains))
        if self.startswith is not None:
            pattern = f"{_escaped(self.startswith)}%"
            conditions.append(column.ilike(pattern, escape=_ESCAPE))
        return conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull(Operator):
    """The column has no value, or, with `is_null=False`, has one."""

    parts: ClassVar[tuple[str, ...]] = ("is_null",)

    is_null: bool = True

    def conditions(self, column: Attribute) -> list[Condition]:
        """Return whether the column has a value."""
        return [column.is_(None) if self.is_null else column.is_not(None)]


@dataclass(frozen=True)
class Equal(Operator, Generic[ValueT]):
    """The column has the value: what a field such as `paid: bool | None` asks."""

    value: ValueT

    def conditions(self, column: Attribute) -> list[Condition]:
        """Return that the column has the value."""
        return [column == _bound(column, self.value)]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The column that a field is about, and the relationships on the way to it."""

    column: Attribute
    path: tuple[Attribute, ...] = ()

    def reached(self, conditions: Iterable[Condition]) -> Condition | None:
        """Return the conditions on the column as one on the model, or `None` if there are none.

        Over relationships it says that there is a related row that meets them all, by `EXISTS`.
        """
        joined = _and(conditions)
        if joined is None:
            return None
        for relationship in reversed(self.path):
            exists = relationship.any if _is_to_many(relationship) else relationship.has
            joined = exists(joined)
        return joined

    @classmethod
    def of(cls, *path: Attribute) -> Self:
        """Return the target at the end of a path."""
        return cls(path[-1], path[:-1])


@dataclass(frozen=True, slots=True)
class Parameter:
    """Marks a field that is no filter; see `parameter`."""


def on(column: Attribute) -> Target:
    """Say which column a field is about that is not called like it.

    `placed: Annotated[Range[datetime] | None, on(Order.placed_at)] = None`.
    """
    return Target(column)


def via(first: Attribute, *others: Attribute) -> Target:
    """Say that a field is about a related row: relationships, and at last a column.

    `customer: Annotated[In[str] | None, via(Order.customer, Customer.name)] = None` finds orders
    that have a customer with one of the names. It is an `EXISTS`, so no row comes twice.
    """
    return Target.of(first, *others)


def parameter() -> Parameter:
    """Say that a field is no filter: what it means is up to the class, and its `spec()`.

    `mine: Annotated[bool, parameter()] = False`. An endpoint has one model for all parameters of
    its query, since unknown ones are refused.
    """
    return Parameter()


def contains(column: Attribute, text: str) -> Condition:
    """Return whether a column contains a text, in any case, wildcards being taken as they are."""
    return column.ilike(f"%{_escaped(text)}%", escape=_ESCAPE)


def _escaped(text: str) -> str:
    for character in (_ESCAPE, "%", "_"):
        text = text.replace(character, _ESCAPE + character)
    return text


def _bound(column: Attribute, value: Any) -> Any:
    """Return what a driver takes: an enumeration only where the column has one."""
    if isinstance(value, enum.Enum) and not isinstance(column.type, Enum):
        return value.value
    return value


def _and(conditions: Iterable[Condition]) -> Condition | None:
    joined: Condition | None = None
    for condition in conditions:
        joined = condition if joined is None else joined & condition
    return joined


def _is_to_many(relationship: Attribute) -> bool:
    # Not before it is asked: reading the property configures the mappers of all models.
    found = relationship.property
    return isinstance(found, RelationshipProperty) and bool(found.uselist)
