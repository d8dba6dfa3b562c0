# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import ForeignKey, delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.errors import ConfigurationError, NotFoundError
from fastapi_baseline.persistence import Base, Database, Repository, SoftDelete
from fastapi_baseline.persistence.sessions.changes import cache_tags


class Lamp(Base):
    __cache_tag__ = "lamps"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    bulbs: Mapped[list["Bulb"]] = relationship(cascade="all, delete-orphan", lazy="selectin")


class Bulb(Base):
    __cache_tag__ = "bulbs"

    lamp_id: Mapped[int] = mapped_column(ForeignKey("lamp.id"), primary_key=True)
    socket: Mapped[str] = mapped_column(primary_key=True)


class Candle(SoftDelete, Base):
    __cache_tag__ = "candles"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Wick(Base):
    __cache_tag__ = "wicks"

    id: Mapped[int] = mapped_column(primary_key=True)


class Shade(Base):
    id: Mapped[int] = mapped_column(primary_key=True)


class Lamps(Repository[Lamp]): ...


class Candles(Repository[Candle]): ...


class Told(list[set[str]]):
    """What listeners are told, transaction by transaction."""

    def hear(self, *names: str) -> None:
        self.append(set(names))


@pytest.fixture
async def told(database: Database) -> Told:
    told = Told()
    async with database.transaction() as session:
        session.add_all([Lamp(id=1, name="a"), Lamp(id=2, name="b"), Candle(id=1, name="c")])
    database.on_change(told.hear)
    return told


async def test_tells_which_rows_were_added(database: Database, told: Told) -> None:
    async with database.transaction() as session:
        await Lamps(session).add(Lamp(id=3, name="c", bulbs=[Bulb(socket="e27")]))

    assert told == [{"lamps", "lamps:3", "bulbs", "bulbs:3,e27"}]


async def test_tells_of_a_key_that_the_database_has_made(database: Database, told: Told) -> None:
    async with database.transaction() as session:
        wick = Wick()
        session.add(wick)

    assert told == [{"wicks", f"wicks:{wick.id}"}]


@pytest.mark.parametrize("how", ["by key", "loaded", "by hand"])
async def test_tells_which_row_was_updated(database: Database, told: Told, how: str) -> None:
    async with database.transaction() as session:
        lamps = Lamps(session)
        if how == "by key":
            await lamps.update(1, {"name": "x"})
        elif how == "loaded":
            await lamps.update(await lamps.get(1), {"name": "x"})
        else:
            (await lamps.get(1)).name = "x"

    assert told == [{"lamps", "lamps:1"}]


@pytest.mark.parametrize("how", ["by key", "loaded"])
async def test_tells_which_row_was_deleted(database: Database, told: Told, how: str) -> None:
    async with database.transaction() as session:
        lamps = Lamps(session)
        await lamps.delete(1 if how == "by key" else await lamps.get(1))

    assert told == [{"lamps", "lamps:1"}]


async def test_tells_what_goes_with_a_row(database: Database, told: Told) -> None:
    async with database.transaction() as session:
        session.add(Bulb(lamp_id=1, socket="e14"))
    told.clear()

    async with database.transaction() as session:
        await session.delete(await Lamps(session).get(1))

    assert told == [{"lamps", "lamps:1", "bulbs", "bulbs:1,e14"}]


async def test_tells_which_row_was_deleted_softly_restored_and_purged(
    database: Database, told: Told
) -> None:
    async with database.transaction() as session:
        await Candles(session).delete(1)
    async with database.transaction() as session:
        await Candles(session).restore(1)
    async with database.transaction() as session:
        await Candles(session).delete(1)
        await Candles(session).purge(1)

    assert told == [{"candles", "candles:1"}] * 3


@pytest.mark.parametrize(
    "statement",
    [
        update(Lamp).where(Lamp.name == "a").values(name="x"),
        delete(Lamp).where(Lamp.name == "a"),
        insert(Lamp).values(id=9, name="x"),
    ],
    ids=["update", "delete", "insert"],
)
async def test_says_so_if_it_does_not_know_which_rows(
    database: Database, told: Told, statement: Any
) -> None:
    async with database.transaction() as session:
        await session.execute(statement)

    assert told == [{"lamps", "lamps:*"}]


