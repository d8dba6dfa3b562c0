"""What a client may rely on, over a real socket."""

import asyncio
import os
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import Text, text

from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import PostgresServer, ServerProcess, uvicorn_server

_APP = """
import asyncio
import time
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import Base, Database, ReadTransaction, Repository, Transaction
from fastapi_baseline.persistence.transaction import _begin
from pydantic import BaseModel
from sqlalchemy import ForeignKey, event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from tests.tables import create_tables


class Note(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Answer(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    note_id: Mapped[int] = mapped_column(
        ForeignKey("note.id", deferrable=True, initially="DEFERRED")
    )


class NoteIn(BaseModel):
    name: str


class NoteRepository(Repository[Note]):
    pass


@asynccontextmanager
async def lifespan(app: FastAPI):
    database: Database = app.state.database
    await create_tables(database, __name__)
    pause = lambda connection: time.sleep(app.state.commit_takes)
    event.listen(database.engine.sync_engine, "commit", pause)
    yield


app = create_app(Settings(), lifespan=lifespan)
app.state.commit_takes = 0.0


@app.put("/commits/{seconds}", status_code=204)
async def pause_commits(seconds: float) -> None:
    app.state.commit_takes = seconds


@app.post("/notes", status_code=201)
async def add_note(body: NoteIn, session: Transaction) -> str:
    return (await NoteRepository(session).add(Note(name=body.name))).name


@app.post("/late", status_code=201)
async def add_late(body: NoteIn, session: Annotated[AsyncSession, Depends(_begin)]) -> str:
    return (await NoteRepository(session).add(Note(name=body.name))).name


@app.get("/notes")
async def count_notes(session: ReadTransaction) -> int:
    return await NoteRepository(session).count()


@app.post("/answers", status_code=201)
async def add_answer(session: Transaction) -> str:
    session.add(Answer(note_id=4711))
    await session.flush()
    return "answered"


@app.post("/broken", status_code=201)
async def add_and_lose_the_connection(body: NoteIn, session: Transaction) -> str:
    await NoteRepository(session).add(Note(name=body.name))
    backend = await session.scalar(text("SELECT pg_backend_pid()"))
    async with app.state.database.transaction() as other:
        await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
        gone = text("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = :pid")
        while not await other.scalar(gone, {"pid": backend}):
            await other.execute(text("SELECT pg_stat_clear_snapshot()"))
    return "added"


@app.post("/increments", status_code=204)
async def increment(session: Transaction) -> None:
    [note] = await NoteRepository(session).list()
    await asyncio.sleep(0.02)
    note.name = str(int(note.name) + 1)
"""

StartService = Callable[..., AbstractContextManager[ServerProcess]]


