"""A cache that was written for fastapi-cache2, as it is and moved."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter
from fastapi_cache.decorator import cache
from httpx2 import AsyncClient
from pydantic import BaseModel

from fastapi_baseline import Settings, create_app
from fastapi_baseline.caching import cached
from fastapi_baseline.testing import running

router = APIRouter()
runs: list[int] = []


class User(BaseModel):
    """Somebody."""

    id: int
    runs: int


# <start>
@router.get("/users/{user_id}")
@cache(expire=300)
async def get_user(user_id: int) -> User:
    """Return somebody."""
    runs.append(user_id)
    return User(id=user_id, runs=len(runs))


# <end>
# <start-moved>
@router.get("/members/{user_id}")
@cached(expire=300, tags=["users", "user:{user_id}"])
async def get_member(user_id: int) -> User:
    """Return somebody."""
    runs.append(user_id)
    return User(id=user_id, runs=len(runs))


# <end-moved>


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    runs.clear()
    app = create_app(Settings(environment="test"))
    app.include_router(router)
    async with running(app) as client:
        yield client


async def test_a_stock_decorator_runs_on_this_cache(client: AsyncClient) -> None:
    answers = [await client.get(f"/users/{number}") for number in (1, 1, 2)]
    other = await client.get("/users/1", headers={"Authorization": "Bearer ann"})

    assert [answer.json()["runs"] for answer in answers] == [1, 1, 2]
    assert [answer.headers["X-FastAPI-Cache"] for answer in answers] == ["MISS", "HIT", "MISS"]
    assert other.json()["runs"] == 3


async def test_ours_takes_its_place(client: AsyncClient) -> None:
    answers = [await client.get(f"/members/{number}") for number in (1, 1, 2)]
    other = await client.get("/members/1", headers={"Authorization": "Bearer ann"})

    assert [answer.json()["runs"] for answer in answers] == [1, 1, 2]
    assert answers[0].headers["Cache-Status"].startswith("baseline; fwd=miss")
    assert answers[1].headers["Cache-Status"].startswith("baseline; hit; ttl=")
    assert other.json()["runs"] == 3
