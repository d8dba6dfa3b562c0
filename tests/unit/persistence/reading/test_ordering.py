from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from sqlalchemy import ForeignKey, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, composite, mapped_column, synonym
from sqlalchemy.schema import CreateIndex

from fastapi_baseline.persistence.reading.ordering import (
    Order,
    SortKey,
    order_clauses,
    order_index,
    ordered,
    sort_keys,
)
from fastapi_baseline.persistence.shape import shape_of


class Model(DeclarativeBase):
    pass


class Stone(Model):
    __tablename__ = "stone"
    id: Mapped[int] = mapped_column(primary_key=True)
    weight: Mapped[int]
    color: Mapped[str | None]
    hue = synonym("color")


class Field(Model):
    __tablename__ = "field"
    x: Mapped[int] = mapped_column(primary_key=True)
    y: Mapped[int] = mapped_column(primary_key=True)


@dataclass
class Spot:
    x: int
    y: int


class Marked(Model):
    __tablename__ = "marked"
    id: Mapped[int] = mapped_column(primary_key=True)
    spot: Mapped[Spot] = composite(mapped_column("x"), mapped_column("y"))


class Pebble(Model):
    __tablename__ = "pebble"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind"}  # noqa: RUF012 -- SQLAlchemy declares its type


class Gem(Pebble):
    __tablename__ = "gem"
    id: Mapped[int] = mapped_column(ForeignKey("pebble.id"), primary_key=True)
    carats: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "gem"}  # noqa: RUF012 -- SQLAlchemy declares its type


def _sql(keys: Iterable[SortKey]) -> list[str]:
    return [str(clause) for clause in order_clauses(keys)]


def _ordered_by(statement: Select[Stone]) -> str:
    return str(statement).partition("ORDER BY ")[2]


@pytest.mark.parametrize(
    ("order_by", "clauses"),
    [
        ((), ["stone.id"]),
        ((Stone.weight,), ["stone.weight", "stone.id"]),
        ((Stone.weight.desc(),), ["stone.weight DESC", "stone.id DESC"]),
        ((Stone.weight.desc(), Stone.id), ["stone.weight DESC", "stone.id"]),
        ((Stone.id.desc(), Stone.weight), ["stone.id DESC", "stone.weight"]),
        ((Stone.color,), ["stone.color NULLS LAST", "stone.id"]),
        ((Stone.color.desc(),), ["stone.color DESC NULLS LAST", "stone.id DESC"]),
        ((Stone.color.nulls_first(),), ["stone.color NULLS FIRST", "stone.id"]),
        ((Stone.color.desc().nulls_first(),), ["stone.color DESC NULLS FIRST", "stone.id DESC"]),
        ((Stone.color.nulls_first().desc(),), ["stone.color DESC NULLS FIRST", "stone.id DESC"]),
        ((Stone.hue.desc(),), ["stone.color DESC NULLS LAST", "stone.id DESC"]),
        ((Stone.weight, Stone.weight.desc()), ["stone.weight", "stone.id"]),
        (
            (func.lower(Stone.color).label("shade").desc(),),
            ["lower(stone.color) DESC NULLS LAST", "stone.id DESC"],
        ),
    ],
)
def test_makes_an_order_total_and_says_where_null_goes(
    order_by: tuple[Order, ...], clauses: list[str]
) -> None:
    keys = sort_keys(order_by, shape_of(Stone))

    assert _sql(keys) == clauses


def test_takes_one_order_for_a_sequence_of_one() -> None:
    keys = sort_keys(Stone.weight.desc(), shape_of(Stone))

    assert _sql(keys) == ["stone.weight DESC", "stone.id DESC"]


def test_adds_what_is_missing_of_a_composite_key() -> None:
    keys = sort_keys((Field.y.desc(),), shape_of(Field))

    assert _sql(keys) == ["field.y DESC", "field.x DESC"]


def test_takes_composite_attributes_apart() -> None:
    plain = sort_keys((Marked.spot,), shape_of(Marked))
    directed = sort_keys(Marked.spot.desc(), shape_of(Marked))

    assert _sql(plain) == ["marked.x", "marked.y", "marked.id"]
    assert _sql(directed) == ["marked.x DESC", "marked.y DESC", "marked.id DESC"]


def test_knows_the_columns_of_a_parent_table() -> None:
    keys = sort_keys((Gem.carats, Gem.kind), shape_of(Gem))

    assert [key.is_nullable for key in keys] == [False, False, False]


def test_takes_columns_of_other_tables_for_nullable_because_of_outer_joins() -> None:
    other = aliased(Stone)

    keys = sort_keys((Field.x, other.weight), shape_of(Stone))

    assert [key.is_nullable for key in keys] == [True, True, False]


def test_reverses_direction_and_nulls() -> None:
    keys = sort_keys((Stone.color.desc(), Stone.weight), shape_of(Stone))

    assert _sql(key.reversed() for key in keys) == [
        "stone.color NULLS FIRST",
        "stone.weight DESC",
        "stone.id DESC",
    ]


def test_refuses_the_name_of_a_column() -> None:
    with pytest.raises(TypeError, match="'weight' is no expression to sort by"):
        sort_keys(("weight",), shape_of(Stone))  # pyright: ignore[reportArgumentType] -- the mistake


def test_keeps_the_order_of_a_statement_if_nothing_else_is_asked_for() -> None:
    statement, _ = ordered(select(Stone).order_by(Stone.weight.desc()), (), shape_of(Stone))

    assert _ordered_by(statement) == "stone.weight DESC, stone.id DESC"


def test_replaces_the_order_of_a_statement_by_what_is_asked_for() -> None:
    start = select(Stone).order_by(Stone.weight.desc())

    statement, _ = ordered(start, Stone.color, shape_of(Stone))

    assert _ordered_by(statement) == "stone.color NULLS LAST, stone.id"


def test_understands_the_label_that_a_statement_is_ordered_by() -> None:
    shade = func.lower(Stone.color).label("shade")

    statement, keys = ordered(
        select(Stone).add_columns(shade).order_by(shade.desc()), (), shape_of(Stone)
    )

    assert str(keys[0].expression) == "lower(stone.color)"
    assert _ordered_by(statement) == "lower(stone.color) DESC NULLS LAST, stone.id DESC"


def test_makes_an_index_in_the_order_of_a_list() -> None:
    index = order_index(Stone, Stone.weight.desc(), Stone.color, name="stones")

    on_postgresql = str(CreateIndex(index).compile(dialect=postgresql.dialect()))
    on_sqlite = str(CreateIndex(index).compile(dialect=sqlite.dialect()))

    assert on_postgresql == "CREATE INDEX stones ON stone (weight DESC, color NULLS LAST, id)"
    assert on_sqlite == "CREATE INDEX stones ON stone (weight DESC, color, id)"
