"""How many there are of what a page shows a part of: counted, counted up to a cap, or estimated.

It is never counted beside the rows, `count(*) OVER ()`: that reads them all to show a few, and
counts none on a page beyond the last one.
"""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from sqlalchemy import ColumnElement, Executable, Select, func, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from fastapi_baseline.persistence.paging.pages import TotalIs
from fastapi_baseline.persistence.reading.selection import Listing, counted
from fastapi_baseline.persistence.shape import Shape

# What comes back is a plan, and no type is to convert it.
_UNTYPED: ColumnElement[Any] = literal_column("1")

DEFAULT_CAP = 10_000
"""Up to how many a capped total counts."""


@dataclass(frozen=True, slots=True)
class Total:
    """How the total of a page comes about.

    Where a page tells by itself, being the last one, nothing is asked:

    - `Total.EXACT` counts: that takes as long as there are rows.
    - `Total.capped(10_000)` counts so far at most, and then says `at_least`.
    - `Total.ESTIMATED` is the guess of PostgreSQL's planner, as good as its statistics are. SQLite
      makes none, so there it is capped.
    - `Total.NONE` is unknown.
    """

    method: Literal["exact", "capped", "estimated", "none"]
    cap: int = DEFAULT_CAP

    EXACT: ClassVar["Total"]
    ESTIMATED: ClassVar["Total"]
    NONE: ClassVar["Total"]

    @classmethod
    def capped(cls, cap: int = DEFAULT_CAP) -> Self:
        """Return one that counts up to `cap`."""
        if cap < 1:
            raise ValueError("A total is capped at 1 or more.")
        return cls("capped", cap)


Total.EXACT = Total("exact")
Total.ESTIMATED = Total("estimated")
Total.NONE = Total("none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A number of rows, and how far it can be relied on."""

    total: int | None
    total_is: TotalIs


async def tally(listing: Listing[Any], shape: Shape, *, total: Total, seen: int) -> Tally:
    """Return how many rows there are to list, of which `seen` are known to be there.

    It takes one statement, or none if nobody wants to know.
    """
    match total.method:
        case "none":
            return Tally(total=None, total_is="unknown")
        case "exact":
            count = await _answer(listing, counted(listing.matching, shape))
            return Tally(total=count, total_is="exact")
        case "capped":
            count = await _answer(listing, _capped(listing.matching, shape, total.cap))
            return _up_to(total.cap, count, seen)
        case _:
            answer = await _answer(listing, _Estimate(listing.matching, shape, total.cap))
            if isinstance(answer, int):
                return _up_to(total.cap, answer, seen)
            return Tally(total=max(_planned_rows(answer), seen), total_is="estimated")


async def _answer(listing: Listing[Any], statement: Any) -> Any:
    return await listing.session.scalar(statement, execution_options=listing.options)


def _up_to(cap: int, count: int, seen: int) -> Tally:
    if count <= cap:
        return Tally(total=count, total_is="exact")
    return Tally(total=max(cap, seen), total_is="at_least")


def _keys(matching: Select[Any], shape: Shape) -> Select[*tuple[Any, ...]]:
    return matching.order_by(None).with_only_columns(*shape.key, maintain_column_froms=True)


def _capped(matching: Select[Any], shape: Shape, cap: int) -> Select[int]:
    return select(func.count()).select_from(_keys(matching, shape).limit(cap + 1).subquery())


def _planned_rows(plan: Any) -> int:
    # One driver parses the plan, the other does not.
    parsed: Any = json.loads(plan) if isinstance(plan, str) else plan
    return int(parsed[0]["Plan"]["Plan Rows"])


class _Estimate(Executable, ClauseElement):
    """How many rows a database expects: a plan, or a capped count where it makes no guesses."""

    __visit_name__ = "estimate"
    _traverse_internals = [  # noqa: RUF012 -- SQLAlchemy's way
        ("planned", InternalTraversal.dp_clauseelement),
        ("capped", InternalTraversal.dp_clauseelement),
    ]
    inherit_cache = True

    def __init__(self, matching: Select[Any], shape: Shape, cap: int) -> None:
        rows = _keys(matching, shape).subquery()
        self.planned = select(_UNTYPED).select_from(rows)
        self.capped: Select[int] = _capped(matching, shape, cap)

    @property
    def _all_selected_columns(self) -> Sequence[Any]:
        # What is found in the cache is adapted to the columns of the statement, if it has any.
        return ()

    def options(self, *options: Any) -> Any:
        """Return it with loader options, such as those that hide what is softly deleted."""
        changed = copy(self)
        changed.planned = self.planned.options(*options)
        changed.capped = self.capped.options(*options)
        return changed


@compiles(_Estimate)
def _compile_capped(element: _Estimate, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.capped, **options)


@compiles(_Estimate, "postgresql")
def _compile_plan(element: _Estimate, compiler: SQLCompiler, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.planned, **options)}"
