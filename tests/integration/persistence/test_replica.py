"""A second database stands in for a replica, so that its rows tell where they were read."""

import socket
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import (
    Base,
    Database,
    DatabaseUnavailableError,
    ReadOnlyTransactionError,
    ReadTransaction,
    Transaction,
)
from fastapi_baseline.persistence.transaction import StreamTransaction
from fastapi_baseline.settings import DatabaseSettings, Settings
from fastapi_baseline.testing import PostgresServer, running
from tests.tables import create_tables


class Place(Base):
    name: Mapped[str] = mapped_column(primary_key=True)


_NAMES = select(Place.name)
_BACKEND = text("SELECT pg_backend_pid()").columns()


def _settings(url: str, **others: Any) -> DatabaseSettings:
    return DatabaseSettings(replica_url=SecretStr(url), **others)


@pytest.fixture
def replica_url(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.database() as url:
        yield url


@pytest.fixture
async def replicated(any_postgres_url: str, replica_url: str) -> AsyncGenerator[Database]:
    """Give a database with one row, "primary"; that of its replica is "replica"."""
    for url, name in ((any_postgres_url, "primary"), (replica_url, "replica")):
        database = Database(url)
        await create_tables(database, __name__)
        async with database.transaction() as session:
            session.add(Place(name=name))
        await database.dispose()
    database = Database(any_postgres_url, settings=_settings(replica_url, pool_size=1))
    yield database
    await database.dispose()


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_reads_from_the_replica_and_writes_to_the_primary(replicated: Database) -> None:
    async with replicated.read_transaction() as session:
        read = (await session.scalars(_NAMES)).all()
    async with replicated.transaction() as session:
        written = (await session.scalars(_NAMES)).all()

    assert (read, written) == (["replica"], ["primary"])


async def test_routes_read_from_the_replica(replicated: Database) -> None:
    app = FastAPI()
    replicated.attach(app)

    @app.get("/read")
    async def read(session: ReadTransaction) -> str:
        return (await session.scalars(_NAMES)).one()

    @app.get("/stream")
    async def stream(session: StreamTransaction) -> str:
        return (await session.scalars(_NAMES)).one()

    @app.get("/write")
    async def write(session: Transaction) -> str:
        return (await session.scalars(_NAMES)).one()

    async with running(app) as client:
        answers = [(await client.get(path)).json() for path in ("/read", "/stream", "/write")]

    assert answers == ["replica", "replica", "primary"]


async def test_one_transaction_keeps_to_one_connection(replicated: Database) -> None:
    async with replicated.read_transaction() as session:
        backends = {await session.scalar(_BACKEND) for _ in range(3)}

    assert len(backends) == 1


async def test_the_replica_has_connections_of_its_own(replicated: Database) -> None:
    async with replicated.transaction() as writing, replicated.read_transaction() as reading:
        backends = {await writing.scalar(_BACKEND), await reading.scalar(_BACKEND)}

    assert len(backends) == 2


async def test_refuses_to_write_to_the_replica(replicated: Database) -> None:
    with pytest.raises(ReadOnlyTransactionError):
        async with replicated.read_transaction() as session:
            cast("AsyncSession", session).add(Place(name="elsewhere"))


async def test_without_a_replica_both_share_connections(any_postgres_url: str) -> None:
    database = Database(any_postgres_url)

    assert database.read_engine.pool is database.engine.pool
    await database.dispose()


async def test_answers_a_ping_if_both_do(replicated: Database) -> None:
    await replicated.ping()


@pytest.mark.parametrize("missing", ["primary", "replica"])
async def test_answers_no_ping_if_one_of_both_does_not(
    any_postgres_url: str, closed_port: int, *, missing: str
) -> None:
    away = f"postgresql://me:hidden@127.0.0.1:{closed_port}/name"
    url, replica = (away, any_postgres_url) if missing == "primary" else (any_postgres_url, away)
    database = Database(url, settings=_settings(replica))

    with pytest.raises(DatabaseUnavailableError):
        await database.ping()

    await database.dispose()


async def test_closes_the_connections_to_both(replicated: Database) -> None:
    await replicated.ping()

    await replicated.dispose()

    pools = cast("list[Any]", [replicated.engine.pool, replicated.read_engine.pool])
    assert [pool.checkedin() for pool in pools] == [0, 0]


@pytest.mark.parametrize(
    ("url", "replica"),
    [
        ("sqlite://", "postgresql://me:hidden@host/name"),
        ("sqlite://", "sqlite:///hidden.db"),
        ("postgresql://host/name", "sqlite:///hidden.db"),
        ("postgresql://host/name", "mysql://me:hidden@host/name"),
        ("postgresql://host/name", "postgresql+psycopg2://me:hidden@host/name"),
        ("postgresql://host/name", "me:hidden@host"),
    ],
)
def test_refuses_a_replica_that_it_cannot_use_without_showing_it(url: str, replica: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE__REPLICA_URL") as caught:
        Database(url, settings=_settings(replica))

    assert "hidden" not in str(caught.value)


def test_chooses_a_driver_for_the_replica_by_itself() -> None:
    database = Database("postgresql+psycopg://host/name", settings=_settings("postgres://host/n"))

    assert database.engine.url.drivername == "postgresql+psycopg"
    assert database.read_engine.url.drivername == "postgresql+asyncpg"


def test_is_configured_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE__REPLICA_URL", "postgresql://me:hidden@host/name")

    settings = Settings.load()

    assert settings.database.replica_url is not None
    assert settings.database.replica_url.get_secret_value().endswith("@host/name")
    assert "hidden" not in repr(settings)