@pytest.fixture(scope="module")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> StartService:
    folder = tmp_path_factory.mktemp("noteservice")
    (folder / "noteservice.py").write_text(_APP)

    @contextmanager
    def start(url: str) -> Generator[ServerProcess]:
        environment = {
            "DATABASE_URL": url,
            "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        }
        with uvicorn_server("noteservice:app", env=environment, cwd=folder) as server:
            yield server

    return start


@dataclass(frozen=True, kw_only=True)
class Running:
    """A service and its database."""

    server: ServerProcess
    url: str


@pytest.fixture(scope="module", params=["sqlite", "asyncpg", "psycopg"])
def shared_service(
    request: pytest.FixtureRequest,
    start_service: StartService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Running]:
    """Give one that several tests use: to start it takes longer than all that they ask of it."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'test.db'}"
        else:
            postgres: PostgresServer = request.getfixturevalue("postgres_server")
            rest = stack.enter_context(postgres.database()).partition("://")[2]
            url = f"postgresql+{request.param}://{rest}"
        yield Running(server=stack.enter_context(start_service(url)), url=url)


@pytest.fixture
async def service(shared_service: Running) -> Running:
    """Give a service whose database is empty."""
    async with _client(shared_service.server) as client:
        await client.put("/commits/0")
    database = Database(shared_service.url)
    async with database.transaction() as session:
        for table in ("answer", "note"):
            await session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 -- one of these two
    await database.dispose()
    return shared_service


def _client(server: ServerProcess) -> AsyncClient:
    return AsyncClient(base_url=server.base_url, timeout=30)


async def _post(client: AsyncClient, path: str, **body: Any) -> Response:
    return await client.post(path, json=body or None)


async def _names(url: str) -> list[str]:
    database = Database(url)
    async with database.read_transaction() as session:
        statement = text("SELECT name FROM note ORDER BY name").columns(name=Text)
        names = (await session.scalars(statement)).all()
    await database.dispose()
    return [*names]


async def test_what_is_answered_with_201_is_visible_to_others(service: Running) -> None:
    async with _client(service.server) as client:
        await client.put("/commits/0.5")
        response = await _post(client, "/notes", name="a")
        names = await _names(service.url)

    assert response.status_code == 201
    assert names == ["a"]


async def test_the_default_scope_of_a_dependency_would_answer_before_the_commit(
    service: Running,
) -> None:
    async with _client(service.server) as client:
        await client.put("/commits/0.5")
        response = await _post(client, "/late", name="a")
        names = await _names(service.url)
        async with asyncio.timeout(30):
            while not await _names(service.url):  # noqa: ASYNC110 -- the service is another process
                await asyncio.sleep(0.01)

    assert response.status_code == 201
    assert names == []


async def test_a_commit_that_fails_is_answered_with_409_and_the_next_requests_work(
    service: Running,
) -> None:
    async with _client(service.server) as client:
        refused = await _post(client, "/answers")
        added = [await _post(client, "/notes", name=f"{number}") for number in range(8)]
        again = await _post(client, "/answers")
        taken = await _post(client, "/notes", name="1")
        count = (await client.get("/notes")).json()

    assert (refused.status_code, again.status_code) == (409, 409)
    assert refused.json()["code"] == "foreign_key_violation"
    assert refused.headers["content-type"] == "application/problem+json"
    assert [response.status_code for response in added] == [201] * 8
    assert taken.status_code == 409
    assert [field["pointer"] for field in taken.json()["errors"]] == ["#/name"]
    assert count == 8
    assert len(await _names(service.url)) == 8


@pytest.mark.parametrize("shared_service", ["asyncpg", "psycopg"], indirect=True)
async def test_a_connection_lost_before_the_commit_is_answered_with_503(service: Running) -> None:
    async with _client(service.server) as client:
        lost = await _post(client, "/broken", name="lost")
        after = [await _post(client, "/notes", name=f"{number}") for number in range(3)]

    assert lost.status_code == 503
    assert lost.headers["retry-after"] == "5"
    assert [response.status_code for response in after] == [201] * 3
    assert await _names(service.url) == ["0", "1", "2"]


async def test_a_process_that_is_killed_loses_nothing_that_it_answered(
    start_service: StartService, any_database_url: str
) -> None:
    with start_service(any_database_url) as server:
        async with _client(server) as client:
            for number in range(5):
                response = await _post(client, "/notes", name=f"{number}")
                assert response.status_code == 201
            server.kill()

    assert await _names(any_database_url) == ["0", "1", "2", "3", "4"]


async def test_concurrent_changes_of_one_row_add_up_on_sqlite(
    start_service: StartService, sqlite_url: str
) -> None:
    with start_service(sqlite_url) as first, start_service(sqlite_url) as second:
        async with _client(first) as one, _client(second) as other:
            await _post(one, "/notes", name="0")
            in_one_process = [_post(one, "/increments") for _ in range(5)]
            responses = await asyncio.gather(*in_one_process)
            assert await _names(sqlite_url) == ["5"]

            in_both = [_post(client, "/increments") for client in (one, other) for _ in range(5)]
            responses += await asyncio.gather(*in_both)

    assert {response.status_code for response in responses} == {204}
    assert await _names(sqlite_url) == ["15"]


async def test_a_hundred_writers_at_once_all_succeed(service: Running) -> None:
    async with _client(service.server) as client:
        responses = await asyncio.gather(
            *(_post(client, "/notes", name=f"{number}") for number in range(100))
        )

    assert {response.status_code for response in responses} == {201}
    assert len(await _names(service.url)) == 100
