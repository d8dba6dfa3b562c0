"""What is selected: the one place that makes a statement of conditions, an order and a schema.

A mixin that lists derives from `Selecting` and asks for a `Listing`:

    listing = self._listing(where, order_by=..., statement=..., load=..., as_=...)
    with self._translated():
        items = await listing.items(limit=limit, offset=offset)

`counted(listing.matching, self._shape)` is the statement that counts what there is. For a keyset
there are the rows, with the values that they are sorted by beside, and the items of these rows:

    matching = listing.matching.order_by(None).where(...)
    statement = listing.reader.columns(matching, *(...)).order_by(*clauses).limit(limit)
    rows = await listing.rows(statement)
    items = await listing.items_of(rows)
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar, cast, overload

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.base import ExecutableOption

from fastapi_baseline.persistence.errors import ReadOnlyTransactionError
from fastapi_baseline.persistence.loading import Load, plan_of
from fastapi_baseline.persistence.models import INCLUDE_DELETED
from fastapi_baseline.persistence.query.criteria import Criteria, CursorQuery, ListQuery
from fastapi_baseline.persistence.reading.locking import Lock, locked
from fastapi_baseline.persistence.reading.ordering import Order, SortKey, ordered, sort_keys
from fastapi_baseline.persistence.reading.readers import AnyRow, Reader, SchemaT, reader_of
from fastapi_baseline.persistence.scope import ModelT, Scoped, Where
from fastapi_baseline.persistence.sessions.session import ReadSession
from fastapi_baseline.persistence.shape import Shape
from fastapi_baseline.persistence.translation import READ_ONLY

ItemT = TypeVar("ItemT")

_ONE: ColumnElement[int] = literal_column("1")

OrderBy = Order | Sequence[Order]
"""What to sort by, the most important first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[ItemT]):
    """Rows that are listed, and what is made of them."""

    session: ReadSession
    matching: Select[Any]
    """All of them, before anything is said of order and columns."""
    statement: Select[Any]
    """All of them, in a total order, with what the reader needs."""
    keys: tuple[SortKey, ...]
    """What they are sorted by; the last of it is the primary key."""
    reader: Reader[ItemT]
    options: Mapping[str, Any]

    async def items(self, *, limit: int | None = None, offset: int = 0) -> Sequence[ItemT]:
        """Return so many items, in order."""
        statement = self.statement if limit is None else self.statement.limit(limit)
        statement = statement.offset(offset) if offset else statement
        return await self.reader.read(self.session, statement, self.options)

    async def batches(self, size: int) -> AsyncGenerator[Sequence[ItemT]]:
        """Yield the items in order, so many at a time, as the database sends them."""
        options = {**self.options, "yield_per": size}
        result = await self.session.stream(self.statement, execution_options=options)
        session = cast("AsyncSession", self.session).sync_session
        transaction = session.get_transaction()
        try:
            async for rows in result.partitions(size):
                yield await self.reader.items(self.session, rows, self.options)
        finally:
            # A loop that is left ends when the garbage is collected: by then the connection may
            # be another's, in whose transaction there is no such cursor.
            if session.get_transaction() is transaction:
                await result.close()

    async def rows(self, statement: Select[Any]) -> Sequence[AnyRow]:
        """Return the rows of a statement that the reader has given its columns."""
        return await self.reader.rows(self.session, statement, self.options)

    async def items_of(self, rows: Sequence[AnyRow]) -> Sequence[ItemT]:
        """Return the items of rows, in their order."""
        return await self.reader.items(self.session, rows, self.options)


