import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.exc import InvalidRequestError, SADeprecationWarning
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload
from sqlmodel import Field, Relationship, SQLModel

from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.persistence import Database, Repository, UniqueViolationError
from fastapi_baseline.persistence.reading.locking import Lock
from fastapi_baseline.persistence.specification import related

with warnings.catch_warnings():
    # Its mixins have a decorator that SQLAlchemy 2.1 has no use for any more.
    warnings.simplefilter("ignore", SADeprecationWarning)
    from advanced_alchemy.base import UUIDv7AuditBase

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Team(SQLModel, table=True):
    __tablename__: Any = "foreign_team"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True)
    motto: str | None = None
    heroes: list["Hero"] = Relationship(back_populates="team")


class Hero(SQLModel, table=True):
    __tablename__: Any = "foreign_hero"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    age: int | None = None
    team_id: UUID | None = Field(default=None, foreign_key="foreign_team.id")
    team: Team | None = Relationship(back_populates="heroes")


# To type checkers, attributes of these classes are values and not columns.
_team: Any = Team
_hero: Any = Hero


class Country(UUIDv7AuditBase):
    __tablename__ = "foreign_country"
    name: Mapped[str] = mapped_column(unique=True)
    towns: Mapped[list["Town"]] = relationship(back_populates="country")


class Town(UUIDv7AuditBase):
    __tablename__ = "foreign_town"
    name: Mapped[str]
    country_id: Mapped[UUID] = mapped_column(ForeignKey("foreign_country.id"))
    country: Mapped[Country] = relationship(back_populates="towns")


class Teams(Repository[Team]):
    loads = {"heroes": [selectinload(_team.heroes)]}  # noqa: RUF012


class Countries(Repository[Country]):
    loads = {"towns": [selectinload(Country.towns)]}  # noqa: RUF012


class Named(BaseModel):
    name: str


class TeamOut(BaseModel):
    name: str
    heroes: list[Named]


class CountryOut(BaseModel):
    name: str
    towns: list[Named]


@pytest.fixture
async def foreign(database: Database) -> AsyncGenerator[Database]:
    tables: list[MetaData] = [SQLModel.metadata, UUIDv7AuditBase.metadata]
    async with database.engine.begin() as connection:
        for metadata in tables:
            await connection.run_sync(metadata.create_all)
    yield database
    async with database.engine.begin() as connection:
        for metadata in tables:
            await connection.run_sync(metadata.drop_all)


async def test_serves_models_of_sqlmodel(foreign: Database, statements: StatementLog) -> None:
    async with foreign.transaction() as session:
        team = await Teams(session).add(Team(name="Z", heroes=[Hero(name="H")]))
        await Teams(session).add_many([Team(name="A"), Team(name="B", motto="!")])

    async with foreign.transaction() as session:
        teams = Teams(session)
        with statements() as sent:
            found = await teams.get(team.id)
            again = await teams.get(team.id)
            listed = await teams.list(_team.name != "A", order_by=_team.motto, load="heroes")
            shown = await teams.list(as_=TeamOut, order_by=_team.name)
        heroes = [hero.name for hero in listed[1].heroes]
        updated = await teams.update(team.id, {"motto": "?"})
        streamed = [item async for item in teams.stream(order_by=_team.name)]
        page = await teams.page(order_by=_team.name, limit=2)

        assert found is again is updated is listed[1]
        assert updated.motto == "?"
        assert heroes == ["H"]
        assert shown[-1] == TeamOut(name="Z", heroes=[Named(name="H")])
        assert [item.name for item in streamed] == ["A", "B", "Z"]
        assert ([item.name for item in page.items], page.total) == (["A", "B"], 3)
        assert await teams.exists(related(_team.heroes, _hero.name == "H"))
        with pytest.raises(NotFoundError):
            await teams.get(uuid4(), lock=Lock())
        with pytest.raises(InvalidRequestError, match="raise"):
            _ = page.items[0].heroes
    assert len(sent) == 5

    with pytest.raises(UniqueViolationError) as caught:
        async with foreign.transaction() as session:
            await Teams(session).add(Team(name="A"))
    assert [field.path for field in caught.value.fields] == [("name",)]


async def test_serves_models_of_advanced_alchemy(
    foreign: Database, statements: StatementLog
) -> None:
    async with foreign.transaction() as session:
        country = await Countries(session).add(Country(name="Z", towns=[Town(name="T")]))
        await Countries(session).add_many([Country(name="A"), Country(name="B")])

    async with foreign.transaction() as session:
        countries = Countries(session)
        with statements() as sent:
            found = await countries.get(country.id)
            again = await countries.get(country.id)
            listed = await countries.list(Country.name != "A", order_by=Country.name, load="towns")
            shown = await countries.list(as_=CountryOut, order_by=Country.name)
        towns = [town.name for town in listed[1].towns]
        updated = await countries.update(country.id, {"name": "Y"})
        page = await countries.page(order_by=Country.name, limit=2)

        assert found is again is updated is listed[1]
        assert updated.name == "Y"
        assert towns == ["T"]
        assert shown[-1] == CountryOut(name="Z", towns=[Named(name="T")])
        assert ([item.name for item in page.items], page.total) == (["A", "B"], 3)
        assert await countries.exists(related(Country.towns, Town.name == "T"))
        with pytest.raises(NotFoundError):
            await countries.get(uuid4(), lock=Lock())
    assert len(sent) == 5

    with pytest.raises(UniqueViolationError) as caught:
        async with foreign.transaction() as session:
            await Countries(session).add(Country(name="A"))
    assert [field.path for field in caught.value.fields] == [("name",)]
