"""Repositories as a service writes them: this is checked by pyright and mypy, and never run.

A line that both must refuse carries a suppression for each; one that is not needed is an error.
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, assert_type
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import ForeignKey, Select, func, insert, select
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from fastapi_baseline.persistence import (
    Base,
    CursorPage,
    CursorQuery,
    Database,
    IfMatch,
    In,
    IsNull,
    ListQuery,
    LoadPlans,
    Lock,
    Page,
    Policy,
    Range,
    ReadRepository,
    ReadTransaction,
    Repository,
    Slice,
    SoftDelete,
    Spec,
    Text,
    Timestamps,
    Transaction,
    UUIDPrimaryKey,
    Versioned,
    etag_of,
    related,
    via,
)


class Status(StrEnum):
    OPEN = "open"
    SHIPPED = "shipped"


class Customer(Base, UUIDPrimaryKey):
    __tablename__ = "typing_customer"
    name: Mapped[str]


class Order(Base, UUIDPrimaryKey, Timestamps, Versioned, SoftDelete):
    __tablename__ = "typing_order"
    number: Mapped[str] = mapped_column(unique=True)
    status: Mapped[Status]
    total: Mapped[int]
    shipped_at: Mapped[datetime | None]
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("typing_customer.id"))
    customer: Mapped[Customer] = relationship()


class OrderOut(BaseModel):
    id: UUID
    number: str


class OrderChanges(BaseModel):
    number: str = ""


class OrderQuery(
    ListQuery[Order],
    sort=(Order.created_at, Order.number),
    default_sort="-created_at",
    search=(Order.number,),
    default_limit=20,
    max_limit=50,
):
    status: In[Status] | None = None
    total: Range[int] | None = None
    number: Text | None = None
    shipped_at: IsNull | None = None
    customer: Annotated[In[str] | None, via(Order.customer, Customer.name)] = None


class OrderScroll(CursorQuery[Order], sort=(Order.created_at,)):
    status: In[Status] | None = None


class OrderReader(ReadRepository[Order]):
    loads: ClassVar[LoadPlans] = {"detail": [selectinload(Order.customer)]}

    def overdue(self, now: datetime) -> Spec[Order]:
        return Spec(Order.shipped_at < now) & ~self.large()

    def large(self) -> Spec[Order]:
        return Spec(Order.total > 1_000)

    def of(self, name: str) -> Spec[Order]:
        return related(Order.customer, Spec(Customer.name == name))

    async def latest(self) -> Order | None:
        return await self.find_one(self.select().order_by(Order.created_at.desc()).limit(1))


class OrderRepository(OrderReader, Repository[Order]):
    async def ship(self, order_id: UUID, now: datetime) -> Order:
        order = await self.get(order_id, lock=Lock(nowait=True))
        return await self.update(order, {"status": Status.SHIPPED, "shipped_at": now})


class OpenOrderRepository(Repository[Order]):
    def select(self) -> Select[Order]:
        return super().select().where(Order.status == Status.OPEN)


async def reads(session: ReadTransaction, order_id: UUID, query: OrderQuery) -> None:
    orders = OrderReader(session)
    assert_type(await orders.get(order_id), Order)
    assert_type(await orders.find(order_id, load="detail"), Order | None)
    assert_type(await orders.get_many([order_id]), Sequence[Order])
    assert_type(await orders.exists(orders.large() | Spec(Order.total < 3)), bool)
    assert_type(await orders.count(query), int)
    assert_type(await orders.list(orders.large(), order_by=Order.number), Sequence[Order])
    assert_type(await orders.list(query, as_=OrderOut), Sequence[OrderOut])
    assert_type(await orders.latest(), Order | None)
    async for order in orders.stream():
        assert_type(order, Order)
    async for row in orders.stream(as_=OrderOut):
        assert_type(row, OrderOut)
    assert_type(query.status, In[Status] | None)
    assert_type(query.total, Range[int] | None)
    statement = select(Order)
    assert_type(await session.scalar(select(func.max(Order.total))), int | None)
    assert_type((await session.scalars(statement)).all(), Sequence[Order])


async def pages(session: ReadTransaction, query: OrderQuery, scroll: OrderScroll) -> None:
    orders = OrderReader(session)
    assert_type(await orders.page(query), Page[Order])
    assert_type(await orders.page(query, as_=OrderOut), Page[OrderOut])
    assert_type(await orders.slice(query, orders.large()), Slice[Order])
    assert_type(await orders.slice(query, as_=OrderOut), Slice[OrderOut])
    assert_type(await orders.scroll(scroll), CursorPage[Order])
    assert_type(await orders.scroll(scroll, as_=OrderOut), CursorPage[OrderOut])


async def writes(session: Transaction, order: Order, if_match: IfMatch) -> None:
    orders = OrderRepository(session)
    assert_type(await orders.add(order), Order)
    assert_type(await orders.add_many([order]), Sequence[Order])
    assert_type(await orders.update(order, {"number": "1"}, expected_version=1), Order)
    assert_type(await orders.patch(order.id, OrderChanges(), expected_version=if_match), Order)
    assert_type(await orders.update_where(orders.large(), values={"total": 1}), int)
    assert_type(await orders.delete_where(orders.large()), int)
    upserted = await orders.upsert({"number": "1"}, key=[Order.number])
    assert_type(upserted.entity, Order)
    assert_type(upserted.created, bool)
    assert_type(await orders.copy_many([{"number": "1"}]), int)
    assert_type(await orders.restore(order.id), Order)
    assert_type(etag_of(order), str)
    await orders.purge(order.id)
    await orders.delete(order)
    policy = Policy(read=orders.large(), hidden=[Order.total], read_only=[Order.number])
    assert_type(orders.restricted(policy), OrderRepository)
    assert_type(orders.with_deleted(), OrderRepository)
    session.on_commit(lambda: None)


async def transactions(database: Database) -> AsyncGenerator[int]:
    async with database.transaction() as session:
        assert_type(await OrderRepository(session).count(), int)
    async with database.read_transaction() as session:
        yield await OrderReader(session).count()


async def list_orders(
    query: Annotated[OrderQuery, Query()], session: ReadTransaction
) -> Page[OrderOut]:
    return await OrderReader(session).page(query, as_=OrderOut)


def in_python() -> OrderQuery:
    return OrderQuery(status=In([Status.OPEN]), total=Range(gte=1, lt=10), limit=10)


async def refused(session: ReadTransaction, order: Order) -> None:
    OrderRepository(session)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- it writes
    session.add(order)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- likewise
    await session.flush()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- likewise
    await session.execute(insert(Order))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType] -- likewise
    orders = OrderReader(session)
    await orders.add(order)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- a reader
    await orders.list(Spec[Customer](Customer.name == "x"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- of another model
