from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI, Response
from httpx2 import AsyncClient
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline import DatabaseUrl, Settings, create_app
from fastapi_baseline.ids import uuid7
from fastapi_baseline.persistence import Database, Transaction
from fastapi_baseline.persistence.models import Versioned
from fastapi_baseline.persistence.writing.preconditions import IfMatch, OptionalIfMatch, etag_of
from fastapi_baseline.persistence.writing.writes import Writes
from fastapi_baseline.testing import running


class Root(DeclarativeBase):
    pass


class Page(Root, Versioned):
    __tablename__ = "wiki_page"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=lambda: uuid7())  # noqa: PLW0108
    text: Mapped[str]


class Pages(Writes[Page]):
    pass


class PagePatch(BaseModel):
    text: str = ""


class PageOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    text: str
    version: int


def _app(url: str) -> FastAPI:
    app = create_app(Settings(database_url=DatabaseUrl(url)), configure_logging=False)

    @app.post("/pages", status_code=201)
    async def add(body: PagePatch, session: Transaction, response: Response) -> PageOut:
        page = await Pages(session).add(Page(text=body.text))
        response.headers["ETag"] = etag_of(page)
        return PageOut.model_validate(page)

    @app.patch("/pages/{page_id}")
    async def patch(
        page_id: UUID, body: PagePatch, session: Transaction, if_match: IfMatch, response: Response
    ) -> PageOut:
        page = await Pages(session).patch(page_id, body, expected_version=if_match)
        response.headers["ETag"] = etag_of(page)
        return PageOut.model_validate(page)

    @app.delete("/pages/{page_id}", status_code=204)
    async def delete(page_id: UUID, session: Transaction, if_match: OptionalIfMatch) -> None:
        await Pages(session).delete(page_id, expected_version=if_match)

    return app


@pytest.fixture
async def client(any_database_url: str) -> AsyncGenerator[AsyncClient]:
    database = Database(any_database_url, metadata=Root.metadata)
    await database.create_all()
    await database.dispose()
    async with running(_app(any_database_url)) as client:
        yield client


async def _page(client: AsyncClient) -> tuple[str, str]:
    answer = await client.post("/pages", json={"text": "one"})
    return f"/pages/{answer.json()['id']}", answer.headers["ETag"]


async def _patch(client: AsyncClient, path: str, *if_match: str) -> Any:
    headers = [("If-Match", value) for value in if_match]
    return await client.patch(path, json={"text": "two"}, headers=headers)


async def test_changes_the_version_that_the_client_has_seen(client: AsyncClient) -> None:
    path, tag = await _page(client)

    answer = await _patch(client, path, tag)

    assert (answer.status_code, answer.json()["text"]) == (200, "two")
    assert (tag, answer.headers["ETag"]) == ('"1"', '"2"')


@pytest.mark.parametrize("sent", [['"7", "1"'], ['"7"', '"1"'], ["*"]])
async def test_one_of_several_tags_is_enough(client: AsyncClient, sent: list[str]) -> None:
    path, _ = await _page(client)

    answer = await _patch(client, path, *sent)

    assert answer.status_code == 200


@pytest.mark.parametrize("tag", ['"2"', '"01"', '"x"', '""', 'W/"1"', f'"{2**70}"'])
async def test_refuses_another_version(client: AsyncClient, tag: str) -> None:
    path, _ = await _page(client)

    answer = await _patch(client, path, tag)

    assert (answer.status_code, answer.json()["code"]) == (412, "version_mismatch")
    assert (await _patch(client, path, '"1"')).status_code == 200


async def test_a_tag_can_be_used_once(client: AsyncClient) -> None:
    path, tag = await _page(client)

    answers = [await _patch(client, path, tag) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 412]


async def test_asks_for_the_version_that_is_meant(client: AsyncClient) -> None:
    path, _ = await _page(client)

    answer = await _patch(client, path)

    assert (answer.status_code, answer.json()["code"]) == (428, "precondition_required")


@pytest.mark.parametrize("value", ["", "3", '"3', '*, "3"', 'w/"3"'])
async def test_refuses_a_header_that_is_malformed(client: AsyncClient, value: str) -> None:
    path, _ = await _page(client)

    answer = await _patch(client, path, value)

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {
            "in": "header",
            "pointer": "#/If-Match",
            "detail": 'It must be "*", or a list of at most 100 entity tags such as "3".',
            "code": "invalid_entity_tag",
        }
    ]


async def test_what_is_not_there_is_not_found(client: AsyncClient) -> None:
    answer = await _patch(client, f"/pages/{uuid7()}", '"1"')

    assert answer.status_code == 404


async def test_a_client_need_not_say_what_it_expects_where_that_is_optional(
    client: AsyncClient,
) -> None:
    path, tag = await _page(client)

    refused = await client.delete(path, headers={"If-Match": '"9"'})
    done = await client.delete(path)
    gone = await client.delete(path, headers={"If-Match": tag})

    assert [answer.status_code for answer in (refused, done, gone)] == [412, 204, 404]


async def test_openapi_documents_the_header(client: AsyncClient) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"]["/pages/{page_id}"]["patch"]

    [header] = [found for found in operation["parameters"] if found["in"] == "header"]

    assert header["name"] == "If-Match"
    assert "412" in header["description"]
    assert header["schema"]["examples"] == ['"3"', "*"]
