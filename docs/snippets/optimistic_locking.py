"""Changes that overwrite nothing unseen."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from fastapi import APIRouter, Response
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import Mapped

from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import (
    Base,
    IfMatch,
    ReadRepository,
    ReadTransaction,
    Repository,
    Transaction,
    UUIDPrimaryKey,
    Versioned,
    VersionMismatchError,
    etag_of,
)
from fastapi_baseline.testing import create_schema, running

router = APIRouter()


# <start>
class Article(Base, UUIDPrimaryKey, Versioned):
    """An article, which several people write."""

    title: Mapped[str]
    text: Mapped[str]


class ArticleReader(ReadRepository[Article]):
    """Articles, in a transaction that only reads."""


class Articles(Repository[Article]):
    """Articles, in a transaction that also writes."""


# <end>


class ArticleOut(BaseModel):
    """An article, as clients get it."""

    title: str
    text: str


class ArticleIn(BaseModel):
    """An article, as clients send it."""

    title: str
    text: str = ""


@router.post("/articles", status_code=201)
async def add_article(body: ArticleIn, session: Transaction, response: Response) -> UUID:
    """Add an article."""
    article = await Articles(session).add(Article(title=body.title, text=body.text))
    response.headers["ETag"] = etag_of(article)
    return article.id


# <start-routes>
class ArticleChanges(BaseModel):
    """What to change; what is left out stays, whatever its default here."""

    title: str = ""
    text: str = ""


@router.get("/articles/{article_id}", response_model=ArticleOut)
async def get_article(article_id: UUID, session: ReadTransaction, response: Response) -> Article:
    """Return an article; its `ETag` is what a change asks for in `If-Match`."""
    article = await ArticleReader(session).get(article_id)
    response.headers["ETag"] = etag_of(article)
    return article


@router.patch("/articles/{article_id}", response_model=ArticleOut)
async def change_article(
    article_id: UUID,
    body: ArticleChanges,
    session: Transaction,
    if_match: IfMatch,
    response: Response,
) -> Article:
    """Change an article, if nobody else has changed it meanwhile."""
    article = await Articles(session).patch(article_id, body, expected_version=if_match)
    response.headers["ETag"] = etag_of(article)
    return article


# <end-routes>


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[AsyncClient]:
    app = create_app(Settings(environment="test", database_url=SecretStr(database_url)))
    app.include_router(router)
    async with running(app) as client:
        await create_schema(app)
        yield client


async def test_the_exchange_of_the_guide(client: AsyncClient) -> None:
    added = await client.post("/articles", json={"title": "Plan", "text": "A"})
    path = f"/articles/{added.json()}"
    got = await client.get(path)
    match = {"If-Match": got.headers["ETag"]}

    first = await client.patch(path, json={"text": "B"}, headers=match)
    second = await client.patch(path, json={"text": "C"}, headers=match)
    without = await client.patch(path, json={"text": "D"})
    wrong = await client.patch(path, json={"text": "D"}, headers={"If-Match": "1"})

    assert (added.headers["ETag"], first.headers["ETag"]) == ('"1"', '"2"')
    assert (first.status_code, first.json()) == (200, {"title": "Plan", "text": "B"})
    assert (second.status_code, second.json()["code"]) == (412, "version_mismatch")
    assert (without.status_code, without.json()["code"]) == (428, "precondition_required")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_request")


async def test_a_service_may_check_versions_by_itself(session: Transaction) -> None:
    articles = Articles(session)
    article = await articles.add(Article(title="Plan", text="A"))
    seen = article.version
    await articles.update(article.id, {"text": "B"})

    with pytest.raises(VersionMismatchError):
        # <start-expected>
        await articles.update(article.id, {"text": "C"}, expected_version=seen)
        # <end-expected>
