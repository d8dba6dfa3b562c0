"""The operations of the data benchmark, written by hand as well as we can."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI
from pydantic import TypeAdapter
from sqlalchemy import Select, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import joinedload, raiseload, selectinload

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
    Sizes,
    Wide,
    changed,
    new_price,
    product,
    rank_of,
    table_of,
)
from fastapi_baseline.ids import uuid7

_NARROW = TypeAdapter(list[Narrow])
_CAP = 10_000


def operations(keys: Sequence[UUID], sizes: Sizes) -> Mapping[str, Operation]:
    """Return what is done by hand, by the name of the operation."""

    async def get(session: AsyncSession, number: int) -> object:
        return await session.get(Product, keys[number % len(keys)])

    async def get_warm(session: AsyncSession, number: int) -> object:
        del number
        return await session.get(Product, keys[0])

    async def patch(session: AsyncSession, number: int) -> object:
        statement = (
            update(Product)
            .where(Product.id == keys[number % len(keys)])
            .values(price=new_price())
            .returning(Product)
            .execution_options(synchronize_session=False)
        )
        return (await session.scalars(statement)).one()

    async def upsert(session: AsyncSession, number: int) -> object:
        values = changed(number, len(keys))
        statement = _insert(session)(Product).values(id=uuid7(), **values)
        conflicting = {name: statement.excluded[name] for name in ("name", "price")}
        statement = statement.on_conflict_do_update(index_elements=["code"], set_=conflicting)
        return (await session.scalars(statement.returning(Product))).one()

    async def delete_where(session: AsyncSession, number: int) -> None:
        await session.execute(
            delete(Event)
            .where(Event.id.between(*_slice(sizes, number)))
            .execution_options(synchronize_session=False)
        )

    return {
        "insert": _insert_one,
        **{f"add_many {count}": _add_many(count) for count in sizes.many},
        f"add_numbered {sizes.many[0]}": _add_numbered(sizes.many[0]),
        **{f"bulk {count}": _bulk(count) for count in sizes.bulk},
        "get": get,
        "get warm": get_warm,
        "patch": patch,
        "upsert": upsert,
        **{f"upsert_many {count}": _upsert_many(count, len(keys)) for count in sizes.many},
        "list": _list(0),
        "list shallow": _list(sizes.shallow),
        "list deep": _list(sizes.deep),
        "keyset": _keyset(0),
        "keyset deep": _keyset(sizes.deep),
        "total": _total(Event.amount >= 0),
        "total small": _total(Event.rank < FEW_RANKS),
        "total capped": _capped,
        "exists": _exists,
        "delete_where": delete_where,
        "relations": _relations,
        "projection": _projection,
        "policy": _list(0),
    }


async def _insert_one(session: AsyncSession, number: int) -> None:
    session.add(Product(**product(number)))
    await session.flush()


async def _exists(session: AsyncSession, number: int) -> object:
    del number
    return await session.scalar(select(select(Event.id).where(Event.amount >= 0).exists()))


async def _relations(session: AsyncSession, number: int) -> object:
    del number
    loads = joinedload(Order.customer), selectinload(Order.lines)
    statement = select(Order).options(*loads, raiseload("*")).order_by(Order.id).limit(PAGE)
    return (await session.scalars(statement)).all()


async def _projection(session: AsyncSession, number: int) -> object:
    del number
    columns = [Wide.__table__.c[name] for name in Narrow.model_fields]
    rows = (await session.execute(select(*columns))).all()
    return _NARROW.validate_python(
        [dict(zip(Narrow.model_fields, row, strict=True)) for row in rows]
    )


def _insert(session: AsyncSession) -> Any:
    is_postgres = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert if is_postgres else sqlite.insert


def _slice(sizes: Sizes, number: int) -> tuple[int, int]:
    start = number * sizes.deleted % sizes.events
    return start + 1, start + sizes.deleted


def _add_many(count: int) -> Operation:
    async def add_many(session: AsyncSession, number: int) -> None:
        session.add_all(Product(**product(number * count + n)) for n in range(count))
        await session.flush()

    return add_many


def _add_numbered(count: int) -> Operation:
    async def add_numbered(session: AsyncSession, number: int) -> None:
        del number
        session.add_all(Line(order_id=0, sku=f"SKU {n}") for n in range(count))
        await session.flush()

    return add_numbered


def _bulk(count: int) -> Operation:
    names = ("id", "code", "name", "price", "stock")

    async def bulk(session: AsyncSession, number: int) -> None:
        rows = [{"id": uuid7(), "stock": 0, **product(number * count + n)} for n in range(count)]
        if session.get_bind().dialect.name != "postgresql":
            await session.execute(insert(table_of(Product)), rows)
            return
        connection = await session.connection()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        records = [tuple(row[name] for name in names) for row in rows]
        await driver.copy_records_to_table("product", records=records, columns=names)

    return bulk


def _upsert_many(count: int, known: int) -> Operation:
    async def upsert_many(session: AsyncSession, number: int) -> None:
        rows = [
            {"id": uuid7(), "stock": number, **product(n, "old" if n < known else "new")}
            for n in range(count)
        ]
        statement = _insert(session)(Product)
        conflicting = {name: statement.excluded[name] for name in ("name", "price", "stock")}
        statement = statement.on_conflict_do_update(index_elements=["code"], set_=conflicting)
        (await session.scalars(statement.returning(Product), rows)).all()

    return upsert_many


def _listed() -> Select[Event]:
    return select(Event).where(Event.amount >= 0).order_by(Event.rank, Event.id).limit(PAGE)


def _list(offset: int) -> Operation:
    async def list_(session: AsyncSession, number: int) -> object:
        del number
        return (await session.scalars(_listed().offset(offset or None))).all()

    return list_


def _keyset(depth: int) -> Operation:
    async def keyset(session: AsyncSession, number: int) -> object:
        del number
        statement = _listed().limit(PAGE + 1)
        if depth:
            after = tuple_(literal(rank_of(depth)), literal(depth))
            statement = statement.where(tuple_(Event.rank, Event.id) > after)
        return (await session.scalars(statement)).all()

    return keyset


def _total(condition: Any) -> Operation:
    async def total(session: AsyncSession, number: int) -> object:
        del number
        statement = select(Event).where(condition).order_by(Event.rank, Event.id).limit(PAGE)
        rows = (await session.scalars(statement)).all()
        if len(rows) < PAGE:
            return rows, len(rows)
        return rows, await session.scalar(select(func.count()).where(condition))

    return total


async def _capped(session: AsyncSession, number: int) -> object:
    del number
    rows = (await session.scalars(_listed())).all()
    some = select(literal(1)).where(Event.amount >= 0).limit(_CAP + 1).subquery()
    return rows, await session.scalar(select(func.count()).select_from(some))


async def contend(session: AsyncSession) -> None:
    """Increase the counter, if nobody else has in between."""
    found = (await session.execute(select(Counter.value, Counter.version))).one()
    statement = (
        update(Counter)
        .where(Counter.id == 1, Counter.version == found.version)
        .values(value=found.value + 1, version=found.version + 1)
        .returning(Counter.id)
        .execution_options(synchronize_session=False)
    )
    (await session.scalars(statement)).one()


async def increase(session: AsyncSession, key: UUID) -> None:
    """Read a number, and write it back increased."""
    found = await session.get_one(Product, key)
    found.stock += 1
    await session.flush()


def application(engine: AsyncEngine) -> FastAPI:
    """Return an application that commits in its dependency, as tutorials show it."""
    app = FastAPI()
    make = async_sessionmaker(engine, expire_on_commit=False)

    async def begin() -> AsyncGenerator[AsyncSession]:
        async with make() as session:
            yield session
            await session.commit()

    @app.post("/items/{key}", status_code=201)
    async def create(key: UUID, session: Annotated[AsyncSession, Depends(begin)]) -> None:
        session.add(Item(id=key, name="posted"))

    return app
