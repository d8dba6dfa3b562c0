"""Reads of as many entities as there are."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, overload

from pydantic import BaseModel
from sqlalchemy import Select

from fastapi_baseline.persistence.loading import Load
from fastapi_baseline.persistence.reading.locking import Lock
from fastapi_baseline.persistence.reading.lookups import Lookups
from fastapi_baseline.persistence.reading.readers import SchemaT
from fastapi_baseline.persistence.reading.selection import OrderBy, paged
from fastapi_baseline.persistence.scope import ModelT, Where


class Reads(Lookups[ModelT]):
    """Reads entities, or schemas of them, that the asker may see.

    What returns many loads no relationship but those of the load plan: reading another is an
    error, and not a query for each of them. `load` is the name of a plan in `loads`, or loader
    options of SQLAlchemy.
    """

    async def exists(self, *where: Where[ModelT]) -> bool:
        """Return whether there is an entity that meets all conditions."""
        with self._translated():
            return bool(await self.session.scalar(self._existing(where)))

    async def count(self, *where: Where[ModelT]) -> int:
        """Return how many entities meet all conditions."""
        with self._translated():
            return await self.session.scalar(self._counted(where)) or 0

    @overload
    async def list(
        self,
        *where: Where[ModelT],
        as_: None = None,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int = 0,
        load: Load | None = None,
        lock: Lock | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Sequence[ModelT]: ...
    @overload
    async def list(
        self,
        *where: Where[ModelT],
        as_: type[SchemaT],
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int = 0,
        load: Load | None = None,
        lock: Lock | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Sequence[SchemaT]: ...
    async def list(
        self,
        *where: Where[ModelT],
        as_: type[BaseModel] | None = None,
        order_by: OrderBy = (),
        limit: int | None = None,
        offset: int = 0,
        load: Load | None = None,
        lock: Lock | None = None,
        statement: Select[ModelT] | None = None,
    ) -> Sequence[Any]:
        """Return the entities that meet all conditions, in a stable order: the key comes last.

        With `as_` they are schemas of Pydantic, and no more is selected than these need.
        `statement` is what to begin with instead of `select()`. A `ListQuery` among the conditions
        says how to sort, and how many to return.

        Raises:
            HiddenColumnError: If a policy hides what is asked for, or asked by.
            TypeError: If `order_by`, `limit` or `offset` is given beside a `ListQuery`.
        """
        limit, offset = paged(where, limit=limit, offset=offset)
        listing = self._listing(
            where, as_=as_, order_by=order_by, load=load, lock=lock, statement=statement
        )
        with self._translated():
            return await listing.items(limit=limit, offset=offset)

    @overload
    def stream(
        self,
        *where: Where[ModelT],
        as_: None = None,
        order_by: OrderBy = (),
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
        batch_size: int = 500,
    ) -> AsyncGenerator[ModelT]: ...
    @overload
    def stream(
        self,
        *where: Where[ModelT],
        as_: type[SchemaT],
        order_by: OrderBy = (),
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
        batch_size: int = 500,
    ) -> AsyncGenerator[SchemaT]: ...
    async def stream(
        self,
        *where: Where[ModelT],
        as_: type[BaseModel] | None = None,
        order_by: OrderBy = (),
        load: Load | None = None,
        statement: Select[ModelT] | None = None,
        batch_size: int = 500,
    ) -> AsyncGenerator[Any]:
        """Yield what `list` returns, however much it is: no more than a batch is in memory.

        Whoever leaves the loop early closes it: `async with aclosing(orders.stream()) as stream`.
        Of a `ListQuery` it takes the filters and the order, and not the size of a page.
        """
        listing = self._listing(where, as_=as_, order_by=order_by, load=load, statement=statement)
        with self._translated():
            async with aclosing(listing.batches(batch_size)) as batches:
                async for batch in batches:
                    for item in batch:
                        yield item
