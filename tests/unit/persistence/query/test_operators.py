"""What operators are in SQL, and how they are compared."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import ForeignKey
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from fastapi_baseline.persistence.query.operators import (
    Equal,
    In,
    IsNull,
    Operator,
    Range,
    Target,
    Text,
    contains,
    on,
    via,
)


class Model(DeclarativeBase):
    pass


class Land(Model):
    __tablename__ = "land"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Town(Model):
    __tablename__ = "town"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    land_id: Mapped[int] = mapped_column(ForeignKey("land.id"))
    land: Mapped[Land] = relationship()
    streets: Mapped[list["Street"]] = relationship()


class Street(Model):
    __tablename__ = "street"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    town_id: Mapped[int] = mapped_column(ForeignKey("town.id"))
    town: Mapped[Town] = relationship(overlaps="streets")


def _sql(operator: Operator, dialect: Any = None) -> list[str]:
    dialect = dialect or sqlite.dialect()
    options = {"literal_binds": True}
    return [
        str(condition.compile(dialect=dialect, compile_kwargs=options))
        for condition in operator.conditions(Town.name)
    ]


@pytest.mark.parametrize(
    ("operator", "conditions"),
    [
        (Equal("a"), ["town.name = 'a'"]),
        (In(["a", "b", "a"]), ["town.name IN ('a', 'b')"]),
        (Range[str](), []),
        (Range(gt="a"), ["town.name > 'a'"]),
        (Range(gte="a", lte="b"), ["town.name >= 'a'", "town.name <= 'b'"]),
        (Range(lt="b"), ["town.name < 'b'"]),
        (Text(), []),
        (Text(eq=""), ["town.name = ''"]),
        (Text(ne="a"), ["town.name IS NOT ?"]),
        (Text(contains="a"), ["lower(town.name) LIKE lower('%a%') ESCAPE '/'"]),
        (Text(contains="%_/"), ["lower(town.name) LIKE lower('%/%/_//%') ESCAPE '/'"]),
        (Text(startswith="_"), ["lower(town.name) LIKE lower('/_%') ESCAPE '/'"]),
        (IsNull(), ["town.name IS NULL"]),
        (IsNull(is_null=False), ["town.name IS NOT NULL"]),
    ],
)
def test_is_conditions_on_a_column(operator: Operator, conditions: Sequence[str]) -> None:
    assert _sql(operator) == conditions


def test_uses_what_a_trigram_index_serves_on_postgres() -> None:
    (condition,) = _sql(Text(contains="a"), postgresql.dialect())

    assert condition == "town.name ILIKE '%%a%%' ESCAPE '/'"


def test_of_no_values_is_met_by_no_row() -> None:
    assert _sql(In[str]([])) == ["town.name IN (SELECT 1 FROM (SELECT 1) WHERE 1!=1)"]


def test_is_what_it_was_made_of() -> None:
    assert In(["b", "a", "b"]) == In(("b", "a"))
    assert In(["a"]).values == ("a",)
    assert Range(gt=1) != Range(gte=1)
    assert In[int]([1]) == In([1])
    assert hash(Range[int](gt=1)) == hash(Range(gt=1))


@pytest.mark.parametrize(
    ("target", "start", "hops"),
    [
        (on(Town.name), "town.name", 0),
        (via(Town.land, Land.name), "EXISTS (SELECT 1", 1),
        (via(Town.streets, Street.name), "EXISTS (SELECT 1", 1),
        (via(Street.town, Town.land, Land.name), "EXISTS (SELECT 1", 2),
    ],
)
def test_reaches_a_column_without_a_join(target: Target, start: str, hops: int) -> None:
    condition = str(target.reached([contains(target.column, "x")]))

    assert condition.removeprefix("lower(").startswith(start)
    assert condition.count("EXISTS") == hops
    assert "JOIN" not in condition


def test_asks_nothing_of_a_column_if_nothing_is_asked() -> None:
    assert via(Town.land, Land.name).reached([]) is None


def test_asks_one_related_row_to_meet_everything() -> None:
    target = via(Town.streets, Street.name)

    condition = target.reached(Range(gt="a", lt="c").conditions(target.column))

    assert str(condition).count("EXISTS") == 1
