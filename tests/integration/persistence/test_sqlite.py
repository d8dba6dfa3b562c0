import asyncio
import gc
import sqlite3
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import ForeignKey, Integer, select, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import NullType

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import (
    Base,
    Database,
    DatabaseUnavailableError,
    ForeignKeyViolationError,
    LockTimeoutError,
    ReadOnlyTransactionError,
)
from fastapi_baseline.persistence.engines.sqlite import PromptConnection
from fastapi_baseline.settings import DatabaseSettings
from tests.tables import create_tables


class Tally(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class Mark(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    tally_id: Mapped[int] = mapped_column(ForeignKey("tally.id"))


@pytest.fixture(params=["file", "memory"])
async def sqlite_database(
    request: pytest.FixtureRequest, sqlite_url: str
) -> AsyncGenerator[Database]:
    database = Database(sqlite_url if request.param == "file" else "sqlite://")
    await create_tables(database, __name__)
    async with database.transaction() as session:
        session.add(Tally(id=1))
    yield database
    await database.dispose()


@pytest.fixture
async def file_database(sqlite_url: str) -> AsyncGenerator[Database]:
    database = Database(sqlite_url)
    await create_tables(database, __name__)
    async with database.transaction() as session:
        session.add(Tally(id=1))
    yield database
    await database.dispose()


async def _increment(database: Database) -> None:
    async with database.transaction() as session:
        tally = await session.get_one(Tally, 1)
        await asyncio.sleep(0.01)
        tally.count += 1


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def _count(database: Database) -> int:
    async with database.read_transaction() as session:
        return (await session.get_one(Tally, 1)).count


async def test_concurrent_changes_add_up(sqlite_database: Database) -> None:
    await asyncio.gather(*(_increment(sqlite_database) for _ in range(5)))

    assert await _count(sqlite_database) == 5


async def test_concurrent_changes_through_two_databases_add_up(
    file_database: Database, sqlite_url: str
) -> None:
    other = Database(sqlite_url)

    await asyncio.gather(*(_increment(database) for database in [file_database, other] * 5))

    assert await _count(other) == 10
    await other.dispose()


async def test_writers_take_turns_in_the_order_in_which_they_came(
    sqlite_database: Database,
) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        async with sqlite_database.transaction() as session:
            await session.execute(text("UPDATE tally SET count = count + 1"))
            order.append(number)

    await asyncio.gather(*(write(number) for number in range(20)))

    assert order == sorted(order)


async def test_a_reader_does_not_wait_for_a_writer(file_database: Database) -> None:
    async with file_database.transaction() as session:
        tally = await session.get_one(Tally, 1)
        tally.count = 5
        await session.flush()

        async with asyncio.timeout(1):
            assert await _count(file_database) == 0

    assert await _count(file_database) == 5


async def test_a_writer_does_not_wait_for_a_reader(file_database: Database) -> None:
    async with file_database.read_transaction() as session:
        assert (await session.get_one(Tally, 1)).count == 0

        async with asyncio.timeout(1):
            await _increment(file_database)

        assert await session.scalar(select(Tally.count)) == 0


async def test_connections_have_their_settings(file_database: Database) -> None:
    async with file_database.transaction() as writer, file_database.read_transaction() as reader:
        for session in (writer, reader):
            pragmas = {
                name: await session.scalar(text(f"PRAGMA {name}").columns(value=NullType))
                for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            }
            assert pragmas == {
                "journal_mode": "wal",
                "foreign_keys": 1,
                "busy_timeout": 5000,
                "synchronous": 1,
            }


async def test_foreign_keys_are_checked(sqlite_database: Database) -> None:
    with pytest.raises(ForeignKeyViolationError):
        async with sqlite_database.transaction() as session:
            session.add(Mark(tally_id=99))


async def test_a_read_transaction_cannot_write_and_a_transaction_still_can(
    sqlite_database: Database,
) -> None:
    with pytest.raises(ReadOnlyTransactionError):
        async with sqlite_database.read_transaction() as session:
            # As far as types go it reads.
            await session.execute(text("UPDATE tally SET count = 9 RETURNING 1").columns(n=Integer))

    await _increment(sqlite_database)
    assert await _count(sqlite_database) == 1


async def test_savepoints_work(sqlite_database: Database) -> None:
    async with sqlite_database.transaction() as session:
        await session.execute(text("UPDATE tally SET count = 1"))
        savepoint = await session.begin_nested()
        await session.execute(text("UPDATE tally SET count = 2"))
        await savepoint.rollback()

    assert await _count(sqlite_database) == 1


async def test_databases_in_memory_are_apart(sqlite_database: Database) -> None:
    other = Database("sqlite:///:memory:")
    await create_tables(other, __name__)

    async with other.read_transaction() as session:
        assert (await session.scalars(select(Tally))).all() == []

    await other.dispose()


async def test_a_database_in_memory_is_new_after_dispose() -> None:
    database = Database("sqlite://")
    await create_tables(database, __name__)

    await database.dispose()

    await create_tables(database, __name__)
    async with database.transaction() as session:
        session.add(Tally(id=1))
    await database.dispose()


async def test_the_file_may_have_spaces_and_be_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///a folder/my data.db", "sqlite:///a%20folder/my%20data.db"):
        database = Database(url)
        await create_tables(database, __name__)
        await database.dispose()

    assert [path.name for path in (tmp_path / "a folder").iterdir()] == ["my data.db"]


async def test_names_the_folder_that_is_missing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/nowhere/test.db")

    with pytest.raises(ConfigurationError, match="nowhere"):
        await database.ping()
    with pytest.raises(ConfigurationError, match="nowhere"):
        await _increment(database)

    await database.dispose()


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "test.db").write_text("This is a diary, and it is longer than a header." * 100)
    database = Database(f"sqlite:///{tmp_path}/test.db")

    with pytest.raises(DatabaseUnavailableError):
        await database.ping()

    await database.dispose()


async def test_the_file_is_whole_by_itself_after_dispose(
    file_database: Database, tmp_path: Path
) -> None:
    await _increment(file_database)
    await _count(file_database)

    await file_database.dispose()

    assert _files(tmp_path) == ["test.db"]


async def test_gives_up_on_another_process_that_keeps_the_lock(
    file_database: Database, sqlite_url: str, tmp_path: Path
) -> None:
    patience = DatabaseSettings(busy_timeout=timedelta(milliseconds=50))
    database = Database(sqlite_url, settings=patience)
    other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(LockTimeoutError):
        await _increment(database)

    other.execute("ROLLBACK")
    await _increment(database)
    assert await _count(database) == 1
    other.close()
    await database.dispose()


def test_a_closed_connection_lets_go_of_its_locks_at_once(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    first = sqlite3.connect(path, isolation_level=None, factory=PromptConnection)
    first.execute("CREATE TABLE t (n)")
    first.execute("BEGIN IMMEDIATE")
    first.execute("INSERT INTO t VALUES (1), (2)")
    unfinished = first.cursor().execute("SELECT n FROM t")
    gc.disable()

    first.close()

    second = sqlite3.connect(path, isolation_level=None, timeout=0)
    second.execute("BEGIN IMMEDIATE")
    assert second.execute("SELECT count(*) FROM t").fetchone() == (0,)
    second.close()
    gc.enable()
    assert unfinished is not None


async def test_waits_for_whoever_opens_a_new_file_at_the_same_moment(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    database = Database(f"sqlite:///{file}")

    opening = asyncio.ensure_future(database.check())
    await asyncio.wait({opening}, timeout=0.2)
    was_waiting = not opening.done()
    other.execute("COMMIT")
    await opening
    await database.dispose()
    other.close()

    assert was_waiting
