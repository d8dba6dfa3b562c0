"""Lists that clients filter, sort, search and page."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Query, Request, Response
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr
from shop import Customer, Order, Status

from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import (
    CursorPage,
    CursorQuery,
    In,
    IsNull,
    ListQuery,
    Page,
    Range,
    ReadRepository,
    ReadTransaction,
    Repository,
    Slice,
    Text,
    Total,
    Transaction,
    WriteSession,
    order_index,
    via,
)
from fastapi_baseline.testing import create_schema, running

router = APIRouter()
# <start-index>
order_index(Order, Order.created_at.desc())
# <end-index>


class OrderReader(ReadRepository[Order]):
    """Orders, in a transaction that only reads."""


# <start-query>
class OrderOut(BaseModel):
    """What a list shows of an order."""

    id: UUID
    number: str
    status: Status
    total: int


class OrderQuery(
    ListQuery[Order],
    sort=(Order.created_at, Order.number, Order.total),
    default_sort="-created_at",
    search=(Order.number,),
    default_limit=20,
    max_limit=50,
):
    """What a list of orders can be filtered, searched and sorted by; nothing else can."""

    status: In[Status] | None = None
    total: Range[int] | None = None
    created_at: Range[datetime] | None = None
    number: Text | None = None
    shipped_at: IsNull | None = None
    customer: Annotated[In[str] | None, via(Order.customer, Customer.name)] = None


# <end-query>


# <start-route>
@router.get("/orders")
async def list_orders(
    query: Annotated[OrderQuery, Query()], session: ReadTransaction
) -> Page[OrderOut]:
    """Return the orders that meet every filter, a page at a time."""
    return await OrderReader(session).page(query, as_=OrderOut)


# <end-route>


# <start-own>
@router.get("/customers/{customer_id}/orders")
async def list_orders_of_customer(
    customer_id: UUID, query: Annotated[OrderQuery, Query()], session: ReadTransaction
) -> Slice[OrderOut]:
    """Return orders of one customer."""
    own = Order.customer_id == customer_id
    return await OrderReader(session).slice(own, query, as_=OrderOut)


# <end-own>


# <start-cursor>
class OrderScroll(CursorQuery[Order], sort=(Order.created_at, Order.total), max_limit=50):
    """What a feed of orders can be filtered and sorted by."""

    status: In[Status] | None = None


@router.get("/orders/feed")
async def scroll_orders(
    query: Annotated[OrderScroll, Query()],
    session: ReadTransaction,
    request: Request,
    response: Response,
) -> CursorPage[OrderOut]:
    """Return a part of all orders, and where to go from there."""
    page = await OrderReader(session).scroll(query, as_=OrderOut)
    page.add_links(request, response)
    return page


# <end-cursor>


class Orders(Repository[Order]):
    """Orders, in the transaction of the caller."""


@router.post("/orders", status_code=201)
async def add_order(number: str, total: int, customer: str, session: Transaction) -> UUID:
    """Add an order of a new customer."""
    order = Order(number=number, total=total, customer=Customer(name=customer))
    return (await Orders(session).add(order)).id


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[AsyncClient]:
    settings = Settings(environment="test", database_url=SecretStr(database_url))
    app = create_app(settings)
    app.include_router(router)
    async with running(app) as client:
        await create_schema(app)
        for number, total, customer in (("A1", 10, "Ann"), ("A2", 20, "Bob"), ("B_1", 30, "Ann")):
            query = {"number": number, "total": total, "customer": customer}
            await client.post("/orders", params=query)
        yield client


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", ["B_1", "A2", "A1"]),
        ("sort=total", ["A1", "A2", "B_1"]),
        ("status=open&status=paid&sort=-total&limit=1", ["B_1"]),
        ("total[gte]=20&total[lt]=30", ["A2"]),
        ("number[startswith]=A&sort=number", ["A1", "A2"]),
        ("number[contains]=_", ["B_1"]),
        ("shipped_at[is_null]=true&sort=number", ["A1", "A2", "B_1"]),
        ("customer=Ann&sort=number", ["A1", "B_1"]),
        ("q=a&sort=number", ["A1", "A2"]),
        ("offset=2", ["A1"]),
    ],
)
async def test_clients_ask_for_what_is_offered(
    client: AsyncClient, query: str, numbers: list[str]
) -> None:
    answer = await client.get(f"/orders?{query}")

    assert answer.status_code == 200, answer.text
    assert [item["number"] for item in answer.json()["items"]] == numbers


@pytest.mark.parametrize(
    "query", ["sort=customer_id", "limit=51", "colour=red", "total[above]=1", "status=lost"]
)
async def test_clients_get_nothing_else(client: AsyncClient, query: str) -> None:
    answer = await client.get(f"/orders?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["in"] == "query"


async def test_a_page_looks_as_the_guide_says(client: AsyncClient) -> None:
    page = (await client.get("/orders?limit=1&sort=number")).json()

    assert page.keys() >= {"items", "total", "limit", "offset"}
    assert (page["total"], page["limit"], page["offset"]) == (3, 1, 0)


async def test_totals_say_how_far_they_can_be_relied_on(session: WriteSession) -> None:
    customer = Customer(name="Ann")
    orders = Orders(session)
    await orders.add_many([Order(number=f"{n}", total=n, customer=customer) for n in range(9)])

    # <start-total>
    exact = await orders.page(limit=3)
    capped = await orders.page(limit=3, total=Total.capped(5))
    unknown = await orders.page(limit=3, total=Total.NONE)
    # <end-total>

    assert (exact.total, exact.total_is) == (9, "exact")
    assert (capped.total, capped.total_is) == (5, "at_least")
    assert (unknown.total, unknown.total_is) == (None, "unknown")


async def test_what_a_route_adds_to_a_query_narrows_it(client: AsyncClient) -> None:
    none = (await client.get(f"/customers/{UUID(int=1)}/orders?status=open")).json()

    assert none["items"] == []


async def test_a_cursor_leads_there_and_back(client: AsyncClient) -> None:
    first = await client.get("/orders/feed?sort=total&limit=2")
    body = first.json()
    second = (await client.get(f"/orders/feed?sort=total&limit=2&cursor={body['next']}")).json()
    back = (await client.get(f"/orders/feed?sort=total&limit=2&cursor={second['previous']}")).json()

    assert [item["number"] for item in body["items"]] == ["A1", "A2"]
    assert [item["number"] for item in second["items"]] == ["B_1"]
    assert back["items"] == body["items"]
    assert (body["previous"], second["next"]) == (None, None)
    assert 'rel="next"' in first.headers["Link"]


async def test_a_cursor_of_another_list_is_refused(client: AsyncClient) -> None:
    cursor = (await client.get("/orders/feed?sort=total&limit=1")).json()["next"]

    answer = await client.get(f"/orders/feed?sort=-total&limit=1&cursor={cursor}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_openapi_says_what_can_be_sorted_by(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).text

    assert '"-created_at"' in document
