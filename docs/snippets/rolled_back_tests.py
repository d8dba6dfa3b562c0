"""Tests of a service that leave nothing behind, in a database that they share."""

from collections.abc import AsyncIterator, Mapping

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr
from shop import Customer, Order
from sqlalchemy.orm import selectinload

from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import (
    Database,
    ReadRepository,
    ReadTransaction,
    Repository,
    Transaction,
    WriteSession,
)
from fastapi_baseline.testing import Make, ModelFactory, max_queries, running


class OrderReader(ReadRepository[Order]):
    """Orders, in a transaction that only reads."""


class Orders(Repository[Order]):
    """Orders, in a transaction that also writes."""


class OrderBody(BaseModel):
    """An order, as clients get it."""

    number: str
    customer: str


router = APIRouter()


@router.get("/orders")
async def list_orders(session: ReadTransaction) -> list[OrderBody]:
    """Return orders, with their customers."""
    orders = await OrderReader(session).list(load=selectinload(Order.customer))
    return [OrderBody(number=order.number, customer=order.customer.name) for order in orders]


@router.delete("/orders/{number}", status_code=204)
async def remove_order(number: str, session: Transaction) -> None:
    """Remove an order."""
    await Orders(session).delete_where(Order.number == number)


# <start-fixtures>
@pytest.fixture
def app(worker_database_url: str) -> FastAPI:
    settings = Settings(environment="test", database_url=SecretStr(worker_database_url))
    app = create_app(settings)
    app.include_router(router)  # A service does without: its domains are found.
    return app


@pytest.fixture
def database(app: FastAPI) -> Database:
    return app.state.database


@pytest.fixture
async def client(app: FastAPI, session: WriteSession) -> AsyncIterator[AsyncClient]:
    async with running(app) as client:
        yield client


# <end-fixtures>


# <start-factories>
def make_order(**values: object) -> Order:
    return Order(**{"number": "1", "total": 10, "customer": Customer(name="Ann")} | values)


@pytest.fixture
def model_factories() -> Mapping[type, ModelFactory]:
    return {Order: make_order}


# <end-factories>


# <start-tests>
async def test_removes_an_order(client: AsyncClient, make: Make, session: WriteSession) -> None:
    await make(Order, number="7")
    await make(Order, number="8")

    await client.delete("/orders/7")

    left = await Orders(session).list()
    assert [order.number for order in left] == ["8"]


# <end-tests>


# <start-queries>
async def test_lists_any_number_of_orders_with_two_statements(
    client: AsyncClient, make: Make
) -> None:
    for number in range(5):
        await make(Order, number=f"{number}", customer=Customer(name=f"{number}"))

    with max_queries(2):
        listed = await client.get("/orders")

    assert len(listed.json()) == 5


# <end-queries>


async def test_nothing_of_the_other_tests_is_there(session: WriteSession) -> None:
    assert await Orders(session).count() == 0
