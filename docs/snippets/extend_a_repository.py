"""Repositories with methods, load plans and narrowings of their own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from pydantic import BaseModel
from shop import Customer, Line, Order, Status
from sqlalchemy import Select, func, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, selectinload

from fastapi_baseline.errors import ConfigurationError, NotFoundError
from fastapi_baseline.persistence import (
    Database,
    LoadPlans,
    Lock,
    ReadRepository,
    Repository,
    Spec,
    UnknownAttributeError,
    WriteSession,
    related,
)


# <start-first>
class Orders(Repository[Order]):
    """Orders, in the transaction of the caller."""


# <end-first>


# <start-pair>
class CustomerReader(ReadRepository[Customer]):
    """Customers, in a transaction that reads, and may or may not write."""


class Customers(CustomerReader, Repository[Customer]):
    """Customers, in a transaction that writes."""


# <end-pair>


class OrderReader(ReadRepository[Order]):
    """Orders, in a transaction that only reads."""

    # <start-loads>
    loads: ClassVar[LoadPlans] = {
        "detail": [selectinload(Order.customer), selectinload(Order.lines)],
    }

    # <end-loads>

    # <start-specs>
    def overdue(self, now: datetime) -> Spec[Order]:
        """Return what orders meet that were paid three days ago, and are still here."""
        paid = Spec(Order.status == Status.PAID)
        return paid & Spec(Order.updated_at < now - timedelta(days=3))

    def containing(self, sku: str) -> Spec[Order]:
        """Return what orders meet that have this article among their lines."""
        return related(Order.lines, Spec(Line.sku == sku))

    # <end-specs>

    # <start-statements>
    async def largest_by_customer(self) -> Sequence[Order]:
        """Return the largest order of each customer."""
        largest = select(Order.customer_id, func.max(Order.total).label("total"))
        largest_of = largest.group_by(Order.customer_id).subquery()
        statement = self.select().join(
            largest_of,
            (Order.customer_id == largest_of.c.customer_id) & (Order.total == largest_of.c.total),
        )
        return await self.list(statement=statement, order_by=Order.total.desc())

    async def find_by_number(self, number: str) -> Order | None:
        """Return the order with this number, or `None`."""
        return await self.find_one(select(Order).where(Order.number == number))

    async def revenue(self) -> int:
        """Return what all orders come to."""
        return await self.session.scalar(select(func.sum(Order.total))) or 0

    # <end-statements>


class OrderRepository(OrderReader, Repository[Order]):
    """Orders, in a transaction that also writes."""

    # <start-lock>
    async def ship_next(self, now: datetime) -> Order | None:
        """Ship the order that was paid first, and that no other worker is at."""
        waiting = await self.list(
            Order.status == Status.PAID,
            order_by=Order.updated_at,
            limit=1,
            lock=Lock(skip_locked=True),
        )
        if not waiting:
            return None
        return await self.update(waiting[0], {"status": Status.SHIPPED, "shipped_at": now})

    # <end-lock>


# <start-narrow>
class OpenOrders(Repository[Order]):
    """Orders that can still be changed; there are no others in here."""

    def select(self) -> Select[Order]:
        """Begin every read, and bound every write, at what is open."""
        return super().select().where(Order.status == Status.OPEN)


# <end-narrow>


# <start-schema>
class CustomerOut(BaseModel):
    """What a list shows of a customer."""

    name: str


class OrderOut(BaseModel):
    """What a list shows of an order."""

    number: str
    total: int
    customer: CustomerOut


# <end-schema>


# <start-foreign>
class Legacy(DeclarativeBase):
    """A base class that was there first."""


class Invoice(Legacy):
    """An invoice, whose key has two columns."""

    __tablename__ = "invoices"
    year: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    is_paid: Mapped[bool] = mapped_column(default=False)


class Invoices(Repository[Invoice]):
    """Invoices; their key is a tuple: `await invoices.get((2026, 17))`."""


# <end-foreign>


@pytest.fixture
async def orders(session: WriteSession) -> OrderRepository:
    ann, bob = Customer(name="Ann"), Customer(name="Bob")
    orders = OrderRepository(session)
    await orders.add_many(
        [
            Order(number="1", total=10, customer=ann, lines=[Line(sku="lamp", quantity=1)]),
            Order(number="2", total=30, customer=ann, status=Status.PAID),
            Order(number="3", total=20, customer=bob, status=Status.SHIPPED),
        ]
    )
    return orders


def numbers(orders: Sequence[Order]) -> list[str]:
    return [order.number for order in orders]


NOW = datetime(2126, 1, 31, tzinfo=UTC)


async def test_conditions_are_used_wherever_rows_are_chosen(orders: OrderRepository) -> None:
    # <start-use-specs>
    late = await orders.list(orders.overdue(NOW) | orders.containing("lamp"))
    is_there_any = await orders.exists(orders.containing("lamp"), Order.total > 5)
    changed = await orders.update_where(~orders.containing("lamp"), values={"total": 0})
    # <end-use-specs>

    assert sorted(numbers(late)) == ["1", "2"]
    assert (is_there_any, changed) == (True, 2)


async def test_statements_of_any_kind_give_entities(orders: OrderRepository) -> None:
    found = await orders.find_by_number("3")

    assert numbers(await orders.largest_by_customer()) == ["2", "3"]
    assert found is not None
    assert await orders.revenue() == 60


async def test_relations_are_there_if_they_were_asked_for(
    database: Database, orders: OrderRepository
) -> None:
    await orders.session.flush()
    orders.session.expunge_all()

    # <start-use-loads>
    with_lines = await orders.list(Order.number == "1", load="detail")
    without = await orders.list(Order.number == "2")
    # <end-use-loads>

    assert [line.sku for line in with_lines[0].lines] == ["lamp"]
    with pytest.raises(InvalidRequestError, match="lines"):
        _ = without[0].lines


async def test_only_the_columns_of_a_schema_are_read(orders: OrderRepository) -> None:
    # <start-use-schema>
    shown = await orders.list(as_=OrderOut, order_by=Order.total.desc(), limit=2)
    # <end-use-schema>

    ann, bob = CustomerOut(name="Ann"), CustomerOut(name="Bob")
    assert shown == [
        OrderOut(number="2", total=30, customer=ann),
        OrderOut(number="3", total=20, customer=bob),
    ]


async def test_many_are_read_one_after_the_other(orders: OrderRepository) -> None:
    total = 0
    # <start-use-stream>
    async for order in orders.stream(Order.status != Status.OPEN, order_by=Order.number):
        total += order.total
    # <end-use-stream>

    assert total == 50


async def test_workers_take_what_is_free(orders: OrderRepository) -> None:
    shipped = await orders.ship_next(NOW)
    nothing = await orders.ship_next(NOW)

    assert (shipped and shipped.number, nothing) == ("2", None)


async def test_what_is_narrowed_is_narrowed_everywhere(
    session: WriteSession, orders: OrderRepository
) -> None:
    paid = await orders.one(select(Order).where(Order.number == "2"))

    open_orders = OpenOrders(session)

    assert await open_orders.count() == 1
    assert await open_orders.find(paid.id) is None
    assert await open_orders.update_where(values={"total": 1}, all_rows=True) == 1
    with pytest.raises(NotFoundError):
        await open_orders.delete(paid.id)


async def test_what_is_no_column_cannot_be_set(orders: OrderRepository) -> None:
    order = await orders.one(select(Order).where(Order.number == "1"))

    with pytest.raises(UnknownAttributeError, match="version"):
        await orders.update(order, {"version": 7})


async def test_models_of_another_base_are_as_good(database_url: str) -> None:
    database = Database(database_url, metadata=Legacy.metadata)
    await database.create_all()

    async with database.transaction() as session:
        invoices = Invoices(session)
        await invoices.add(Invoice(year=2026, number=17))
        await invoices.update((2026, 17), {"is_paid": True})
        paid = await invoices.get((2026, 17))

    assert paid.is_paid
    await database.dispose()


async def test_a_repository_names_its_model(session: WriteSession) -> None:
    assert Orders.model is Order
    assert Customers.model is Customer
    with pytest.raises(ConfigurationError, match="names no model"):
        Repository[Order](session)
