# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI, Request
from sqlalchemy import Text, event, select, text
from sqlalchemy.exc import DBAPIError

from fastapi_baseline import Settings
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import (
    Database,
    DatabaseUnavailableError,
    ReadTransaction,
    StatementTimeoutError,
    Transaction,
)
from fastapi_baseline.settings import DatabaseSettings
from fastapi_baseline.testing import running


@pytest.fixture
async def other(any_postgres_url: str) -> AsyncGenerator[Database]:
    """Give another way to the same server, for what an operator does."""
    database = Database(any_postgres_url, application_name="operator")
    yield database
    await database.dispose()


async def _end_all_but_mine(operator: Database) -> None:
    async with operator.transaction() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


async def test_a_connection_that_died_in_the_pool_is_replaced(
    postgres_database: Database, other: Database
) -> None:
    async with postgres_database.transaction() as one, postgres_database.transaction() as two:
        await one.execute(select(1))
        await two.execute(select(1))
    await _end_all_but_mine(other)

    for _ in range(3):
        async with postgres_database.transaction() as session:
            assert await session.scalar(select(1)) == 1


async def test_an_error_of_the_network_while_it_is_asked_replaces_a_connection(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect: Any = postgres_database.engine.dialect
    asked: list[object] = []

    def fail(connection: object) -> bool:
        asked.append(connection)
        raise ConnectionResetError

    async with postgres_database.transaction() as session:
        await session.execute(select(1))
    monkeypatch.setattr(dialect, "do_ping", fail)

    async with postgres_database.transaction() as session:
        assert await session.scalar(select(1)) == 1
    assert len(asked) == 1


async def test_a_connection_lost_in_a_statement_is_told(
    postgres_database: Database, other: Database
) -> None:
    with pytest.raises(DatabaseUnavailableError):
        async with postgres_database.transaction() as session:
            await session.execute(select(1))
            await _end_all_but_mine(other)
            await session.execute(select(1))

    await postgres_database.ping()


async def test_a_lost_connection_that_is_passed_over_is_not_taken_for_success(
    postgres_database: Database, other: Database
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- the next line is about its kind
        async with postgres_database.transaction() as session:
            await session.execute(select(1))
            await _end_all_but_mine(other)
            with contextlib.suppress(DBAPIError, DatabaseUnavailableError):
                await session.execute(select(1))

    assert type(caught.value).__module__ == "fastapi_baseline.persistence.errors"
    await postgres_database.ping()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ConnectionResetError(), DatabaseUnavailableError),
        (TimeoutError(), StatementTimeoutError),
    ],
)
async def test_an_error_of_the_network_in_a_statement_is_told(
    postgres_database: Database, *, raised: Exception, expected: type[Exception]
) -> None:
    def fail(*details: object) -> None:
        raise raised

    event.listen(postgres_database.engine.sync_engine, "do_execute", fail)
    with pytest.raises(expected) as caught:
        async with postgres_database.transaction() as session:
            await session.execute(select(1))
    event.remove(postgres_database.engine.sync_engine, "do_execute", fail)

    assert caught.value.__cause__ is raised
    await postgres_database.ping()


async def test_sessions_have_their_names_and_limits(any_postgres_url: str) -> None:
    settings = DatabaseSettings(
        statement_timeout=timedelta(seconds=12),
        lock_timeout=timedelta(milliseconds=1500),
        idle_in_transaction_timeout=timedelta(minutes=2),
    )
    database = Database(any_postgres_url, settings=settings, application_name="ördér" * 20)

    async with database.read_transaction() as session:
        values = {
            name: await session.scalar(text(f"SHOW {name}").columns(value=Text))
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "transaction_read_only",
            )
        }
        name = await session.scalar(text("SHOW application_name").columns(value=Text))
    async with database.transaction() as session:
        is_read_only = await session.scalar(text("SHOW transaction_read_only"))

    assert values == {
        "statement_timeout": "12s",
        "lock_timeout": "1500ms",
        "idle_in_transaction_session_timeout": "2min",
        "transaction_read_only": "on",
    }
    assert is_read_only == "off"
    assert name
    await database.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_the_url_may_say_how_to_connect(postgres_url: str, driver: str) -> None:
    url = (
        f"{postgres_url.replace('://', f'+{driver}://')}?sslmode=prefer&connect_timeout=3"
        "&application_name=reports&options=-c%20work_mem%3D5MB&target_session_attrs=any"
    )
    database = Database(url)

    async with database.transaction() as session:
        assert await session.scalar(text("SHOW application_name")) == "reports"
        assert await session.scalar(text("SHOW work_mem")) == "5MB"

    await database.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_encryption_that_the_url_demands_is_not_done_without(
    postgres_url: str, driver: str
) -> None:
    database = Database(f"{postgres_url.replace('://', f'+{driver}://')}?sslmode=require")

    with pytest.raises(DatabaseUnavailableError):
        await database.ping()

    await database.dispose()


async def test_a_wrong_password_is_unavailable_and_not_shown(any_postgres_url: str) -> None:
    database = Database(any_postgres_url)
    wrong = Database(database.url.set(password="hunter2").render_as_string(hide_password=False))

    with pytest.raises(DatabaseUnavailableError) as caught:
        await wrong.ping()

    assert "hunter2" not in f"{caught.value} {caught.value.__cause__} {wrong!r} {wrong.url}"
    await wrong.dispose()


async def test_can_be_used_again_after_dispose(database: Database) -> None:
    await database.ping()
    await database.dispose()

    await database.check()
    assert database.name == "database"


async def test_serves_an_application_that_it_is_attached_to(database: Database) -> None:
    app = FastAPI()
    database.attach(app)

    @app.get("/write")
    async def write(session: Transaction) -> int:
        return (await session.scalars(select(1))).one()

    @app.get("/read")
    async def read(session: ReadTransaction) -> int:
        return (await session.scalars(select(1))).one() + 1

    async with running(app) as client:
        answers = [(await client.get(path)).json() for path in ("/write", "/read")]
        pool: Any = database.engine.pool

    assert answers == [1, 2]
    assert database.engine.pool is not pool, "The application has stopped, and closed its pool."


async def test_a_database_in_the_state_of_the_lifespan_comes_first(database: Database) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Database]]:
        yield {"database": database}

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def read(session: ReadTransaction, request: Request) -> bool:
        return Database.of(request) is database

    async with running(app) as client:
        assert (await client.get("/")).json() is True


async def test_says_what_to_do_without_a_database() -> None:
    app = FastAPI()

    @app.get("/")
    async def read(session: ReadTransaction) -> None:
        raise AssertionError

    async with running(app, raise_app_exceptions=True) as client:
        with pytest.raises(ConfigurationError, match=r"attach\(app\)"):
            await client.get("/")
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        Database.from_settings(Settings(database_url=None))
