"""Bodies that are made after the route has returned."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from httpx2 import AsyncClient, RemoteProtocolError
from sqlalchemy import func, literal, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapped, mapped_column
from starlette.requests import ClientDisconnect
from starlette.types import Message

from fastapi_baseline.persistence import Base, Database, ReadTransaction, Transaction
from fastapi_baseline.persistence.transaction import StreamTransaction
from fastapi_baseline.settings import DatabaseSettings
from fastapi_baseline.testing import ServerProcess, running, uvicorn_server
from tests.tables import create_tables

_APP = """
import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import ReadTransaction
from fastapi_baseline.persistence.transaction import StreamTransaction
from sqlalchemy import literal, select

app = create_app(Settings())


def numbers(last: int):
    tree = select(literal(1).label("n")).cte("numbers", recursive=True)
    tree = tree.union_all(select(tree.c.n + 1).where(tree.c.n < last))
    return select(tree.c.n)


@app.get("/streamed")
async def streamed(session: StreamTransaction, last: int) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        async for number in await session.stream_scalars(numbers(last)):
            yield f"{number}\\n"

    return StreamingResponse(lines())


@app.get("/yielded")
async def yielded(session: StreamTransaction, last: int) -> AsyncIterator[int]:
    async for number in await session.stream_scalars(numbers(last)):
        yield number


@app.get("/hanging")
async def hanging(session: StreamTransaction) -> AsyncIterator[int]:
    async for number in await session.stream_scalars(numbers(9)):
        yield number
        await asyncio.Event().wait()


@app.get("/late")
async def late(session: ReadTransaction) -> AsyncIterator[int]:
    yield 0
    async for number in await session.stream_scalars(numbers(9)):
        yield number


@app.get("/count")
async def count(session: ReadTransaction) -> int:
    return len((await session.scalars(numbers(3))).all())
"""

# With one connection, whoever needs it waits until it is given back.
_ONE = {"DATABASE__POOL_SIZE": "1"}
_MANY = 1_000_000


class Line(Base):
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def server(any_database_url: str, tmp_path: Path) -> Generator[ServerProcess]:
    (tmp_path / "streamservice.py").write_text(_APP)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {"DATABASE_URL": any_database_url, "PYTHONPATH": path, **_ONE}
    with uvicorn_server("streamservice:app", env=environment, cwd=tmp_path) as server:
        yield server


def _client(server: ServerProcess) -> AsyncClient:
    return AsyncClient(base_url=server.base_url, timeout=30)


async def _leave_after_the_first_line(server: ServerProcess, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"1\n")
    writer.close()
    await writer.wait_closed()


async def test_reads_while_the_body_is_sent(server: ServerProcess) -> None:
    async with _client(server) as client:
        streamed = await client.get("/streamed", params={"last": 1000})
        yielded = await client.get("/yielded", params={"last": 1000})

    assert [int(line) for line in streamed.text.split()] == [*range(1, 1001)]
    assert yielded.text == streamed.text


async def test_a_client_that_leaves_gives_the_connection_back(server: ServerProcess) -> None:
    for path in (f"/streamed?last={_MANY}", f"/yielded?last={_MANY}", "/hanging"):
        await _leave_after_the_first_line(server, path)
        await _leave_after_the_first_line(server, path)

    async with _client(server) as client:
        response = await client.get("/count")

    assert response.status_code == 200
    assert response.json() == 3


async def test_a_read_transaction_is_over_when_a_route_that_yields_begins(
    server: ServerProcess,
) -> None:
    async with _client(server) as client:
        with pytest.raises(RemoteProtocolError):
            await client.get("/late")
        count = await client.get("/count")

    assert count.json() == 3


@pytest.fixture
async def one_connection(any_database_url: str) -> AsyncGenerator[Database]:
    database = Database(any_database_url, settings=DatabaseSettings(pool_size=1))
    await create_tables(database, __name__)
    yield database
    await database.dispose()


def _in_use(database: Database) -> int:
    pool: Any = database.read_engine.pool
    return pool.checkedout()


async def _ask_and_vanish(app: FastAPI, path: str) -> None:
    """Send a request as servers do that tell of a client's end when something is sent to it."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message.get("body"):
            raise OSError
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    with pytest.raises(ClientDisconnect):
        await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


# psycopg misses the end of a cursor that the server holds; it ended with its transaction.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function ServerCursorMixin")
async def test_the_connection_is_back_before_the_server_is_told_that_all_is_over(
    one_connection: Database,
) -> None:
    app = FastAPI()
    one_connection.attach(app)
    bodies: list[AsyncIterator[str]] = []

    @app.get("/")
    async def stream(session: StreamTransaction) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            rows = await session.stream_scalars(
                select(literal("a")).union_all(select(literal("b")))
            )
            async for row in rows:
                yield row

        bodies.append(lines())  # Held, so that no garbage collector can help.
        return StreamingResponse(bodies[-1])

    await _ask_and_vanish(app, "/")

    assert _in_use(one_connection) == 0
    async with one_connection.read_transaction() as session:
        assert await session.scalar(select(literal(1))) == 1


async def test_what_is_written_after_the_commit_is_an_error_and_not_lost(
    one_connection: Database,
) -> None:
    app = FastAPI()
    one_connection.attach(app)

    @app.get("/")
    async def stream(session: Transaction) -> AsyncIterator[int]:
        session.add(Line(id=1))
        await session.flush()
        yield 1

    async with running(app, raise_app_exceptions=True) as client:
        with pytest.raises(InvalidRequestError, match="permanently closed"):
            await client.get("/")

    assert await _count(one_connection) == 0


async def test_a_route_may_write_and_then_stream(one_connection: Database) -> None:
    app = FastAPI()
    one_connection.attach(app)

    @app.get("/")
    async def stream(writing: Transaction, reading: StreamTransaction) -> StreamingResponse:
        writing.add(Line(id=1))

        async def lines() -> AsyncIterator[str]:
            async for line in await reading.stream_scalars(select(Line.id)):
                yield str(line)

        return StreamingResponse(lines())

    async with running(app) as client:
        response = await client.get("/")

    assert response.text == "1"


async def _count(database: Database) -> int | None:
    async with database.read_transaction() as session:
        return await session.scalar(select(func.count()).select_from(Line))


async def test_many_streams_leave_no_connection_behind(one_connection: Database) -> None:
    app = FastAPI()
    one_connection.attach(app)

    @app.get("/fail")
    async def fail(session: StreamTransaction) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            await session.scalar(select(literal(1)))
            yield "a"
            raise LookupError

        return StreamingResponse(lines())

    @app.get("/none")
    async def none(session: StreamTransaction, reading: ReadTransaction) -> int:
        return 0

    async with running(app) as client:
        for _ in range(3):
            await client.get("/fail")
            await client.get("/none")

    assert _in_use(one_connection) == 0