class Selecting(Scoped[ModelT]):
    """A scope that makes statements of what is asked for."""

    def _matching(
        self, where: Iterable[Where[ModelT]], statement: Select[Any] | None = None
    ) -> Select[Any]:
        """Return the statement, or `select()`, narrowed to what the asker wants and may see."""
        conditions = self._conditions(where)
        started = self._start(statement)
        return started.where(*conditions) if conditions else started

    def _existing(self, where: Iterable[Where[ModelT]]) -> Select[bool]:
        """Return the statement that tells whether anything matches; no column is read for it."""
        if self._narrows:
            rows = self._matching(where).order_by(None)
            rows = rows.with_only_columns(_ONE, maintain_column_froms=True)
        else:
            rows = self._matching(where, _ones(self.model))
        return select(rows.exists())

    def _counted(self, where: Iterable[Where[ModelT]]) -> Select[int]:
        """Return the statement that counts what matches."""
        if self._narrows:
            return counted(self._matching(where), self._shape)
        return self._matching(where, _count(self.model))

    @overload
    def _listing(
        self,
        where: Sequence[Where[ModelT]],
        *,
        as_: None,
        order_by: OrderBy = (),
        load: Load | None = None,
        lock: Lock | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Listing[ModelT]: ...
    @overload
    def _listing(
        self,
        where: Sequence[Where[ModelT]],
        *,
        as_: type[SchemaT],
        order_by: OrderBy = (),
        load: Load | None = None,
        lock: Lock | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Listing[SchemaT]: ...
    @overload
    def _listing(
        self,
        where: Sequence[Where[ModelT]],
        *,
        as_: type[BaseModel] | None,
        order_by: OrderBy = (),
        load: Load | None = None,
        lock: Lock | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Listing[Any]: ...
    def _listing(
        self,
        where: Sequence[Where[ModelT]],
        *,
        as_: type[BaseModel] | None,
        order_by: OrderBy = (),
        load: Load | None = None,
        lock: Lock | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Listing[Any]:
        """Return what is listed: schemas, if `as_` is one, or entities.

        Raises:
            HiddenColumnError: If a policy hides what is asked for, or what it is asked for by.
            TypeError: If an order is given beside criteria that have one.
        """
        matching = self._matching(where, statement)
        order_by = order_of(where, order_by)
        in_order, keys = ordered(matching, order_by, self._shape)
        is_whole = as_ is None or load is not None
        reader = reader_of(self.model, as_, self._plan(load) if is_whole else ())
        if self._policy is not None:
            self._policy.check_reach(_sorted_by(order_by, self._shape), doing="sorted")
            self._policy.check_reach(reader.shown, doing="shown")
        selected = reader.columns(in_order)
        return Listing(
            session=self.session,
            matching=matching,
            statement=selected if lock is None else self._locked(selected, lock),
            keys=keys,
            reader=reader,
            options={INCLUDE_DELETED: True} if self._includes_deleted else {},
        )

    def _plan(self, load: Load | None) -> tuple[ExecutableOption, ...]:
        """Return what entities are loaded with, and without."""
        return (*plan_of(load, self.loads, type(self)), *self._hidden())

    def _locked(self, statement: Select[Any], lock: Lock) -> Select[Any]:
        if self.session.info.get(READ_ONLY):
            raise ReadOnlyTransactionError
        return locked(statement, self.model, lock)


def criteria_in(where: Iterable[Where[Any]]) -> Criteria[Any] | None:
    """Return the criteria that are among conditions.

    Raises:
        TypeError: If there are two: which of them sorts would be anybody's guess.
    """
    found = [condition for condition in where if isinstance(condition, Criteria)]
    if len(found) > 1:
        raise TypeError(
            f"Pass one query at most, and not {len(found)}; its .spec() is a condition."
        )
    return found[0] if found else None


def order_of(where: Iterable[Where[Any]], order_by: OrderBy) -> OrderBy:
    """Return the order that is asked for, by criteria or by itself.

    Raises:
        TypeError: If it is asked for by both.
    """
    criteria = criteria_in(where)
    asked = () if criteria is None else criteria.order_by()
    if not asked:
        return order_by
    if isinstance(order_by, ColumnElement | QueryableAttribute) or order_by:
        raise TypeError(f"{type(criteria).__name__} says how to sort: leave order_by out.")
    return asked


def paged(where: Iterable[Where[Any]], *, limit: int | None, offset: int) -> tuple[int | None, int]:
    """Return how many items to list, and how many to pass over before: a `ListQuery` says it.

    Raises:
        TypeError: If it is said twice, or the query is one that goes by cursors.
    """
    criteria = criteria_in(where)
    if isinstance(criteria, CursorQuery):
        raise TypeError(f"{type(criteria).__name__} is a CursorQuery: pass it to scroll().")
    if not isinstance(criteria, ListQuery):
        return limit, offset
    if limit is not None or offset:
        raise TypeError(f"{type(criteria).__name__} says how many: leave limit and offset out.")
    return criteria.limit, criteria.offset


def counted(matching: Select[Any], shape: Shape) -> Select[int]:
    """Return the statement that counts the rows of another."""
    rows = matching.order_by(None)
    if _is_plain(rows):
        return rows.with_only_columns(func.count(), maintain_column_froms=True)
    keys = rows.with_only_columns(*shape.key, maintain_column_froms=True)
    return select(func.count()).select_from(keys.subquery())


# Made once: most of what it takes to ask is to build the question.
@cache
def _ones(model: type[Any]) -> Select[int]:
    return select(_ONE).select_from(model)


@cache
def _count(model: type[Any]) -> Select[int]:
    return select(func.count()).select_from(model)


def _is_plain(rows: Select[Any]) -> bool:
    """Return whether a statement has as many rows as its FROM and WHERE say."""
    parts = (rows._distinct, rows._group_by_clauses, rows._having_criteria)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- there is no other way to ask
    return not any(parts) and not rows._has_row_limiting_clause  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- likewise


def _sorted_by(order_by: OrderBy, shape: Shape) -> list[ColumnElement[Any]]:
    """Return what is asked to sort by, composite attributes taken apart; the tie-break is ours."""
    keys = (key.expression for key in sort_keys(order_by, shape))
    return [key for key in keys if key not in shape.mapper.primary_key]
