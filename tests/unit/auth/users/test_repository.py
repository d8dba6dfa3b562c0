from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.auth.users.models import UserRecord, subject_of
from fastapi_baseline.auth.users.repository import UserRepository, repository_of
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.persistence import Base, Database


class Rider(Base, UserRecord):
    """A user with a key of another kind."""

    __tablename__ = "users_test_rider"

    number: Mapped[int] = mapped_column(primary_key=True)


class Riders(UserRepository[Rider]):
    pass


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    table: Table[Any] = Base.metadata.tables["users_test_rider"]
    async with database.engine.begin() as connection:
        await connection.run_sync(table.create)
    yield database
    await database.dispose()


async def test_the_key_of_a_user_may_be_a_number(database: Database) -> None:
    async with database.transaction() as session:
        rider = await Riders(session).add(Rider(email="anna@example.com"))

        found = await Riders(session).get_by_subject(subject_of(rider))

    assert (subject_of(rider), found) == ("1", rider)


@pytest.mark.parametrize("subject", ["", "one", "2", "1.0", "\u0000"])
async def test_what_is_no_key_is_nobodys(database: Database, subject: str) -> None:
    async with database.transaction() as session:
        await Riders(session).add(Rider(email="anna@example.com"))

        with pytest.raises(NotFoundError):
            await Riders(session).get_by_subject(subject)
        with pytest.raises(NotFoundError):
            await Riders(session).count_failure(subject)


async def test_failures_are_counted_in_the_database(database: Database) -> None:
    async with database.transaction() as session:
        rider = await Riders(session).add(Rider(email="anna@example.com"))

        counts = [await Riders(session).count_failure(subject_of(rider)) for _ in range(3)]

    assert counts == [1, 2, 3]


def test_a_repository_is_made_for_a_model() -> None:
    made = repository_of(Rider)

    assert (made.model, made.__name__) == (Rider, "RiderRepository")
