"""Responses that are kept, and given again to who may have them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi_cache.decorator import cache
from httpx2 import AsyncClient
from pydantic import BaseModel

from fastapi_baseline import Settings, UnauthenticatedError, context, create_app
from fastapi_baseline.caching import cached
from fastapi_baseline.testing import running

router = APIRouter()
runs: list[str] = []
PAYING = {"ann", "bob"}


class Order(BaseModel):
    """What was ordered."""

    number: int
    buyer: str


async def sign_in(authorization: Annotated[str | None, Header()] = None) -> None:
    """Find out who is asking; a real service checks a token here."""
    current = context.current()
    if authorization is None or current is None:
        raise UnauthenticatedError(challenge="Bearer")
    current.tenant, _, current.principal = authorization.removeprefix("Bearer ").partition("/")


# <start>
@router.get("/orders/{number}", dependencies=[Depends(sign_in)])
@cached(timedelta(minutes=5), tags=["orders", "orders:{number}"])
async def get_order(number: int) -> Order:
    """Return an order of whoever asks."""
    return await read_order(number)


# <end>
# <start-tenant>
@router.get("/price-list", dependencies=[Depends(sign_in)])
@cached(timedelta(hours=1), per="tenant", tags=["prices"])
async def list_prices() -> dict[str, int]:
    """Return what things cost in this tenant."""
    return {"lamp": 20}


# <end-tenant>
# <start-plan>
def plan_of(_: Request) -> str:
    """Return the plan that whoever asks has paid for."""
    current = context.current()
    return "pro" if current and current.principal in PAYING else "free"


@router.get("/features", dependencies=[Depends(sign_in)])
@cached(timedelta(hours=1), per=plan_of)
async def list_features(request: Request) -> list[str]:
    """Return what a plan has."""
    return ["search", "export"] if plan_of(request) == "pro" else ["search"]


# <end-plan>
# <start-public>
@router.get("/countries")
@cached(timedelta(days=1), public=True, vary=["Accept-Language"])
async def list_countries(accept_language: Annotated[str, Header()] = "en") -> list[str]:
    """Return the countries that are delivered to, in the language of the reader."""
    runs.append("countries")
    return ["Deutschland"] if accept_language == "de" else ["Germany"]


# <end-public>
# <start-stale>
@router.get("/weather")
@cached(
    timedelta(minutes=1),
    public=True,
    stale=timedelta(minutes=5),
    stale_if_error=timedelta(hours=1),
)
async def get_weather() -> str:
    """Return what another service says, or has said."""
    return await ask_another_service()


# <end-stale>
# <start-stock>
@router.get("/users/{user_id}")
@cache(expire=300)
async def get_user(user_id: int) -> dict[str, int]:
    """Return a user, as code for fastapi-cache2 does it."""
    runs.append("user")
    return {"id": user_id}


# <end-stock>
# <start-invalidate>
@router.post("/orders/{number}/cancellation", dependencies=[Depends(sign_in)], status_code=204)
async def cancel(number: int, request: Request) -> None:
    """Cancel an order, and forget all responses that show it."""
    await request.app.state.cache.invalidate(f"orders:{number}")


# <end-invalidate>
async def read_order(number: int) -> Order:
    """Return what the database has."""
    runs.append("order")
    current = context.current()
    return Order(number=number, buyer=str(current.principal) if current else "")


async def ask_another_service() -> str:
    """Return what it says."""
    return "sunny"


@pytest.fixture
def app() -> FastAPI:
    runs.clear()
    app = create_app(Settings(environment="test"))
    app.include_router(router)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with running(app) as client:
        yield client


ANN, BOB = {"Authorization": "Bearer shop/ann"}, {"Authorization": "Bearer shop/bob"}


async def test_the_exchange_of_the_guide(client: AsyncClient) -> None:
    first = await client.get("/orders/7", headers=ANN)
    second = await client.get("/orders/7", headers=ANN)
    stranger = await client.get("/orders/7", headers=BOB)
    nobody = await client.get("/orders/7")
    known = await client.get("/orders/7", headers={**ANN, "If-None-Match": second.headers["ETag"]})

    assert first.headers["Cache-Status"] == "baseline; fwd=miss; stored"
    assert second.headers["Cache-Status"].startswith("baseline; hit; ttl=")
    assert second.headers["Cache-Control"] == "private, no-cache"
    assert (second.json()["buyer"], stranger.json()["buyer"]) == ("ann", "bob")
    assert (nobody.status_code, known.status_code, runs) == (401, 304, ["order", "order"])


async def test_an_order_that_has_changed_is_read_again(client: AsyncClient) -> None:
    await client.get("/orders/7", headers=ANN)
    await client.post("/orders/7/cancellation", headers=ANN)
    await client.get("/orders/7", headers=ANN)

    assert runs == ["order", "order"]


async def test_a_tenant_and_a_plan_share(client: AsyncClient) -> None:
    for who in (ANN, BOB):
        prices = await client.get("/price-list", headers=who)
        features = await client.get("/features", headers=who)
    others = await client.get("/features", headers={"Authorization": "Bearer shop/eve"})

    assert prices.headers["Cache-Status"].startswith("baseline; hit")
    assert features.headers["Cache-Status"].startswith("baseline; hit")
    assert others.json() == ["search"]


async def test_what_is_public_is_the_same_for_all(client: AsyncClient) -> None:
    answers = [
        (await client.get("/countries", headers={"Accept-Language": language})).json()
        for language in ("de", "en", "de", "en")
    ]

    assert answers == [["Deutschland"], ["Germany"]] * 2
    assert runs == ["countries"] * 2


async def test_the_weather_is_kept(client: AsyncClient) -> None:
    answer = await client.get("/weather")

    assert "stale-while-revalidate=300, stale-if-error=3600" in answer.headers["Cache-Control"]


async def test_stock_code_runs_as_it_is(client: AsyncClient) -> None:
    answers = [await client.get("/users/7") for _ in range(2)]

    assert [answer.headers["X-FastAPI-Cache"] for answer in answers] == ["MISS", "HIT"]
    assert runs == ["user"]
