"""Values that are read from elsewhere, kept, and forgotten when they change."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import APIRouter
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline import Settings, create_app
from fastapi_baseline.caching import AppCache, invalidate_after_commit
from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.persistence import (
    Base,
    ReadTransaction,
    Repository,
    Transaction,
    cache_tags,
)
from fastapi_baseline.testing import create_schema, running

router = APIRouter()
asked: list[str] = []
bank = {"is_open": True}


class Rate(BaseModel):
    """What a unit of a currency is worth."""

    currency: str
    rate: float


async def ask_bank(currency: str) -> Rate:
    """Ask somebody who takes their time."""
    asked.append(currency)
    if not bank["is_open"]:
        raise UnavailableError
    return Rate(currency=currency, rate=1.5)


# <start>
@router.get("/rates/{currency}")
async def get_rate(currency: str, cache: AppCache) -> Rate:
    """Return what the bank has said within the last hour."""

    async def read() -> Rate:
        return await ask_bank(currency)

    return await cache.get_or_set(
        currency, read, namespace="rates", type_=Rate, expire=timedelta(hours=1)
    )


# <end>
# <start-stale>
@router.get("/rates/{currency}/latest")
async def get_latest_rate(currency: str, cache: AppCache) -> Rate:
    """Return what the bank says, or has said if it does not answer."""

    async def read() -> Rate:
        return await ask_bank(currency)

    return await cache.get_or_set(
        currency,
        read,
        namespace="latest-rates",
        type_=Rate,
        expire=timedelta(seconds=10),
        stale=timedelta(minutes=1),
        stale_if_error=timedelta(days=1),
        tags=["rates", f"rates:{currency}"],
    )


# <end-stale>
# <start-invalidate>
@router.post("/rates/{currency}/changed", status_code=204)
async def forget_rate(currency: str, cache: AppCache) -> None:
    """Ask the bank again, whatever is kept."""
    await cache.invalidate(f"rates:{currency}")


# <end-invalidate>
# <start-model>
class Poster(Base):
    """Something to sell."""

    __cache_tag__ = "posters"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]


class Posters(Repository[Poster]):
    """All that there is to sell."""


class PosterBody(BaseModel):
    """A poster, as clients see it."""

    name: str
    price: int


@router.get("/posters/{poster_id}")
async def get_poster(poster_id: int, session: ReadTransaction, cache: AppCache) -> PosterBody:
    """Return a poster, which is read again when it was changed."""

    async def read() -> PosterBody:
        asked.append(f"poster {poster_id}")
        poster = await session.get_one(Poster, poster_id)
        return PosterBody(name=poster.name, price=poster.price)

    return await cache.get_or_set(
        str(poster_id),
        read,
        namespace="posters",
        type_=PosterBody,
        tags=cache_tags(Poster, poster_id),
    )


@router.put("/posters/{poster_id}")
async def change_poster(poster_id: int, body: PosterBody, session: Transaction) -> None:
    """Change a poster; the commit has everybody forget what they kept of it."""
    await Posters(session).update(poster_id, body.model_dump())


# <end-model>
# <start-by-hand>
@router.post("/sale", status_code=204)
async def begin_sale(session: Transaction, cache: AppCache) -> None:
    """Halve all prices."""
    await Posters(session).update_where(all_rows=True, values={"price": Poster.price / 2})
    invalidate_after_commit(session, cache, "shop-window")


# <end-by-hand>
@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    asked.clear()
    bank["is_open"] = True
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    app = create_app(Settings(environment="test", database_url=SecretStr(url)))
    app.include_router(router)
    async with running(app) as client:
        await create_schema(app)
        async with app.state.database.transaction() as session:
            session.add(Poster(id=1, name="lamp", price=100))
        yield client


async def test_asks_once_in_an_hour(client: AsyncClient) -> None:
    answers = [await client.get(f"/rates/{currency}") for currency in ("eur", "eur", "usd")]

    assert [answer.json()["rate"] for answer in answers] == [1.5, 1.5, 1.5]
    assert asked == ["eur", "usd"]


async def test_asks_again_when_it_is_told_to(client: AsyncClient) -> None:
    await client.get("/rates/eur/latest")
    await client.get("/rates/usd/latest")
    await client.post("/rates/eur/changed")
    await client.get("/rates/eur/latest")
    await client.get("/rates/usd/latest")

    assert asked == ["eur", "usd", "eur"]


async def test_an_error_is_not_kept(client: AsyncClient) -> None:
    bank["is_open"] = False
    failed = await client.get("/rates/eur")
    bank["is_open"] = True
    answer = await client.get("/rates/eur")

    assert (failed.status_code, answer.status_code) == (503, 200)


async def test_reads_a_product_again_when_it_was_changed(client: AsyncClient) -> None:
    body = {"name": "lamp", "price": 80}
    before = [await client.get("/posters/1") for _ in range(2)]
    await client.put("/posters/1", json=body)
    after = await client.get("/posters/1")
    await client.post("/sale")
    on_sale = await client.get("/posters/1")

    assert [answer.json()["price"] for answer in before] == [100, 100]
    assert (after.json(), on_sale.json()["price"]) == (body, 40)
    assert asked == ["poster 1"] * 3