async def test_tells_of_all_ways_to_write_many_rows(database: Database, told: Told) -> None:
    async with database.transaction() as session:
        lamps = Lamps(session)
        await lamps.update_where(Lamp.id == 1, values={"name": "x"})
        await lamps.upsert({"id": 2, "name": "y"}, key=[Lamp.id])
    async with database.transaction() as session:
        await Lamps(session).copy_many([{"id": 5, "name": "z"}])
    async with database.transaction() as session:
        await Lamps(session).delete_where(Lamp.id == 5)

    assert told == [{"lamps", "lamps:*"}] * 3


async def test_tells_nothing_of_what_was_only_read(database: Database, told: Told) -> None:
    async with database.transaction() as session:
        await Lamps(session).get(1)
        await session.scalars(select(Lamp))
    async with database.read_transaction() as reading:
        await reading.scalars(select(Lamp))

    assert told == []


async def test_tells_nothing_of_models_without_a_tag(database: Database, told: Told) -> None:
    async with database.transaction() as session:
        session.add(Shade(id=1))
        await session.flush()
        await session.execute(update(Shade).values(id=2))

    assert told == []


async def test_tells_nothing_that_was_rolled_back(database: Database, told: Told) -> None:
    with pytest.raises(NotFoundError):
        async with database.transaction() as session:
            await Lamps(session).update(1, {"name": "x"})
            raise NotFoundError

    assert told == []


async def test_tells_what_is_committed_of_a_transaction_with_savepoints(
    database: Database, told: Told
) -> None:
    async with database.transaction() as session:
        lamps = Lamps(session)
        with pytest.raises(NotFoundError):
            async with session.begin_nested():
                await lamps.update(1, {"name": "x"})
                raise NotFoundError
        async with session.begin_nested():
            await lamps.update(2, {"name": "y"})

    assert told == [{"lamps", "lamps:2"}]


async def test_tells_what_was_changed_again_after_a_savepoint_was_rolled_back(
    database: Database, told: Told
) -> None:
    async with database.transaction() as session:
        lamps = Lamps(session)
        savepoint = await session.begin_nested()
        await lamps.update(1, {"name": "x"})
        await savepoint.rollback()
        await lamps.update(1, {"name": "y"})

    assert told == [{"lamps", "lamps:1"}]


async def test_tells_only_when_it_can_be_read(database: Database) -> None:
    read: list[str] = []

    async def look(*_: str) -> None:
        async with database.read_transaction() as session:
            read.extend(await session.scalars(select(Lamp.name)))

    database.on_change(look)
    async with database.transaction() as session:
        session.add(Lamp(id=1, name="a"))

    assert read == ["a"]


async def test_tells_once_however_much_is_changed(database: Database, told: Told) -> None:
    async with database.transaction() as session:
        await Lamps(session).add_many([Lamp(id=n, name=str(n)) for n in range(10, 20)])
        await Lamps(session).update(1, {"name": "x"})

    assert len(told) == 1


async def test_tells_again_in_the_next_transaction(database: Database, told: Told) -> None:
    for name in ("x", "y"):
        async with database.transaction() as session:
            await Lamps(session).update(1, {"name": name})

    assert told == [{"lamps", "lamps:1"}] * 2


async def test_remembers_nothing_of_what_has_ended(database: Database, told: Told) -> None:
    async with database.rolled_back() as session:
        await Lamps(session).update(1, {"name": "x"})
        await session.commit()
        await Lamps(session).update(1, {"name": "y"})
        await session.rollback()

        assert session.info["fastapi_baseline_changes"] == {}
    assert told == [{"lamps", "lamps:1"}]


def test_tags_of_rows_are_those_that_are_told() -> None:
    assert cache_tags(Lamp) == ("lamps",)
    assert cache_tags(Lamp, 1, 2) == ("lamps:1", "lamps:2", "lamps:*")
    assert cache_tags(Bulb, (1, "e27")) == ("bulbs:1,e27", "bulbs:*")


def test_a_model_without_a_tag_has_no_tags() -> None:
    with pytest.raises(ConfigurationError, match="__cache_tag__"):
        cache_tags(Shade)


def test_a_moment_is_no_tag_of_its_own() -> None:
    assert cache_tags(Lamp, datetime(2026, 1, 2)) == ("lamps:2026-01-02 00:00:00", "lamps:*")  # noqa: DTZ001 -- only its text matters
