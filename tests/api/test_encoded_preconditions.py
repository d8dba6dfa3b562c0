from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest
from fastapi import FastAPI, Response
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.middleware import Middleware

from fastapi_baseline.ids import uuid7
from fastapi_baseline.middleware import make_exception_handlers
from fastapi_baseline.middleware.compression import CompressionMiddleware
from fastapi_baseline.middleware.conditional_requests import ConditionalRequestsMiddleware
from fastapi_baseline.persistence import (
    Database,
    IfMatch,
    ReadRepository,
    ReadTransaction,
    Repository,
    Transaction,
    Versioned,
    etag_of,
)
from fastapi_baseline.settings import CompressionSettings

TEXT = "a long text " * 200


class Root(DeclarativeBase):
    pass


class Letter(Root, Versioned):
    __tablename__ = "encoded_letter"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=lambda: uuid7())  # noqa: PLW0108 -- a default takes no keywords
    text: Mapped[str]


class LetterReader(ReadRepository[Letter]):
    pass


class Letters(Repository[Letter]):
    pass


class LetterBody(BaseModel):
    text: str


def _app() -> FastAPI:
    app = FastAPI(
        middleware=[
            Middleware(CompressionMiddleware, settings=CompressionSettings()),
            Middleware(ConditionalRequestsMiddleware),
        ],
        exception_handlers={**make_exception_handlers(validation_status=422)},
    )

    @app.post("/letters")
    async def add(body: LetterBody, session: Transaction) -> UUID:
        return (await Letters(session).add(Letter(text=body.text))).id

    @app.get("/letters/{letter_id}")
    async def get(letter_id: UUID, session: ReadTransaction, response: Response) -> LetterBody:
        letter = await LetterReader(session).get(letter_id)
        response.headers["ETag"] = etag_of(letter)
        return LetterBody(text=letter.text)

    @app.put("/letters/{letter_id}")
    async def put(
        letter_id: UUID,
        body: LetterBody,
        session: Transaction,
        if_match: IfMatch,
        response: Response,
    ) -> LetterBody:
        letter = await Letters(session).patch(letter_id, body, expected_version=if_match)
        response.headers["ETag"] = etag_of(letter)
        return LetterBody(text=letter.text)

    return app


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[AsyncClient]:
    database = Database(f"sqlite:///{tmp_path / 'letters.db'}", metadata=Root.metadata)
    await database.create_all()
    app = _app()
    database.attach(app)
    async with AsyncClient(
        transport=ASGITransport(app), base_url="http://test", headers={"Accept-Encoding": "gzip"}
    ) as client:
        yield client
    await database.dispose()


@pytest.fixture
async def path(client: AsyncClient) -> str:
    added = await client.post("/letters", json={"text": TEXT})
    return f"/letters/{added.json()}"


async def test_a_version_that_was_read_encoded_can_be_changed(
    client: AsyncClient, path: str
) -> None:
    read = await client.get(path)
    changed = await client.put(
        path, json={"text": TEXT + "!"}, headers={"If-Match": read.headers["ETag"]}
    )
    changed_again = await client.put(
        path, json={"text": "short"}, headers={"If-Match": changed.headers["ETag"]}
    )

    assert (read.headers["Content-Encoding"], read.headers["ETag"]) == ("gzip", '"1-gzip"')
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2-gzip"')
    assert (changed_again.status_code, changed_again.headers["ETag"]) == (200, '"3"')


async def test_a_version_that_has_changed_is_not_overwritten(
    client: AsyncClient, path: str
) -> None:
    match = {"If-Match": (await client.get(path)).headers["ETag"]}
    await client.put(path, json={"text": "first"}, headers=match)

    second = await client.put(path, json={"text": "second"}, headers=match)

    assert (second.status_code, second.json()["code"]) == (412, "version_mismatch")


async def test_a_change_is_never_answered_as_not_modified(client: AsyncClient, path: str) -> None:
    tag = (await client.get(path)).headers["ETag"]

    changed = await client.put(
        path, json={"text": "new"}, headers={"If-Match": tag, "If-None-Match": "*"}
    )
    read = await client.get(path, headers={"If-None-Match": tag})

    assert (changed.status_code, read.status_code) == (200, 200)
    assert read.json() == {"text": "new"}
