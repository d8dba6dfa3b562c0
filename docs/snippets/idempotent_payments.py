"""Payments that may be sent twice, and are carried out once."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, Header
from httpx2 import AsyncClient
from pydantic import BaseModel

from fastapi_baseline import Settings, UnauthenticatedError, create_app
from fastapi_baseline.idempotency import IdempotencyKey, Idempotent
from fastapi_baseline.testing import running

router = APIRouter()
sent: list[str] = []


class Payment(BaseModel):
    """What to pay, in cents."""

    amount: int


def get_account_id(authorization: Annotated[str | None, Header()] = None) -> str:
    """Return who is asking; a real service checks a token here."""
    if authorization is None:
        raise UnauthenticatedError(challenge="Bearer")
    return authorization.removeprefix("Bearer ")


async def transfer(amount: int, reference: str) -> str:
    """Move the money, and return the number of the transfer."""
    sent.append(reference)
    return f"{len(sent)} ({amount} cents)"


# <start>
@router.post(
    "/payments", status_code=201, dependencies=[Depends(Idempotent(caller=get_account_id))]
)
async def pay(payment: Payment) -> str:
    """Pay, once for each key."""
    return await transfer(payment.amount, reference="none")


# <end>
# <start-key>
Caller = Annotated[str, Depends(get_account_id)]


@router.post("/refunds", status_code=201)
async def refund(caller: Caller, key: IdempotencyKey, payment: Payment) -> str:
    """Pay back, and give the bank the same key: it may be asked twice, too."""
    return await transfer(-payment.amount, reference=f"{caller}/{key}")


# <end-key>
# <start-router>
uploads = APIRouter(
    prefix="/uploads",
    dependencies=[
        Depends(Idempotent(required=False, caller=get_account_id, lifetime=timedelta(days=7)))
    ],
)
# <end-router>


@uploads.post("")
async def upload(payment: Payment) -> int:
    """Keep something."""
    sent.append("upload")
    return len(sent)


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    sent.clear()
    app = create_app(Settings(environment="test"))
    app.include_router(router)
    app.include_router(uploads)
    async with running(app) as client:
        client.headers["Authorization"] = "Bearer ann"
        yield client


async def test_the_exchange_of_the_guide(client: AsyncClient) -> None:
    key = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}

    first = await client.post("/payments", json={"amount": 100}, headers=key)
    second = await client.post("/payments", json={"amount": 100}, headers=key)
    other = await client.post("/payments", json={"amount": 200}, headers=key)
    without = await client.post("/payments", json={"amount": 100})
    stranger = await client.post(
        "/payments", json={"amount": 100}, headers={**key, "Authorization": "Bearer bob"}
    )

    assert (first.status_code, first.json()) == (201, "1 (100 cents)")
    assert (second.status_code, second.json()) == (201, "1 (100 cents)")
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_missing")
    assert stranger.json() == "2 (100 cents)"


async def test_a_route_may_use_the_key(client: AsyncClient) -> None:
    for _ in range(2):
        await client.post("/refunds", json={"amount": 1}, headers={"Idempotency-Key": "r1"})

    assert sent == ["ann/r1"]


async def test_a_key_may_be_optional(client: AsyncClient) -> None:
    keys = [{}, {}, {"Idempotency-Key": "u1"}, {"Idempotency-Key": "u1"}]
    answers = [await client.post("/uploads", json={"amount": 1}, headers=key) for key in keys]

    assert [answer.json() for answer in answers] == [1, 2, 3, 3]
