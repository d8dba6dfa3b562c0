"""What a list may be sorted by: the names that clients may use, and what each means in SQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql import operators

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.query.operators import Attribute

SortColumn = QueryableAttribute[Any] | UnaryExpression[Any]
"""A column to sort by, or its `.nulls_first()` or `.nulls_last()`."""
SortColumns = Sequence[SortColumn] | Mapping[str, SortColumn]
"""Columns to sort by, under their own names or others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SortOption:
    """One thing to sort by: its column, and where rows go that have no value."""

    column: Attribute
    nulls_first: bool

    def clause(self, *, descending: bool) -> ColumnElement[Any]:
        """Return the order.

        Where NULL goes is said only if the column may be NULL: it goes last, unless the class says
        otherwise. An index could not serve an order that it has no such clause for.
        """
        order = self.column.desc() if descending else self.column.asc()
        if not getattr(self.column.expression, "nullable", True):
            return order
        return order.nulls_first() if self.nulls_first else order.nulls_last()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sorting:
    """All that a list may be sorted by, and how it is sorted if nobody says."""

    options: Mapping[str, SortOption]
    clauses: Mapping[str, ColumnElement[Any]]
    default: tuple[str, ...]

    def order_by(self, names: Iterable[str]) -> tuple[ColumnElement[Any], ...]:
        """Return the order that the names say, `-` meaning from the last to the first."""
        return tuple(self.clauses[name] for name in names)

    def attributes(self, names: Iterable[str]) -> set[str]:
        """Return the attributes that the names sort by."""
        return {self.options[name.removeprefix("-")].column.key for name in names}


def sort_option(declared: SortColumn) -> SortOption:
    """Return what to sort by, as a class declares it.

    Raises:
        ConfigurationError: If it is neither a column nor says where NULL goes.
    """
    if isinstance(declared, QueryableAttribute):
        return SortOption(column=declared, nulls_first=False)
    if not isinstance(declared, UnaryExpression):  # pyright: ignore[reportUnnecessaryIsInstance] -- whatever types say
        raise ConfigurationError(f"sort takes columns, such as Order.number, and not {declared!r}.")
    modifier = declared.modifier
    element: Any = declared.element
    is_directed = isinstance(element, UnaryExpression)
    if is_directed or modifier not in {operators.nulls_first_op, operators.nulls_last_op}:
        raise ConfigurationError("the client says in which direction: leave asc() and desc() out.")
    # An expression knows the entity and the attribute that it was made of.
    entity = element._annotations.get("parententity")  # noqa: SLF001
    key = element._annotations.get("proxy_key")  # noqa: SLF001
    return SortOption(
        column=getattr(entity.class_, key), nulls_first=modifier is operators.nulls_first_op
    )


def sorting_of(options: Mapping[str, SortOption], default: str | Sequence[str]) -> Sorting:
    """Return what a list may be sorted by.

    Raises:
        ConfigurationError: If the default has a name that is not among the options.
    """
    names = tuple(default.split(",") if isinstance(default, str) else default) if default else ()
    clauses = {
        f"{sign}{name}": option.clause(descending=bool(sign))
        for name, option in options.items()
        for sign in ("", "-")
    }
    unknown = [name for name in names if name not in clauses]
    if unknown:
        raise ConfigurationError(f"default_sort has {unknown[0]!r}, which sort does not have.")
    return Sorting(options=options, clauses=clauses, default=names)
