"""The operations of the data benchmark with advanced-alchemy."""

from typing import Annotated
from uuid import UUID

from advanced_alchemy.extensions.fastapi import AdvancedAlchemy, SQLAlchemyAsyncConfig
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

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
    Wide,
    changed,
    new_price,
    product,
)

PACKAGES = ("advanced-alchemy",)


class Products(SQLAlchemyAsyncRepository[Product]):
    """As the documentation shows it."""

    model_type = Product


class Events(SQLAlchemyAsyncRepository[Event]):
    """Likewise."""

    model_type = Event


class Orders(SQLAlchemyAsyncRepository[Order]):
    """Likewise."""

    model_type = Order


class Wides(SQLAlchemyAsyncRepositoryService[Wide]):
    """A service, since it is what makes schemas of entities."""

    class Repo(SQLAlchemyAsyncRepository[Wide]):
        """Likewise."""

        model_type = Wide

    repository_type = Repo


_IN_ORDER = (OrderBy("rank", "asc"), OrderBy("id", "asc"))


def operations(keys, sizes):
    """Return what it does, by the name of the operation."""

    async def get(session, number):
        return await Products(session=session).get(keys[number % len(keys)])

    async def get_warm(session, _number):
        return await Products(session=session).get(keys[0])

    async def patch(session, number):
        entity = Product(id=keys[number % len(keys)], price=new_price())
        return await Products(session=session).update(entity)

    async def upsert(session, number):
        entity = Product(**changed(number, len(keys)))
        return await Products(session=session).upsert(entity, match_fields=["code"])

    async def delete_where(session, number):
        start = number * sizes.deleted % sizes.events
        condition = Event.id.between(start + 1, start + sizes.deleted)
        return await Events(session=session).delete_where(condition)

    def upsert_many(count):
        async def upsert_many(session, number):
            entities = [
                Product(**product(n, "old" if n < len(keys) else "new"), stock=number)
                for n in range(count)
            ]
            return await Products(session=session).upsert_many(entities, match_fields=["code"])

        return upsert_many

    return {
        "insert": _insert,
        **{f"add_many {count}": _add_many(count) for count in sizes.many},
        f"add_numbered {sizes.many[0]}": _add_numbered(sizes.many[0]),
        **{f"bulk {count}": _add_many(count) for count in sizes.bulk},
        "get": get,
        "get warm": get_warm,
        "patch": patch,
        "upsert": upsert,
        **{f"upsert_many {count}": upsert_many(count) for count in sizes.many},
        "list": _list(0),
        "list shallow": _list(sizes.shallow),
        "list deep": _list(sizes.deep),
        "total": _total(Event.amount >= 0),
        "total small": _total(Event.rank < FEW_RANKS),
        "exists": _exists,
        "delete_where": delete_where,
        "relations": _relations,
        "projection": _projection,
    }


async def _insert(session, number):
    return await Products(session=session).add(Product(**product(number)))


async def _exists(session, _number):
    return await Events(session=session).exists(Event.amount >= 0)


async def _relations(session, _number):
    loads = [joinedload(Order.customer), selectinload(Order.lines)]
    return await Orders(session=session).list(
        OrderBy("id", "asc"), LimitOffset(PAGE, 0), load=loads
    )


async def _projection(session, _number):
    wides = Wides(session=session)
    return wides.to_schema(await wides.list(), schema_type=Narrow)


def _add_many(count):
    async def add_many(session, number):
        entities = [Product(**product(number * count + n)) for n in range(count)]
        return await Products(session=session).add_many(entities)

    return add_many


def _list(offset):
    async def list_(session, _number):
        page = LimitOffset(PAGE, offset)
        return await Events(session=session).list(Event.amount >= 0, *_IN_ORDER, page)

    return list_


def _total(condition):
    async def total(session, _number):
        page = LimitOffset(PAGE, 0)
        return await Events(session=session).list_and_count(condition, *_IN_ORDER, page)

    return total


class Lines(SQLAlchemyAsyncRepository[Line]):
    """Likewise."""

    model_type = Line


def _add_numbered(count):
    async def add_numbered(session, _number):
        entities = [Line(order_id=0, sku=f"SKU {n}") for n in range(count)]
        return await Lines(session=session).add_many(entities)

    return add_numbered


class Counters(SQLAlchemyAsyncRepository[Counter]):
    """Likewise."""

    model_type = Counter


class Items(SQLAlchemyAsyncRepository[Item]):
    """Likewise."""

    model_type = Item


async def contend(session):
    """Increase the counter by an entity that has the version that was read."""
    counters = Counters(session=session)
    counter = await counters.get(1)
    value, version = counter.value, counter.version
    session.expunge(counter)
    await counters.update(Counter(id=1, value=value + 1, version=version))


async def increase(session, key):
    """Read a number, and write it back increased."""
    products = Products(session=session)
    found = await products.get(key)
    found.stock += 1
    await products.update(found)


def application(engine):
    """Return an application that commits when its answer is a success."""
    app = FastAPI()
    config = SQLAlchemyAsyncConfig(engine_instance=engine, commit_mode="autocommit")
    alchemy = AdvancedAlchemy(config=config, app=app)

    @app.post("/items/{key}", status_code=201)
    async def create(
        key: UUID, session: Annotated[AsyncSession, Depends(alchemy.provide_session())]
    ) -> None:
        await Items(session=session).add(Item(id=key, name="posted"))

    return app
