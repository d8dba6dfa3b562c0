# ruff: noqa: PT012 -- that there were too many is seen at the end of a block

import pytest
from sqlalchemy import MetaData, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import max_queries


class QueryBase(DeclarativeBase):
    metadata = MetaData()


class Word(QueryBase):
    __tablename__ = "word"

    text: Mapped[str] = mapped_column(primary_key=True)


@pytest.fixture
async def database(any_database_url: str) -> Database:
    database = Database(any_database_url, metadata=QueryBase.metadata)
    await database.create_all()
    await database.dispose()
    return database


async def test_lets_as_many_through_as_are_allowed(database: Database) -> None:
    with max_queries(2) as sent:
        async with database.transaction() as session:
            session.add(Word(text="a"))
        async with database.read_transaction() as reading:
            await reading.scalars(select(Word))
    await database.dispose()

    assert [statement.partition(" ")[0] for statement in sent] == ["INSERT", "SELECT"]


async def test_shows_all_statements_with_numbers_and_without_values(database: Database) -> None:
    with pytest.raises(AssertionError) as caught, max_queries(1):
        async with database.transaction() as session:
            session.add(Word(text="secret"))
            await session.flush()
            await session.execute(select(Word.text).where(Word.text == "secret"))
    await database.dispose()

    first, *lines = str(caught.value).splitlines()
    assert first == "2 statements were sent, and at most 1 may be:"
    assert lines[0].startswith("   1. INSERT INTO word (text) VALUES (")
    assert lines[1].startswith("   2. SELECT word.text FROM word WHERE word.text = ")
    assert "secret" not in str(caught.value)


async def test_does_not_count_what_begins_and_ends_transactions(database: Database) -> None:
    with max_queries(0):
        async with database.rolled_back() as session, session.begin_nested():
            async with database.transaction() as another, another.begin_nested():
                pass
            async with database.read_transaction():
                pass
    await database.dispose()


async def test_counts_only_those_of_the_database_that_is_named(database: Database) -> None:
    another = Database("sqlite://")

    with max_queries(1, database=another) as sent:
        await database.ping()
        await another.ping()
    await database.dispose()
    await another.dispose()

    assert len(sent) == 1


def test_counts_what_is_sent_without_asyncio() -> None:
    engine = create_engine("sqlite://")

    with pytest.raises(AssertionError), max_queries(0), engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()


async def test_does_not_hide_an_error(database: Database) -> None:
    with pytest.raises(LookupError), max_queries(0):
        await database.ping()
        raise LookupError
    await database.dispose()


async def test_counts_nothing_after_its_block(database: Database) -> None:
    with max_queries(0) as sent:
        pass
    await database.ping()
    await database.dispose()

    assert sent == []


async def test_blocks_may_be_nested(database: Database) -> None:
    with max_queries(2) as outer:
        with max_queries(1) as inner:
            await database.ping()
        await database.ping()
    await database.dispose()

    assert (len(outer), len(inner)) == (2, 1)
