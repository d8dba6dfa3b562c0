# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

import asyncio
import gc
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import Base, Database, UUIDPrimaryKey
from fastapi_baseline.persistence.engines.url import is_memory
from tests.tables import create_tables

_COUNT = 120


class Parcel(Base, UUIDPrimaryKey):
    number: Mapped[int] = mapped_column(unique=True)


@pytest.fixture(params=["sqlite", "sqlite in memory", "asyncpg", "psycopg"])
async def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Database]:
    match request.param:
        case "sqlite":
            url = f"sqlite:///{tmp_path / 'test.db'}"
        case "sqlite in memory":
            url = "sqlite://"
        case driver:
            postgres_url: str = request.getfixturevalue("postgres_url")
            url = postgres_url.replace("://", f"+{driver}://", 1)
    database = Database(url)
    await create_tables(database, __name__)
    yield database
    await database.dispose()


@pytest.fixture
async def untouched_database(any_database: Database) -> Database:
    """Give a database that has tables and no connections."""
    if not is_memory(any_database.url):
        await any_database.dispose()
    return any_database


def _checked_out(engine: AsyncEngine) -> int:
    pool: Any = engine.pool
    return pool.checkedout()


async def _driver_connection(session: AsyncSession) -> object:
    connection = await (await session.connection()).get_raw_connection()
    return connection.driver_connection


def _is_closed(driver: Any) -> bool:
    if hasattr(driver, "is_closed"):
        return driver.is_closed()  # asyncpg
    if hasattr(driver, "closed"):
        return driver.closed  # psycopg
    return driver._connection is None


async def _add(session: AsyncSession, number: int) -> None:
    session.add(Parcel(number=number))
    await session.flush()
    await session.execute(select(func.count()).select_from(Parcel))


async def _numbers(database: Database) -> set[int]:
    async with database.read_transaction() as session:
        return set((await session.scalars(select(Parcel.number))).all())


async def test_the_next_transaction_works_after_one_was_cancelled_in_its_middle(
    any_database: Database,
) -> None:
    is_in_the_middle = asyncio.Event()

    async def write_and_hang() -> None:
        async with any_database.transaction() as session:
            await _add(session, 1)
            is_in_the_middle.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(write_and_hang())
    await is_in_the_middle.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with any_database.transaction() as session:
        await _add(session, 1)
    assert await _numbers(any_database) == {1}
    assert _checked_out(any_database.engine) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_transactions_cancelled_anywhere_leave_no_connection_behind(
    untouched_database: Database, *, seed: int
) -> None:
    database = untouched_database
    committed: set[int] = set()
    chance = random.Random(seed)  # noqa: S311 -- which moments, not which secrets

    async def write(number: int) -> None:
        async with database.transaction() as session:
            await _add(session, number)
        committed.add(number)

    async def cancel(task: asyncio.Task[None], turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

    tasks = [asyncio.ensure_future(write(number)) for number in range(_COUNT)]
    doomed = [task for task in tasks if chance.random() < 0.7]
    cancellations = (cancel(task, chance.randrange(400)) for task in doomed)
    await asyncio.gather(*tasks, *cancellations, return_exceptions=True)

    assert any(task.cancelled() for task in tasks)
    assert _checked_out(database.engine) == 0
    async with database.transaction() as session:
        await _add(session, _COUNT)
    stored = await _numbers(database)
    assert stored >= committed | {_COUNT}
    # Whatever was cancelled during its commit is stored, and nothing else.
    assert all(tasks[number].cancelled() for number in stored - committed - {_COUNT})


async def test_who_waits_while_a_connection_is_opened_gets_another_if_that_is_cancelled(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    await create_tables(database, __name__)
    await database.dispose()
    is_opening = asyncio.Event()

    async def never(driver: object) -> None:
        is_opening.set()
        await asyncio.Event().wait()

    def hang(connection: Any, record: object) -> None:
        if not is_opening.is_set():
            connection.run_async(never)

    async def write(number: int) -> None:
        async with database.transaction() as session:
            await _add(session, number)

    event.listen(database.engine.sync_engine, "connect", hang)
    first = asyncio.ensure_future(write(1))
    await is_opening.wait()
    others = [asyncio.ensure_future(write(number)) for number in (2, 3)]
    while database.engine.pool._pool._waiting < 2:  # noqa: ASYNC110 -- nothing tells  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- likewise
        await asyncio.sleep(0)
    first.cancel()
    # A third of what they would wait for a connection that is given back.
    async with asyncio.timeout(10):
        await asyncio.gather(*others)

    assert await _numbers(database) == {2, 3}
    assert _checked_out(database.engine) == 0
    await database.dispose()


async def test_a_scope_of_anyio_that_is_cancelled_leaves_no_connection_behind(
    any_database: Database,
) -> None:
    for number in range(10):
        with anyio.CancelScope() as scope:
            async with any_database.transaction() as session:
                await _add(session, number)
                scope.cancel()
                await _add(session, number + 100)

        assert scope.cancelled_caught

    assert await _numbers(any_database) == set()
    assert _checked_out(any_database.engine) == 0


async def test_a_commit_that_has_begun_is_finished(any_database: Database) -> None:
    used: list[object] = []
    has_begun = asyncio.Event()

    async def write() -> None:
        async with any_database.transaction() as session:
            await _add(session, 1)
            used.append(await _driver_connection(session))
            has_begun.set()

    task = asyncio.ensure_future(write())
    await has_begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await _numbers(any_database) == {1}
    async with any_database.transaction() as session:
        assert await _driver_connection(session) is used[0]


async def test_a_connection_whose_opening_is_cancelled_is_closed(
    untouched_database: Database,
) -> None:
    opened: list[Any] = []
    is_open = asyncio.Event()

    async def never(driver: object) -> None:
        await asyncio.Event().wait()

    def hang(connection: Any, record: object) -> None:
        opened.append(connection.driver_connection)
        is_open.set()
        connection.run_async(never)

    async def write() -> None:
        async with untouched_database.transaction() as session:
            await _add(session, 1)

    if is_memory(untouched_database.url):
        await untouched_database.dispose()
    event.listen(untouched_database.engine.sync_engine, "connect", hang)
    task = asyncio.ensure_future(write())
    await is_open.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    event.remove(untouched_database.engine.sync_engine, "connect", hang)

    [connection] = opened
    assert _is_closed(connection)
    assert _checked_out(untouched_database.engine) == 0
    await untouched_database.ping()


async def test_a_timeout_ends_what_it_is_for(any_database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            async with any_database.transaction() as session:
                await _add(session, 1)
                await asyncio.Event().wait()

    assert await _numbers(any_database) == set()


async def test_a_file_that_is_being_opened_for_a_cancelled_task_is_closed(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")

    async def read() -> None:
        async with database.transaction() as session:
            await session.execute(select(1))

    # Somewhere among these a connection is opened that nobody waits for any more.
    for number in range(200):
        task = asyncio.ensure_future(read())
        for _ in range(number % 10):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await database.dispose()

    # The last one may be opened only now, or be held by the traceback of its task. None warns that it
    # was forgotten, as they do from Python 3.13 on: here, that is an error.
    async with asyncio.timeout(30):
        while _open_files(tmp_path):
            gc.collect()
            await asyncio.sleep(0.01)


def _open_files(folder: Path) -> list[Path]:
    files: list[Path] = []
    for link in Path("/proc/self/fd").iterdir():
        # What was open a moment ago, the folder that is read here for one, may not be any more.
        with suppress(FileNotFoundError):
            files.append(link.readlink())
    return [file for file in files if file.is_relative_to(folder)]
