"""The operations of the data benchmark with the repositories of this library."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.sql.base import ExecutableOption

from benchmarks._data.measure import Operation
from benchmarks._data.models import (
    FEW_RANKS,
    PAGE,
    Counter,
    Event,
    Item,
    Line,
    Narrow,
    Order,
    Product,
    ProductPatch,
    Sizes,
    Wide,
    changed,
    new_price,
    product,
)
from fastapi_baseline.persistence import Database, Policy, Repository, Spec, Total, Transaction


class Products(Repository[Product]):
    """What services write."""


class Events(Repository[Event]):
    """Likewise."""


class Orders(Repository[Order]):
    """Likewise, with a load plan."""

    loads: ClassVar[Mapping[str, Sequence[ExecutableOption]]] = {
        "full": (joinedload(Order.customer), selectinload(Order.lines))
    }


class Lines(Repository[Line]):
    """Likewise, with keys from the database."""


class Wides(Repository[Wide]):
    """Likewise."""


class Counters(Repository[Counter]):
    """Likewise."""


class _Key(BaseModel):
    id: int


_IN_ORDER = (Event.rank, Event.id)
_READERS = Policy(read=Spec(Event.amount >= 0), name="readers")


async def deep_cursor(session: AsyncSession, sizes: Sizes) -> str | None:
    """Return the cursor of the page that begins behind `sizes.deep` events."""
    cursor, steps = None, 20
    for _ in range(steps):
        page = await Events(session).scroll(
            Event.amount >= 0,
            as_=_Key,
            order_by=_IN_ORDER,
            limit=sizes.deep // steps,
            cursor=cursor,
        )
        cursor = page.next
    return cursor


def operations(
    keys: Sequence[UUID], sizes: Sizes, *, cursor: str | None
) -> Mapping[str, Operation]:
    """Return what it does, by the name of the operation; `cursor` is the deep one."""

    async def get(session: AsyncSession, number: int) -> object:
        return await Products(session).get(keys[number % len(keys)])

    async def get_warm(session: AsyncSession, number: int) -> object:
        del number
        return await Products(session).get(keys[0])

    async def patch(session: AsyncSession, number: int) -> object:
        body = ProductPatch(price=new_price())
        return await Products(session).patch(keys[number % len(keys)], body)

    async def upsert(session: AsyncSession, number: int) -> object:
        return await Products(session).upsert(
            changed(number, len(keys)), key=[Product.code], update=[Product.name, Product.price]
        )

    async def delete_where(session: AsyncSession, number: int) -> object:
        start = number * sizes.deleted % sizes.events
        return await Events(session).delete_where(
            Event.id.between(start + 1, start + sizes.deleted)
        )

    return {
        "insert": _insert,
        **{f"add_many {count}": _add_many(count) for count in (*sizes.many, *sizes.bulk)},
        f"add_numbered {sizes.many[0]}": _add_numbered(sizes.many[0]),
        **{f"bulk {count}": _copy_many(count) for count in sizes.bulk},
        "get": get,
        "get warm": get_warm,
        "patch": patch,
        "upsert": upsert,
        **{f"upsert_many {count}": _upsert_many(count, len(keys)) for count in sizes.many},
        "list": _list(0),
        "list shallow": _list(sizes.shallow),
        "list deep": _list(sizes.deep),
        "keyset": _scroll(None),
        "keyset deep": _scroll(cursor),
        "total": _page(Event.amount >= 0, Total.EXACT),
        "total small": _page(Event.rank < FEW_RANKS, Total.EXACT),
        "total capped": _page(Event.amount >= 0, Total.capped()),
        "total estimated": _page(Event.amount >= 0, Total.ESTIMATED),
        "exists": _exists,
        "delete_where": delete_where,
        "relations": _relations,
        "projection": _projection,
        "policy": _policy,
    }


async def _insert(session: AsyncSession, number: int) -> object:
    return await Products(session).add(Product(**product(number)))


async def _exists(session: AsyncSession, number: int) -> object:
    del number
    return await Events(session).exists(Event.amount >= 0)


async def _relations(session: AsyncSession, number: int) -> object:
    del number
    return await Orders(session).list(order_by=Order.id, limit=PAGE, load="full")


async def _projection(session: AsyncSession, number: int) -> object:
    del number
    return await Wides(session).list(as_=Narrow)


async def _policy(session: AsyncSession, number: int) -> object:
    del number
    events = Events(session).restricted(_READERS)
    return await events.list(order_by=_IN_ORDER, limit=PAGE)


def _add_many(count: int) -> Operation:
    async def add_many(session: AsyncSession, number: int) -> object:
        entities = [Product(**product(number * count + n)) for n in range(count)]
        return await Products(session).add_many(entities)

    return add_many


def _add_numbered(count: int) -> Operation:
    async def add_numbered(session: AsyncSession, number: int) -> object:
        del number
        return await Lines(session).add_many(
            [Line(order_id=0, sku=f"SKU {n}") for n in range(count)]
        )

    return add_numbered


def _copy_many(count: int) -> Operation:
    async def copy_many(session: AsyncSession, number: int) -> object:
        rows = (product(number * count + n) for n in range(count))
        return await Products(session).copy_many(rows)

    return copy_many


def _upsert_many(count: int, known: int) -> Operation:
    async def upsert_many(session: AsyncSession, number: int) -> object:
        rows = [
            {**product(n, "old" if n < known else "new"), "stock": number} for n in range(count)
        ]
        return await Products(session).upsert_many(
            rows, key=[Product.code], update=[Product.name, Product.price, Product.stock]
        )

    return upsert_many


def _list(offset: int) -> Operation:
    async def list_(session: AsyncSession, number: int) -> object:
        del number
        return await Events(session).list(
            Event.amount >= 0, order_by=_IN_ORDER, limit=PAGE, offset=offset
        )

    return list_


def _scroll(cursor: str | None) -> Operation:
    async def scroll(session: AsyncSession, number: int) -> object:
        del number
        return await Events(session).scroll(
            Event.amount >= 0, order_by=_IN_ORDER, limit=PAGE, cursor=cursor
        )

    return scroll


def _page(condition: Any, total: Total) -> Operation:
    async def page(session: AsyncSession, number: int) -> object:
        del number
        return await Events(session).page(condition, order_by=_IN_ORDER, limit=PAGE, total=total)

    return page


async def contend(session: AsyncSession) -> None:
    """Increase the counter, if nobody else has in between."""
    counters = Counters(session)
    counter = await counters.get(1)
    session.expunge(counter)
    value, version = counter.value, counter.version
    await counters.update(1, {"value": value + 1}, expected_version=version)


async def increase(session: AsyncSession, key: UUID) -> None:
    """Read a number, and write it back increased."""
    products = Products(session)
    found = await products.get(key)
    await products.update(found, {"stock": found.stock + 1})


def application(database: Database) -> FastAPI:
    """Return an application that stores what is posted."""
    app = FastAPI()
    database.attach(app)

    @app.post("/items/{key}", status_code=201)
    async def create(key: UUID, transaction: Transaction) -> None:
        await Items(transaction).add(Item(id=key, name="posted"))

    return app


class Items(Repository[Item]):
    """What is posted."""
