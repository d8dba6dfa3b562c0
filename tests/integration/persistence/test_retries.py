import asyncio
import itertools

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import Base, Database
from fastapi_baseline.persistence.errors import SerializationFailureError
from fastapi_baseline.persistence.sessions.retries import Backoff
from fastapi_baseline.persistence.sessions.session import WriteSession


class Seat(Base):
    __tablename__ = "retried_seat"
    id: Mapped[int] = mapped_column(primary_key=True)
    taken: Mapped[int] = mapped_column(default=0)


async def _without_waiting(seconds: float) -> None:
    del seconds
    await asyncio.sleep(0)


_AT_ONCE = Backoff(sleep=_without_waiting)


@pytest.fixture
async def seats(postgres_database: Database) -> Database:
    async with postgres_database.transaction() as session:
        session.add_all([Seat(id=1), Seat(id=2)])
    return postgres_database


async def _taken(database: Database) -> int:
    async with database.read_transaction() as session:
        return sum((await session.scalars(select(Seat.taken))).all())


class Rivals:
    """Work whose first attempts find that somebody else has changed what they have read."""

    def __init__(self, database: Database, *, collisions: int) -> None:
        self.database = database
        self.collisions = collisions
        self.attempts = 0
        self.calls: list[str] = []

    async def __call__(self, session: WriteSession) -> int:
        attempt = self.attempts
        self.attempts += 1
        session.on_commit(lambda: self.calls.append(f"committed {attempt}"))
        session.on_rollback(lambda: self.calls.append(f"rolled back {attempt}"))
        seat = await session.get_one(Seat, 1)
        if attempt < self.collisions:
            async with self.database.transaction() as another:
                (await another.get_one(Seat, 1)).taken += 10
        seat.taken += 1
        return attempt


async def test_does_it_again_after_a_collision(seats: Database) -> None:
    work = Rivals(seats, collisions=2)

    result = await seats.run_in_transaction(work, isolation="repeatable read", backoff=_AT_ONCE)

    assert result == 2
    assert await _taken(seats) == 21


async def test_drops_the_hooks_of_attempts_that_failed(seats: Database) -> None:
    work = Rivals(seats, collisions=2)

    await seats.run_in_transaction(work, isolation="serializable", backoff=_AT_ONCE)

    assert work.calls == ["rolled back 0", "rolled back 1", "committed 2"]


async def test_raises_the_last_error_when_it_gives_up(seats: Database) -> None:
    work = Rivals(seats, collisions=9)

    with pytest.raises(SerializationFailureError):
        await seats.run_in_transaction(
            work, retries=2, isolation="repeatable read", backoff=_AT_ONCE
        )

    assert work.attempts == 3
    assert await _taken(seats) == 30


async def test_does_it_again_if_what_it_has_read_was_changed_by_one_that_has_read_the_same(
    seats: Database,
) -> None:
    attempts = itertools.count()

    async def take_the_other(session: WriteSession) -> None:
        all_taken = sum((await session.scalars(select(Seat.taken))).all())
        if next(attempts) == 0:
            await seats.run_in_transaction(
                lambda another: _take(another, seat=2), isolation="serializable"
            )
        await _take(session, seat=1, by=1 if all_taken == 0 else 100)

    await seats.run_in_transaction(take_the_other, isolation="serializable", backoff=_AT_ONCE)

    assert await _taken(seats) == 101
    assert next(attempts) == 2


async def _take(session: WriteSession, *, seat: int, by: int = 1) -> None:
    await session.scalars(select(Seat.taken))
    (await session.get_one(Seat, seat)).taken += by


async def test_both_of_a_deadlock_are_done(seats: Database) -> None:
    both_hold_one = asyncio.Barrier(2)
    attempts = itertools.count()

    async def take_both(session: WriteSession, first: int, second: int) -> None:
        (await session.get_one(Seat, first)).taken += 1
        await session.flush()
        if next(attempts) < 2:
            await both_hold_one.wait()
        (await session.get_one(Seat, second)).taken += 1
        await session.flush()

    async with asyncio.TaskGroup() as tasks:
        for first, second in ((1, 2), (2, 1)):
            tasks.create_task(
                seats.run_in_transaction(
                    lambda session, first=first, second=second: take_both(session, first, second)
                )
            )

    assert await _taken(seats) == 4


async def test_leaves_other_errors_alone(database: Database) -> None:
    attempts = itertools.count()

    async def fail(session: WriteSession) -> None:
        next(attempts)
        raise LookupError

    with pytest.raises(LookupError):
        await database.run_in_transaction(fail)

    assert next(attempts) == 1


async def test_returns_what_the_work_returns(database: Database) -> None:
    async def add(session: WriteSession) -> str:
        session.add(Seat(id=7, taken=1))
        return "added"

    assert await database.run_in_transaction(add) == "added"
    assert await _taken(database) == 1
