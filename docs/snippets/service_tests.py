"""Tests of a service; run by pytest, which finds the fixture `database_url` by itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import APIRouter
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import Base, Repository, Timestamps, Transaction, UUIDPrimaryKey
from fastapi_baseline.testing import ManualClock, create_schema, running


class Chair(Base, UUIDPrimaryKey, Timestamps):
    """A chair."""

    name: Mapped[str] = mapped_column(unique=True)


class Chairs(Repository[Chair]):
    """Chairs."""


class ChairBody(BaseModel):
    """A chair, as clients send it."""

    name: str


router = APIRouter()


@router.post("/chairs", status_code=201)
async def add_chair(body: ChairBody, session: Transaction) -> datetime:
    """Add a chair, and return when that was."""
    chair = await Chairs(session).add(Chair(name=body.name))
    return chair.created_at


# <start-fixtures>
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
async def client(database_url: str, clock: ManualClock) -> AsyncIterator[AsyncClient]:
    settings = Settings(environment="test", database_url=SecretStr(database_url))
    app = create_app(settings, clock=clock)
    app.include_router(router)  # A service does without: its domains are found.
    async with running(app) as client:
        await create_schema(app)
        yield client


# <end-fixtures>


# <start-tests>
async def test_refuses_a_name_that_is_taken(client: AsyncClient) -> None:
    await client.post("/chairs", json={"name": "red"})

    again = await client.post("/chairs", json={"name": "red"})

    assert again.status_code == 409
    assert again.json()["code"] == "unique_violation"


async def test_remembers_when_a_chair_was_added(client: AsyncClient, clock: ManualClock) -> None:
    clock.advance(timedelta(minutes=5))

    added = await client.post("/chairs", json={"name": "red"})

    assert datetime.fromisoformat(added.json()) == NOON + timedelta(minutes=5)


# <end-tests>
