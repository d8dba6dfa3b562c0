"""The operations of the data benchmark with fastcrud.

Where it lets the caller commit, the caller does, as with the others; `upsert` always commits.
"""

from collections.abc import AsyncGenerator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI
from fastcrud import FastCRUD, JoinConfig
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from benchmarks._data.models import (
    FEW_RANKS,
    PAGE,
    Counter,
    Customer,
    CustomerOut,
    Event,
    Item,
    Line,
    LineOut,
    Narrow,
    Order,
    Product,
    ProductIn,
    ProductPatch,
    Wide,
    changed,
    new_price,
    product,
)
from fastapi_baseline.ids import uuid7

PACKAGES = ("fastcrud",)

products = FastCRUD(Product)
events = FastCRUD(Event)
orders = FastCRUD(Order)
wides = FastCRUD(Wide)
counters = FastCRUD(Counter)
items = FastCRUD(Item)


class ItemIn(BaseModel):
    """What is posted."""

    id: UUID
    name: str


def operations(keys, sizes):
    """Return what it does, by the name of the operation."""

    def known(number):
        return ProductIn(id=keys[number], **product(number, "old"))

    async def get(session, number):
        return await products.get(session, id=keys[number % len(keys)])

    async def get_warm(session, _number):
        return await products.get(session, id=keys[0])

    async def patch(session, number):
        return await products.update(
            session,
            ProductPatch(price=new_price()),
            commit=False,
            schema_to_select=ProductIn,
            return_as_model=True,
            id=keys[number % len(keys)],
        )

    async def upsert(session, number):
        body = ProductIn(id=keys[number % len(keys)], **changed(number, len(keys)))
        return await products.upsert(session, body)

    async def delete_where(session, number):
        start = number * sizes.deleted % sizes.events
        return await events.db_delete(
            session,
            allow_multiple=True,
            commit=False,
            id__between=(start + 1, start + sizes.deleted),
        )

    async def projection(session, _number):
        return await wides.get_multi(
            session,
            schema_to_select=Narrow,
            return_as_model=True,
            limit=sizes.wide,
            return_total_count=False,
        )

    def upsert_many(count):
        async def upsert_many(session, _number):
            bodies = [known(n) for n in range(min(count, len(keys)))]
            return await products.upsert_multi(session, bodies)

        return upsert_many

    return {
        "insert": _insert,
        "get": get,
        "get warm": get_warm,
        "patch": patch,
        "upsert": upsert,
        **{f"upsert_many {count}": upsert_many(count) for count in sizes.many},
        "list": _page(0, amount__gte=0),
        "list shallow": _page(sizes.shallow, amount__gte=0),
        "list deep": _page(sizes.deep, amount__gte=0),
        "keyset": _keyset(0),
        "keyset deep": _keyset(sizes.deep),
        "total": _page(0, total=True, amount__gte=0),
        "total small": _page(0, total=True, rank__lt=FEW_RANKS),
        "exists": _exists,
        "delete_where": delete_where,
        "relations": _relations,
        "projection": projection,
    }


async def _insert(session, number):
    body = ProductIn(id=uuid7(), **product(number))
    return await products.create(session, body, commit=False)


async def _exists(session, _number):
    return await events.exists(session, amount__gte=0)


async def _relations(session, _number):
    return await orders.get_multi_joined(
        session,
        joins_config=[
            JoinConfig(
                model=Customer,
                join_on=Order.customer_id == Customer.id,
                join_prefix="customer_",
                schema_to_select=CustomerOut,
                relationship_type="one-to-one",
            ),
            JoinConfig(
                model=Line,
                join_on=Order.id == Line.order_id,
                join_prefix="lines_",
                schema_to_select=LineOut,
                relationship_type="one-to-many",
            ),
        ],
        nest_joins=True,
        sort_columns="id",
        limit=PAGE,
        return_total_count=False,
    )


def _page(offset, *, total=False, **filters):
    async def page(session, _number):
        return await events.get_multi(
            session,
            offset=offset,
            limit=PAGE,
            sort_columns=["rank", "id"],
            return_total_count=total,
            **filters,
        )

    return page


def _keyset(depth):
    async def keyset(session, _number):
        return await events.get_multi_by_cursor(
            session, cursor=depth or None, limit=PAGE, sort_column="id", amount__gte=0
        )

    return keyset


async def contend(session):
    """Increase the counter where it has the version that was read."""
    found = await counters.get(session, id=1)
    body = {"value": found["value"] + 1, "version": found["version"] + 1}
    await counters.update(session, body, commit=False, id=1, version=found["version"])


async def increase(session, key):
    """Read a number, and write it back increased."""
    found = await products.get(session, id=key)
    await products.update(session, {"stock": found["stock"] + 1}, commit=False, id=key)


def application(engine):
    """Return an application whose repository commits, as it does by default."""
    app = FastAPI()
    make = async_sessionmaker(engine, expire_on_commit=False)

    async def get_session() -> AsyncGenerator[AsyncSession]:
        async with make() as session:
            yield session

    @app.post("/items/{key}", status_code=201)
    async def create(key: UUID, db: Annotated[AsyncSession, Depends(get_session)]) -> None:
        await items.create(db, ItemIn(id=key, name="posted"))

    return app
