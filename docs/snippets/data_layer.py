"""The data layer at a glance, as the README shows it."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Query
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import (
    Base,
    CursorPage,
    CursorQuery,
    IfMatch,
    Range,
    ReadRepository,
    ReadTransaction,
    Repository,
    Spec,
    Timestamps,
    Transaction,
    UUIDPrimaryKey,
    Versioned,
)
from fastapi_baseline.testing import create_schema, running

app = APIRouter()


class BookOut(BaseModel):
    id: UUID
    title: str
    price: int
    version: int


class BookChanges(BaseModel):
    title: str = ""
    price: int = 0


# <start>
class Book(Base, UUIDPrimaryKey, Timestamps, Versioned):
    title: Mapped[str] = mapped_column(unique=True)
    price: Mapped[int]


class BookQuery(CursorQuery[Book], sort=(Book.title, Book.price), search=(Book.title,)):
    price: Range[int] | None = None


class BookReader(ReadRepository[Book]):
    def cheap(self) -> Spec[Book]:
        return Spec(Book.price < 10)


class Books(BookReader, Repository[Book]): ...


@app.get("/books")
async def list_books(
    query: Annotated[BookQuery, Query()], session: ReadTransaction
) -> CursorPage[BookOut]:
    return await BookReader(session).scroll(query, as_=BookOut)


@app.patch("/books/{book_id}", response_model=BookOut)
async def change_book(
    book_id: UUID, body: BookChanges, session: Transaction, if_match: IfMatch
) -> Book:
    return await Books(session).patch(book_id, body, expected_version=if_match)


# <end>


@app.post("/books", status_code=201)
async def add_book(body: BookChanges, session: Transaction) -> UUID:
    return (await Books(session).add(Book(title=body.title, price=body.price))).id


@app.delete("/books/cheap")
async def remove_cheap_books(session: Transaction) -> int:
    books = Books(session)
    return await books.delete_where(books.cheap())


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[AsyncClient]:
    service = create_app(Settings(environment="test", database_url=SecretStr(database_url)))
    service.include_router(app)
    async with running(service) as client:
        await create_schema(service)
        yield client


async def test_it_does_what_the_readme_says(client: AsyncClient) -> None:
    emma = (await client.post("/books", json={"title": "Emma", "price": 12})).json()
    await client.post("/books", json={"title": "Persuasion", "price": 9})
    path = f"/books/{emma}"

    listed = (await client.get("/books?price[gte]=9&q=E&sort=-price&limit=1")).json()
    refused = await client.get("/books?colour=red")
    changed = await client.patch(path, json={"price": 11}, headers={"If-Match": '"1"'})
    stale = await client.patch(path, json={"price": 10}, headers={"If-Match": '"1"'})
    removed = (await client.delete("/books/cheap")).json()

    assert [book["title"] for book in listed["items"]] == ["Emma"]
    assert listed["next"]
    assert refused.status_code == 422
    assert (changed.json()["version"], stale.status_code, removed) == (2, 412, 1)
