"""The databases of the data benchmark, and how contenders begin a transaction in them."""

import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from benchmarks._data.filling import fill
from benchmarks._data.latency import slowed
from benchmarks._data.measure import Sessions
from benchmarks._data.models import Plain, Sizes
from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import postgres_server

LATENCY_MILLISECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A database that is filled, and the sessions of the library and of everybody else."""

    name: str
    latency_ms: float
    """What the way to the server adds to each round trip, as measured."""
    url: str
    engine: AsyncEngine
    plain: Sessions
    ours: Sessions
    database: Database
    make: async_sessionmaker[AsyncSession]
    keys: Sequence[UUID]

    @property
    def is_postgres(self) -> bool:
        """Return whether it is PostgreSQL."""
        return self.engine.dialect.name == "postgresql"


class _Undone(Exception):  # noqa: N818 - no error
    """Ends a transaction without a commit."""


@asynccontextmanager
async def backends(sizes: Sizes, say: Callable[[str], None]) -> AsyncGenerator[list[Backend]]:
    """Give SQLite, PostgreSQL, and PostgreSQL at the end of a slower line."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(postgres_server())
        direct = make_url(stack.enter_context(server.database()))
        slow_port = stack.enter_context(slowed(direct.port or 0, milliseconds=LATENCY_MILLISECONDS))
        urls = {
            "SQLite": make_url(f"sqlite:///{folder}/bench.db"),
            "PostgreSQL": direct,
            "PostgreSQL + 1 ms": direct.set(port=slow_port),
        }
        engines = {name: plain_engine(url) for name, url in urls.items()}
        for engine in engines.values():
            stack.push_async_callback(engine.dispose)
        keys: dict[str, Sequence[UUID]] = {}
        for name in ("SQLite", "PostgreSQL"):
            say(f"filling {name} with {sizes.events:,} rows")
            keys[name] = await fill(engines[name], sizes)
        keys["PostgreSQL + 1 ms"] = keys["PostgreSQL"]
        took = {name: await _round_trip(engine) for name, engine in engines.items()}
        added = (took["PostgreSQL + 1 ms"] - took["PostgreSQL"]) * 1000
        say(f"the slower line adds {added:.2f} ms to a round trip")
        found: list[Backend] = []
        for name, url in urls.items():
            database = Database(url.render_as_string(hide_password=False), metadata=Plain.metadata)
            stack.push_async_callback(database.dispose)
            make = async_sessionmaker(engines[name], expire_on_commit=False)
            found.append(
                Backend(
                    name=name,
                    latency_ms=added if name == "PostgreSQL + 1 ms" else 0.0,
                    url=url.render_as_string(hide_password=False),
                    engine=engines[name],
                    plain=_undoing(make),
                    make=make,
                    ours=_undoing_ours(database),
                    database=database,
                    keys=keys[name],
                )
            )
        yield found


def plain_engine(url: URL, *, is_tuned: bool = True) -> AsyncEngine:
    """Return an engine as a careful service makes it by hand, or as the documentation shows it."""
    if url.get_backend_name() == "postgresql":
        return create_async_engine(
            url.set(drivername="postgresql+asyncpg"), pool_pre_ping=True, pool_size=20
        )
    engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"))
    if is_tuned:
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, record: object) -> None:
    del record
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _undoing(make: async_sessionmaker[AsyncSession]) -> Sessions:
    @asynccontextmanager
    async def begin() -> AsyncGenerator[AsyncSession]:
        async with make() as session:
            yield session
            await session.rollback()

    return begin


def _undoing_ours(database: Database) -> Sessions:
    @asynccontextmanager
    async def begin() -> AsyncGenerator[AsyncSession]:
        with suppress(_Undone):
            async with database.transaction() as session:
                yield session
                raise _Undone

    return begin


async def _round_trip(engine: AsyncEngine) -> float:
    """Return the median time of the shortest statement, in seconds."""
    times: list[float] = []
    async with engine.connect() as connection:
        for _ in range(200):
            started = time.perf_counter()
            await connection.execute(text("SELECT 1"))
            times.append(time.perf_counter() - started)
    return statistics.median(times)


async def server_versions(found: Sequence[Backend]) -> dict[str, str]:
    """Return the versions of the databases."""
    asked = {"SQLite": "SELECT sqlite_version()", "PostgreSQL": "SHOW server_version"}
    versions: dict[str, str] = {}
    for backend in found:
        if backend.name in asked:
            async with backend.engine.connect() as connection:
                versions[backend.name] = str(await connection.scalar(text(asked[backend.name])))
    return versions
