import re
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event

from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import DatabaseSettings
from fastapi_baseline.testing import ManualClock, PostgresServer
from tests.tables import create_tables, tables_of

StatementLog = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def _module_of(request: pytest.FixtureRequest) -> str:
    return str(cast("ModuleType", request.module).__name__)  # pyright: ignore[reportUnknownMemberType] -- pytest does not say


class RecycledDatabases:
    """PostgreSQL databases with the tables of one test module, emptied between its tests.

    To make one takes longer than most tests do. One that a test has left otherwise than it found
    it, with a function or another table, is not used again.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._module = ""
        self._free: list[str] = []
        self._connections: dict[str, psycopg.Connection] = {}

    def take(self, module: str) -> str:
        if module != self._module:
            self.close()
            self._module = module
        return self._free.pop() if self._free else self._server.create_database()

    def has_tables(self, url: str) -> bool:
        return url in self._connections

    def give_back(self, url: str, *, tables: set[str]) -> None:
        if url not in self._connections:
            self._connections[url] = psycopg.connect(url, autocommit=True)
        if _is_emptied(self._connections[url], tables):
            self._free.append(url)
        else:
            self._drop(url)

    def close(self) -> None:
        while self._free:
            self._drop(self._free.pop())

    def _drop(self, url: str) -> None:
        self._connections.pop(url).close()
        self._server.drop_database(url)


_END_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# What was written to, if only by a transaction that was rolled back: to empty a table costs as much
# as several tests, and each test writes to few of those of its module.
_WRITTEN = """
SELECT tablename FROM pg_tables WHERE schemaname = 'public'
    AND pg_relation_size(format('%I.%I', schemaname, tablename)::regclass) > 0
"""
_OTHER_THINGS = """
SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
    + (SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql')
    + (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN
        ('public', 'information_schema'))
    + (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relkind IN ('v', 'm', 'f'))
    + (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal)
    + (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase =
        (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


def _is_emptied(connection: psycopg.Connection, tables: set[str]) -> bool:
    connection.execute(_END_CONNECTIONS)
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    others = connection.execute(_OTHER_THINGS).fetchone()
    if {name for (name,) in found} != tables or others != (0,):
        return False
    written = [name for (name,) in connection.execute(_WRITTEN)]
    if written:
        names = sql.SQL(", ").join(map(sql.Identifier, written))
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))
    return True


@pytest.fixture(scope="session")
def recycled_databases(postgres_server: PostgresServer) -> Generator[RecycledDatabases]:
    databases = RecycledDatabases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """Give what the fixture of the same name gives everywhere; `database` takes a used one."""
    driver: str = request.param
    if driver == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    prefix = f"postgresql+{driver}://"
    if "database" not in request.fixturenames:
        url: str = request.getfixturevalue("postgres_url")
        yield url.replace("postgresql://", prefix, 1)
        return
    tables = {table.name for table in tables_of(_module_of(request))}
    # Not before a test needs it: most modules run without a server, too.
    databases: RecycledDatabases = request.getfixturevalue("recycled_databases")
    url = databases.take(request.node.nodeid.partition("::")[0])
    yield url.replace("postgresql://", prefix, 1)
    databases.give_back(url, tables=tables)


def _is_used(request: pytest.FixtureRequest, url: str) -> bool:
    """Return whether another test has made the tables, of the same module."""
    if url.startswith("sqlite"):
        return False
    databases: RecycledDatabases = request.getfixturevalue("recycled_databases")
    return databases.has_tables(re.sub(r"\+\w+", "", url, count=1))


@pytest.fixture
async def database(
    request: pytest.FixtureRequest, any_database_url: str, clock: ManualClock
) -> AsyncGenerator[Database]:
    database = Database(any_database_url, clock=clock)
    if not _is_used(request, any_database_url):
        await create_tables(database, _module_of(request))
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
async def postgres_database(
    request: pytest.FixtureRequest, any_postgres_url: str
) -> AsyncGenerator[Database]:
    database = Database(any_postgres_url)
    await create_tables(database, _module_of(request))
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
