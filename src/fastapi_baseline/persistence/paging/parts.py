"""Reading a list in parts."""

from collections.abc import Sequence
from typing import Any, overload

from pydantic import BaseModel
from sqlalchemy import Select

from fastapi_baseline.persistence.loading import Load
from fastapi_baseline.persistence.paging.cursor import Cursor, CursorSeal, cursor_seal
from fastapi_baseline.persistence.paging.keyset import beyond, position_columns
from fastapi_baseline.persistence.paging.pages import CursorPage, Page, Slice
from fastapi_baseline.persistence.paging.totals import Total, tally
from fastapi_baseline.persistence.query.criteria import DEFAULT_LIMIT, CursorQuery, ListQuery
from fastapi_baseline.persistence.reading.ordering import order_clauses
from fastapi_baseline.persistence.reading.readers import SchemaT
from fastapi_baseline.persistence.reading.selection import Listing, OrderBy, Selecting, criteria_in
from fastapi_baseline.persistence.scope import ModelT, Where

_START = Cursor(position=None, backwards=False)
_END = Cursor(position=None, backwards=True)


class Paging(Selecting[ModelT]):
    """Reads lists in parts, in a stable order: the primary key comes last.

    `limit` is 20 if nobody says. A `ListQuery` or `CursorQuery` among the conditions says how to
    sort, how many to read and where to begin; what it says is not said again.
    """

    @overload
    async def page(
        self,
        *where: Where[ModelT],
        as_: None = None,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int | None = None,
        total: Total = Total.EXACT,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Page[ModelT]: ...
    @overload
    async def page(
        self,
        *where: Where[ModelT],
        as_: type[SchemaT],
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int | None = None,
        total: Total = Total.EXACT,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Page[SchemaT]: ...
    async def page(
        self,
        *where: Where[ModelT],
        as_: type[BaseModel] | None = None,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int | None = None,
        total: Total = Total.EXACT,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Page[Any]:
        """Return a page of what meets all conditions, and how many do.

        They are counted with a second statement, and only if the page does not tell.
        """
        limit, offset = _window(where, limit, offset)
        listing = self._listing(where, as_=as_, order_by=order_by, load=load, statement=statement)
        with self._translated():
            items = await listing.items(limit=limit, offset=offset)
            seen = offset + len(items) if items else 0
            is_told = len(items) < limit and (seen > 0 or offset == 0)
            if is_told and total != Total.NONE:
                return Page(items=[*items], total=seen, limit=limit, offset=offset)
            found = await tally(listing, self._shape, total=total, seen=seen)
        return Page(
            items=[*items],
            total=found.total,
            total_is=found.total_is,
            limit=limit,
            offset=offset,
        )

    @overload
    async def slice(
        self,
        *where: Where[ModelT],
        as_: None = None,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int | None = None,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Slice[ModelT]: ...
    @overload
    async def slice(
        self,
        *where: Where[ModelT],
        as_: type[SchemaT],
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int | None = None,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Slice[SchemaT]: ...
    async def slice(
        self,
        *where: Where[ModelT],
        as_: type[BaseModel] | None = None,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int | None = None,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Slice[Any]:
        """Return a part of what meets all conditions, and whether there is more; none is counted."""
        limit, offset = _window(where, limit, offset)
        listing = self._listing(where, as_=as_, order_by=order_by, load=load, statement=statement)
        with self._translated():
            items = await listing.items(limit=limit + 1, offset=offset)
        has_next = len(items) > limit
        return Slice(items=[*items[:limit]], limit=limit, offset=offset, has_next=has_next)

    @overload
    async def scroll(
        self,
        *where: Where[ModelT],
        as_: None = None,
        order_by: OrderBy = (),
        limit: int | None = None,
        cursor: str | None = None,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> CursorPage[ModelT]: ...
    @overload
    async def scroll(
        self,
        *where: Where[ModelT],
        as_: type[SchemaT],
        order_by: OrderBy = (),
        limit: int | None = None,
        cursor: str | None = None,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> CursorPage[SchemaT]: ...
    async def scroll(
        self,
        *where: Where[ModelT],
        as_: type[BaseModel] | None = None,
        order_by: OrderBy = (),
        limit: int | None = None,
        cursor: str | None = None,
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
    ) -> CursorPage[Any]:
        """Return the page of what meets all conditions that begins, or ends, at a cursor.

        A cursor is good for the order, the query and the scope that it was made for; conditions
        that the service adds are not part of it.

        Raises:
            InvalidCursorError: If the cursor is damaged, or was made for another list.
            ConfigurationError: If the session has no key to sign cursors with.
        """
        limit, cursor = _reach(where, limit, cursor)
        listing = self._listing(where, as_=as_, order_by=order_by, load=load, statement=statement)
        criteria = criteria_in(where)
        filters = [] if criteria is None else [criteria.signature()]
        seal = cursor_seal(self.session.info, listing.keys, filters=filters, scope=self.scope)
        came_from = _START if cursor is None else seal.open(cursor)
        with self._translated():
            return await _scrolled(listing, seal, came_from, limit=limit)


async def _scrolled(
    listing: Listing[Any], seal: CursorSeal, cursor: Cursor, *, limit: int
) -> CursorPage[Any]:
    keys = listing.keys
    rows = await listing.rows(_towards(listing, cursor).limit(limit + 1))
    has_more, rows = len(rows) > limit, rows[:limit]
    if cursor.backwards:
        rows = rows[::-1]
    # There is something where the cursor came from, and the way back begins at the outermost row
    # or, if there is none left, at the end.
    has_next = cursor.position is not None if cursor.backwards else has_more
    has_previous = has_more if cursor.backwards else cursor.position is not None
    following, preceding = _START, _END
    if rows:
        following = Cursor(position=tuple(rows[-1][-len(keys) :]), backwards=False)
        preceding = Cursor(position=tuple(rows[0][-len(keys) :]), backwards=True)
    return CursorPage(
        items=[*await listing.items_of(rows)],
        limit=limit,
        next=seal.close(following) if has_next else None,
        previous=seal.close(preceding) if has_previous else None,
    )


def _towards(listing: Listing[Any], cursor: Cursor) -> Select[Any]:
    """Return what reads on from a cursor, with the positions of the rows beside."""
    keys, position = listing.keys, cursor.position
    statement = listing.statement.add_columns(*position_columns(keys))
    if cursor.backwards:
        keys = tuple(key.reversed() for key in keys)
        statement = statement.order_by(None).order_by(*order_clauses(keys))
    return statement if position is None else statement.where(beyond(keys, position))


def _window(where: Sequence[Where[Any]], limit: int | None, offset: int | None) -> tuple[int, int]:
    """Return how many items to read, and how many to leave out before."""
    criteria = criteria_in(where)
    if isinstance(criteria, CursorQuery):
        raise TypeError(f"{type(criteria).__name__} asks for a cursor page: call scroll().")
    if isinstance(criteria, ListQuery):
        _refuse_both(criteria, limit=limit, offset=offset)
        return criteria.limit, criteria.offset
    if offset is not None and offset < 0:
        raise ValueError("An offset is not negative.")
    return _some(limit), offset or 0


def _reach(
    where: Sequence[Where[Any]], limit: int | None, cursor: str | None
) -> tuple[int, str | None]:
    """Return how many items to read, and where to begin."""
    criteria = criteria_in(where)
    if isinstance(criteria, ListQuery):
        raise TypeError(f"{type(criteria).__name__} asks for a numbered page: call page().")
    if isinstance(criteria, CursorQuery):
        _refuse_both(criteria, limit=limit, cursor=cursor)
        return criteria.limit, criteria.cursor
    return _some(limit), cursor


def _some(limit: int | None) -> int:
    if limit is not None and limit < 1:
        raise ValueError("A part of a list holds 1 item at least.")
    return limit or DEFAULT_LIMIT


def _refuse_both(criteria: object, **said: object) -> None:
    twice = [name for name, value in said.items() if value is not None]
    if twice:
        raise TypeError(f"{type(criteria).__name__} has its own {' and '.join(twice)}.")
