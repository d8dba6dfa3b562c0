import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Table, event

from fastapi_baseline.persistence import Base, Database
from fastapi_baseline.settings import DatabaseSettings
from fastapi_baseline.testing import ManualClock

StatementLog = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def _tables_of(module: ModuleType) -> list[Table[Any]]:
    """Return the tables that a test module defines; there are hundreds in all modules together."""
    mapped: set[Table[Any]] = {
        table
        for mapper in Base.registry.mappers
        if mapper.class_.__module__ == module.__name__
        for table in mapper.tables
        if isinstance(table, Table)
    }
    plain: set[Table[Any]] = {value for value in vars(module).values() if isinstance(value, Table)}
    return [table for table in Base.metadata.sorted_tables if table in mapped | plain]


@pytest.fixture
async def database(
    request: pytest.FixtureRequest, any_database_url: str, clock: ManualClock
) -> AsyncGenerator[Database]:
    database = Database(any_database_url, clock=clock)
    tables = _tables_of(request.module)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] -- pytest does not say
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all, tables=tables)
    yield database
    await database.dispose()


@pytest.fixture
def statements(database: Database) -> StatementLog:
    """Give what lists the statements that writing transactions send inside of a block."""

    @contextmanager
    def record() -> Generator[list[str]]:
        sent: list[str] = []

        def note(*details: Any) -> None:
            statement: str = details[2]
            if not statement.startswith("BEGIN"):
                sent.append(statement)

        engine = database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        yield sent
        event.remove(engine, "before_cursor_execute", note)

    return record


@pytest.fixture(params=["asyncpg", "psycopg"])
def any_postgres_url(request: pytest.FixtureRequest, postgres_url: str) -> str:
    return postgres_url.replace("://", f"+{request.param}://", 1)


@pytest.fixture
async def postgres_database(any_postgres_url: str) -> AsyncGenerator[Database]:
    database = Database(any_postgres_url)
    await database.create_all()
    yield database
    await database.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture(params=["asyncpg", "psycopg", "asyncpg and silence", "psycopg and silence"])
async def unreachable_database(request: pytest.FixtureRequest) -> AsyncGenerator[Database]:
    """Give a database at an address where nobody listens, or somebody who never answers."""
    driver, _, silence = request.param.partition(" and ")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if not silence:
        listener.close()
    settings = DatabaseSettings(connect_timeout=timedelta(seconds=1))
    database = Database(f"postgresql+{driver}://user:pw@127.0.0.1:{port}/name", settings=settings)
    yield database
    await database.dispose()
    listener.close()
