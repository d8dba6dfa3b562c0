from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest
from sqlalchemy import String, create_engine, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, Session, mapped_column
from sqlalchemy.types import REAL

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.paging.keyset import Position, beyond, position_columns
from fastapi_baseline.persistence.reading.ordering import Order, SortKey, order_clauses, sort_keys
from fastapi_baseline.persistence.shape import shape_of


class Model(DeclarativeBase):
    pass


class Dot(Model):
    __tablename__ = "dot"
    id: Mapped[int] = mapped_column(primary_key=True)
    x: Mapped[int]
    y: Mapped[int]
    a: Mapped[int | None]
    b: Mapped[int | None]
    size: Mapped[float] = mapped_column(REAL)
    name: Mapped[str] = mapped_column(CITEXT)
    label: Mapped[str] = mapped_column(String(5, collation="C"))


class Pair(Model):
    __tablename__ = "pair"
    id: Mapped[int] = mapped_column(primary_key=True)
    a: Mapped[int | None]
    b: Mapped[int | None]


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        Model.metadata.create_all(session.connection(), tables=[Model.metadata.tables["pair"]])
        yield session
    engine.dispose()


def _keys(*order_by: Order) -> tuple[SortKey, ...]:
    return sort_keys(order_by, shape_of(Dot))


def _sql(*order_by: Order, at: Position) -> str:
    dialect = postgresql.psycopg.dialect(paramstyle="named")
    text = str(beyond(_keys(*order_by), at).compile(dialect=dialect))
    for name in ("INTEGER", "REAL", "CITEXT", "VARCHAR(5)"):
        text = text.replace(f" AS TEXT) AS {name})", "").replace("CAST(CAST(", "")
    return text.replace("dot.", "").replace(":param_", "$")


@pytest.mark.parametrize(
    ("order_by", "condition"),
    [
        ((), "id > $1"),
        ((Dot.id.desc(),), "id < $1"),
        ((Dot.x,), "(x, id) > ($1, $2)"),
        ((Dot.x.desc(), Dot.y.desc()), "(x, y, id) < ($1, $2, $3)"),
        ((Dot.x.desc(), Dot.y), "x <= $1 AND (x < $1 OR (y, id) > ($2, $3))"),
        (
            (Dot.x.desc(), Dot.y, Dot.id.desc()),
            "x <= $1 AND (x < $1 OR y >= $2 AND (y > $2 OR id < $3))",
        ),
        ((Dot.x, Dot.a.nulls_first()), "x >= $1 AND (x > $1 OR a >= $2 AND (a > $2 OR id > $3))"),
        ((Dot.a.nulls_first(),), "a >= $1 AND (a > $1 OR id > $2)"),
        ((Dot.a,), "a > $1 OR a IS NULL OR a = $1 AND id > $2"),
    ],
)
def test_begins_with_a_bound_that_an_index_can_use(
    order_by: Sequence[Order], condition: str
) -> None:
    position = tuple(range(len(_keys(*order_by))))

    assert _sql(*order_by, at=position) == condition


@pytest.mark.parametrize(
    ("order_by", "condition"),
    [
        ((Dot.a,), "a IS NULL AND id > $1"),
        ((Dot.a.nulls_first(),), "a IS NOT NULL OR id > $1"),
    ],
)
def test_goes_on_from_null(order_by: Sequence[Order], condition: str) -> None:
    assert _sql(*order_by, at=(None, 1)) == condition


@pytest.mark.parametrize(
    ("column", "bound"),
    [
        (Dot.size, "CAST(CAST(:param_1 AS TEXT) AS REAL)"),
        (Dot.name, "CAST(CAST(:param_1 AS TEXT) AS CITEXT)"),
        (Dot.label, 'CAST(CAST(:param_1 AS TEXT) AS VARCHAR(5)) COLLATE "C"'),
    ],
)
def test_compares_with_the_type_of_the_column(column: Any, bound: str) -> None:
    dialect = postgresql.psycopg.dialect(paramstyle="named")

    condition = beyond(_keys(column)[:1], ("1",))

    assert str(condition.compile(dialect=dialect)).endswith(bound)


def test_refuses_an_expression_without_a_type() -> None:
    with pytest.raises(ConfigurationError, match=r"type is known for frobnicate\(dot.x\)"):
        position_columns(_keys(func.frobnicate(Dot.x)))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_walks_through_all_rows_both_ways_in_any_order_of_nulls(
    session: Session, size: int
) -> None:
    session.add_all(Pair(a=a, b=b) for a, b in 2 * [*product((None, 1, 2), (None, 1, 2, 3))])
    wrong: list[str] = []

    for order_by in product(_orders(Pair.a), _orders(Pair.b)):
        keys = sort_keys(order_by, shape_of(Pair))
        in_order = [*session.scalars(select(Pair.id).order_by(*order_clauses(keys)))]
        back = [key.reversed() for key in keys]
        if _walk(session, keys, size) != in_order or _walk(session, back, size) != in_order[::-1]:
            wrong.append(str(order_clauses(keys)))

    assert wrong == []


def _orders(column: InstrumentedAttribute[int | None]) -> list[Order]:
    ways = [column.asc(), column.desc()]
    return [*ways, *(way.nulls_first() for way in ways)]


def _walk(session: Session, keys: Sequence[SortKey], size: int) -> list[int]:
    seen: list[int] = []
    position: Position | None = None
    while True:
        statement = select(Pair.id, *position_columns(keys)).order_by(*order_clauses(keys))
        if position is not None:
            statement = statement.where(beyond(keys, position))
        rows = session.execute(statement.limit(size)).all()
        if not rows:
            return seen
        seen += [row[0] for row in rows]
        position = tuple(rows[-1][1:])
