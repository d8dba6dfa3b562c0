"""Fifty at once, and each changes what the others have changed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import Base, Database
from fastapi_baseline.persistence.sessions.session import WriteSession
from fastapi_baseline.persistence.sessions.session_factory import Isolation
from tests.tables import create_tables

_WRITERS = 50


class Counter(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class Increment(Base):
    number: Mapped[int] = mapped_column(primary_key=True)
    seen: Mapped[int] = mapped_column(unique=True)


@pytest.fixture
async def counting(database: Database) -> Database:
    async with database.transaction() as session:
        session.add(Counter(id=1))
    return database


async def _increment(session: WriteSession, number: int, *, is_locking: bool) -> None:
    """Read, think, write."""
    statement = select(Counter).where(Counter.id == 1)
    counter = (
        await session.scalars(statement.with_for_update() if is_locking else statement)
    ).one()
    seen = counter.value
    await asyncio.sleep(0)
    counter.value = seen + 1
    session.add(Increment(number=number, seen=seen))


async def _at_once(work: Callable[[int], Awaitable[None]]) -> None:
    await asyncio.gather(*(work(number) for number in range(_WRITERS)))


async def _result(database: Database) -> tuple[int, list[int]]:
    async with database.read_transaction() as session:
        counter = await session.get_one(Counter, 1)
        seen = await session.scalars(select(Increment.seen).order_by(Increment.seen))
        return counter.value, [*seen]


async def test_fifty_writers_lose_nothing_under_a_lock(counting: Database) -> None:
    async def write(number: int) -> None:
        async with counting.transaction() as session:
            await _increment(session, number, is_locking=True)

    await _at_once(write)

    assert await _result(counting) == (_WRITERS, [*range(_WRITERS)])


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_fifty_writers_lose_nothing_without_a_lock_if_they_try_again(
    counting: Database, *, isolation: Isolation
) -> None:
    async def write(number: int) -> None:
        await counting.run_in_transaction(
            lambda session: _increment(session, number, is_locking=False),
            retries=1000,
            isolation=isolation,
        )

    await _at_once(write)

    assert await _result(counting) == (_WRITERS, [*range(_WRITERS)])


async def test_fifty_writers_lose_nothing_on_sqlite_without_lock_or_retry(sqlite_url: str) -> None:
    databases = [Database(sqlite_url) for _ in range(2)]  # as two processes would
    await create_tables(databases[0], __name__)
    async with databases[0].transaction() as session:
        session.add(Counter(id=1))

    async def write(number: int) -> None:
        async with databases[number % 2].transaction() as session:
            await _increment(session, number, is_locking=False)

    await _at_once(write)

    assert await _result(databases[0]) == (_WRITERS, [*range(_WRITERS)])
    for database in databases:
        await database.dispose()
