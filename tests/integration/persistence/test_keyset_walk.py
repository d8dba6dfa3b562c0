"""Walks through random rows in random orders, while others are added and removed behind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import (
    ARRAY,
    REAL,
    Boolean,
    Date,
    Double,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Time,
    Uuid,
    delete,
    insert,
    text,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from fastapi_baseline.persistence import Base, Database
from fastapi_baseline.persistence.models import UTCDateTime
from fastapi_baseline.persistence.paging.pages import CursorPage
from fastapi_baseline.persistence.reading.ordering import Order
from fastapi_baseline.persistence.repository import ReadRepository

pytestmark = pytest.mark.filterwarnings("ignore:Dialect sqlite.* does .not. support Decimal")


class Mood(Enum):
    ZEST = "a"
    CALM = "z"
    ANGER = "m"


@dataclass(frozen=True)
class Kind:
    """A type of columns, a value of it, and a strategy for more."""

    type: TypeEngine[Any]
    example: Any
    values: st.SearchStrategy[Any]


_ZONES = [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-11))]
_TEXTS = [
    "",
    "a",
    "A",
    "ä",
    "a\u0308",
    "B",
    "ss",
    "ß",
    "é",
    "日本",
    "😀",
    "_",
    "%",
    " a",
    "'",
    '\\"',
]
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
_LONG_AGO, _FAR_OFF = datetime(2, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001 -- zones are drawn

_KINDS = {
    "text": Kind(String(), "", st.sampled_from(_TEXTS) | st.text(_CHARACTERS, max_size=5)),
    "integer": Kind(Integer(), 0, st.integers(-(2**31), 2**31 - 1)),
    "double": Kind(Double(), 0.0, st.sampled_from([0.1, 1 / 3, -0.0]) | st.floats(allow_nan=False)),
    "real": Kind(REAL(), 0.0, st.floats(width=32, allow_nan=False)),
    "decimal": Kind(
        Numeric(24, 8), Decimal(0), st.decimals(-(10**9), 10**9, places=8, allow_nan=False)
    ),
    "moment": Kind(
        UTCDateTime(),
        datetime(2026, 1, 1, tzinfo=UTC),
        st.datetimes(_LONG_AGO, _FAR_OFF, timezones=st.sampled_from(_ZONES)),
    ),
    "day": Kind(Date(), date(2026, 1, 1), st.dates()),
    "clock": Kind(Time(), time(0), st.times()),
    "duration": Kind(
        Interval(), timedelta(0), st.timedeltas(timedelta(days=-9999), timedelta(days=9999))
    ),
    "uuid": Kind(Uuid(), UUID(int=0), st.uuids()),
    "mood": Kind(EnumType(Mood, name="walk_mood"), Mood.CALM, st.sampled_from(Mood)),
    "flag": Kind(Boolean(), False, st.booleans()),
    "bytes": Kind(LargeBinary(), b"", st.binary(max_size=4)),
}


class Walked(Base):
    """A row with a column of each kind that is never NULL, and with one that may be."""

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    walk: Mapped[int]


for _name, _kind in _KINDS.items():
    setattr(Walked, f"any_{_name}", mapped_column(_kind.type, default=_kind.example))
    setattr(Walked, f"maybe_{_name}", mapped_column(_kind.type, nullable=True))


class WalkedRows(ReadRepository[Walked]):
    pass


@dataclass(frozen=True)
class Way:
    """One of the columns that are sorted by, and how."""

    name: str
    descending: bool
    nulls_first: bool

    @property
    def order(self) -> Order:
        column = getattr(Walked, self.name)
        directed = column.desc() if self.descending else column.asc()
        return directed.nulls_first() if self.nulls_first else directed


@dataclass
class Plan:
    ways: list[Way]
    rows: list[dict[str, Any]]
    limit: int
    changes: Iterator[str]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


@st.composite
def _plans(draw: st.DrawFn) -> Plan:
    names = [f"{prefix}_{name}" for name in _KINDS for prefix in ("any", "maybe")]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    ways = [Way(name, draw(st.booleans()), draw(st.booleans())) for name in chosen]
    # Few values, so that many rows are equal in all but their keys.
    pools = {name: draw(st.lists(_values(name), min_size=1, max_size=4)) for name in chosen}
    row = st.fixed_dictionaries({name: st.sampled_from(pools[name]) for name in chosen})
    rows = draw(st.lists(row, max_size=25))
    changes = draw(st.lists(st.sampled_from(["none", "add", "remove"]), max_size=12))
    return Plan(ways, rows, draw(st.integers(1, 5)), iter(changes))


def _values(name: str) -> st.SearchStrategy[Any]:
    prefix, _, kind = name.partition("_")
    values = _KINDS[kind].values
    return values if prefix == "any" else st.none() | values


@dataclass
class Walk:
    """One walk: the rows of others have other numbers."""

    database: Database
    plan: Plan
    number: int
    behind: int = 1
    """In which direction of keys the rows are that come before one with the same values."""

    async def begin(self) -> list[int]:
        self.behind = 1 if self.plan.ways[-1].descending else -1
        rows = [
            {"id": self.number * 10_000 + index * 100, "walk": self.number, **row}
            for index, row in enumerate(self.plan.rows, start=1)
        ]
        async with self.database.transaction() as session:
            if rows:
                await session.execute(insert(Walked), rows)
        return await self.in_order()

    async def in_order(self) -> list[int]:
        """Return the keys of all rows as one statement sorts them."""
        async with self.database.read_transaction() as session:
            rows = await WalkedRows(session).list(Walked.walk == self.number, order_by=self.order)
            return [row.id for row in rows]

    async def page(self, cursor: str | None) -> CursorPage[Walked]:
        async with self.database.read_transaction() as session:
            return await WalkedRows(session).scroll(
                Walked.walk == self.number,
                order_by=self.order,
                limit=self.plan.limit,
                cursor=cursor,
            )

    async def change_behind(self, seen: Sequence[int], *, behind: int) -> None:
        """Add a row that comes directly before one that was seen, or remove that one."""
        change = next(self.plan.changes, "none")
        number = next(self.plan.numbers)
        if change == "none" or not seen:
            return
        target = seen[number % len(seen)]
        async with self.database.transaction() as session:
            row = await session.get(Walked, target)
            if row is None:
                return
            if change == "remove":
                await session.execute(delete(Walked).where(Walked.id == target))
                return
            columns = cast("Any", Walked.__table__).columns
            values = {column.name: getattr(row, column.name) for column in columns}
            await session.execute(insert(Walked), {**values, "id": target + behind * number})

    @property
    def order(self) -> list[Order]:
        return [way.order for way in self.plan.ways]


_numbers = count(1)


@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=_plans())
async def test_loses_and_repeats_no_row_either_way(database: Database, plan: Plan) -> None:
    walk = Walk(database, plan, number=next(_numbers))
    expected = await walk.begin()

    seen: list[int] = []
    page = await walk.page(None)
    seen += [row.id for row in page.items]
    while page.next is not None and len(seen) <= len(expected):
        await walk.change_behind(seen, behind=walk.behind)
        page = await walk.page(page.next)
        seen += [row.id for row in page.items]

    in_order = await walk.in_order()
    before = in_order[: in_order.index(page.items[0].id)] if page.items else []
    back: list[int] = []
    while page.previous is not None and len(back) <= len(before):
        page = await walk.page(page.previous)
        back = [row.id for row in page.items] + back
        await walk.change_behind(back, behind=-walk.behind)

    assert seen == expected
    assert back == before
    assert page.previous is None


class Special(DeclarativeBase):
    """Models of one test, which only one of the databases can have."""


class Loosely(Special):
    __tablename__ = "loosely"
    id: Mapped[int] = mapped_column(primary_key=True)
    nocase: Mapped[str] = mapped_column(String(collation="NOCASE"))


class Strange(Special):
    __tablename__ = "strange"
    id: Mapped[int] = mapped_column(primary_key=True)
    caseless: Mapped[str] = mapped_column(CITEXT())
    cased: Mapped[str] = mapped_column(String(collation="C"))
    double: Mapped[float] = mapped_column(Double())
    real: Mapped[float] = mapped_column(REAL())
    number: Mapped[Decimal] = mapped_column(Numeric())
    moment: Mapped[datetime] = mapped_column(UTCDateTime())
    span: Mapped[timedelta] = mapped_column(Interval())
    list_: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class LooselyRows(ReadRepository[Loosely]):
    pass


class StrangeRows(ReadRepository[Strange]):
    pass


async def _walk_both_ways(
    rows: ReadRepository[Any], order_by: Order
) -> tuple[list[int], list[int], list[int]]:
    """Return keys as one statement sorts them, as pages do, and as pages do on the way back.

    Only keys are read: drivers cannot read all that PostgreSQL can store.
    """
    in_order = [item.id for item in await rows.list(as_=_Key, order_by=order_by)]
    page = await rows.scroll(as_=_Key, order_by=order_by, limit=2)
    forth = [item.id for item in page.items]
    while page.next is not None and len(forth) <= len(in_order):
        page = await rows.scroll(as_=_Key, order_by=order_by, limit=2, cursor=page.next)
        forth += [item.id for item in page.items]
    back = [item.id for item in page.items]
    while page.previous is not None and len(back) <= len(in_order):
        page = await rows.scroll(as_=_Key, order_by=order_by, limit=2, cursor=page.previous)
        back = [item.id for item in page.items] + back
    return in_order, forth, back


class _Key(BaseModel):
    id: int


@pytest.fixture
async def strange_rows(postgres_database: Database) -> Database:
    values = [
        ("a", "0.1", "0.1", "1.10", "infinity", "1 year", "{1,2}"),
        ("A", "NaN", "0.3", "1.1", "-infinity", "360 days", "{1}"),
        ("b", "-0", "1e-40", "NaN", "2026-01-01 00:00:00.000001+00", "12 mons", "{}"),
        ("B", "0", "NaN", "1e30", "0044-03-15 00:00:00+00 BC", "8640 hours", "{1,NULL}"),
        ("ä", "infinity", "0.1", "-1e-30", "12026-01-01 00:00:00+00", "-1 mon", "{1,2}"),
        ("Ä", "5e-324", "-infinity", "0", "2026-01-01 00:00:00+00", "365 days", "{1}"),
        ("a", "0.30000000000000004", "0.1", "1.1000", "1890-01-01 00:00:00+01", "0", "{2}"),
    ]
    async with postgres_database.transaction() as session:
        await session.execute(text("CREATE EXTENSION citext"))
        connection = await session.connection()
        await connection.run_sync(Special.metadata.tables["strange"].create)
        for number, (letter, *others) in enumerate(values, start=1):
            literals = ", ".join(f"'{value}'" for value in (letter, letter, *others))
            await session.execute(text(f"INSERT INTO strange VALUES ({number}, {literals})"))  # noqa: S608
    return postgres_database


async def test_walks_by_what_python_cannot_hold_or_tell_apart(strange_rows: Database) -> None:
    names = ["caseless", "cased", "double", "real", "number", "moment", "span", "list_"]
    columns = [getattr(Strange, name) for name in names]
    wrong: list[Order] = []
    async with strange_rows.read_transaction() as session:
        for order_by in [*columns, *(column.desc() for column in columns)]:
            in_order, forth, back = await _walk_both_ways(StrangeRows(session), order_by)
            if not forth == back == in_order or len(in_order) != 7:
                wrong.append(order_by)

    assert wrong == []


@pytest.mark.parametrize("descending", [False, True])
async def test_walks_by_text_that_sqlite_takes_for_equal(sqlite_url: str, descending: bool) -> None:
    database = Database(sqlite_url)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.run_sync(Special.metadata.tables["loosely"].create)
        session.add_all(Loosely(id=n, nocase=name) for n, name in enumerate("aAbBaAäÄ"))
    column = Loosely.nocase
    async with database.read_transaction() as session:
        in_order, forth, back = await _walk_both_ways(
            LooselyRows(session), column.desc() if descending else column
        )
    await database.dispose()

    assert len(in_order) == 8
    assert forth == in_order
    assert back == in_order
