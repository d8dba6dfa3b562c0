"""What one asker sees and changes, beyond what the model allows."""

from typing import Annotated

import pytest
from fastapi import Depends
from shop import Customer, Order, Status
from sqlalchemy import select

from fastapi_baseline.errors import ForbiddenError, NotFoundError
from fastapi_baseline.persistence import (
    HiddenColumnError,
    Policy,
    Repository,
    Spec,
    Transaction,
    WriteSession,
    related,
)


class OrderRepository(Repository[Order]):
    """Orders, in the transaction of the caller."""


# <start-policy>
def orders_of(name: str) -> Policy[Order]:
    """Return what a customer may do: see what is theirs, and change it while it is open."""
    own: Spec[Order] = related(Order.customer, Spec(Customer.name == name))
    still_open = own & Spec(Order.status == Status.OPEN)
    return Policy(
        read=own,
        update=still_open,
        delete=still_open,
        hidden=[Order.total],
        read_only=[Order.status],
        name=f"customer:{name}",
    )


# <end-policy>


def current_customer() -> str:
    """Return who asks; a service has a token for that."""
    return "Ann"


# <start-dependency>
def own_orders(
    session: Transaction, customer: Annotated[str, Depends(current_customer)]
) -> OrderRepository:
    """Give a route the orders of whoever asks."""
    return OrderRepository(session).restricted(orders_of(customer))


OwnOrders = Annotated[OrderRepository, Depends(own_orders)]
# <end-dependency>


@pytest.fixture
async def everything(session: WriteSession) -> OrderRepository:
    ann, bob = Customer(name="Ann"), Customer(name="Bob")
    orders = OrderRepository(session)
    await orders.add_many(
        [
            Order(number="a1", total=1, customer=ann),
            Order(number="a2", total=2, customer=ann, status=Status.SHIPPED),
            Order(number="b1", total=3, customer=bob),
        ]
    )
    session.expunge_all()
    return orders


async def test_an_asker_sees_and_changes_what_the_policy_says(
    session: WriteSession, everything: OrderRepository
) -> None:
    own = own_orders(session, current_customer())
    ids = {row.number: row.id for row in await session.execute(select(Order.number, Order.id))}

    assert await own.count() == 2
    with pytest.raises(NotFoundError):
        await own.get(ids["b1"])
    with pytest.raises(NotFoundError):
        await own.delete(ids["b1"])
    with pytest.raises(ForbiddenError):
        await own.update(ids["a2"], {"number": "a3"})
    with pytest.raises(ForbiddenError):
        await own.update(ids["a1"], {"status": Status.PAID})
    with pytest.raises(HiddenColumnError):
        await own.list(Order.total > 1)
    assert (await own.update(ids["a1"], {"number": "a4"})).number == "a4"
