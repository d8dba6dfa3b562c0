"""Each operator against real rows, with those that have no value and those that look like patterns."""

import enum
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from sqlalchemy import (
    BigInteger,
    Enum,
    ForeignKey,
    Numeric,
    SmallInteger,
    String,
    Uuid,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.persistence import Base, Database
from fastapi_baseline.persistence.query.criteria import Criteria, ListQuery
from fastapi_baseline.persistence.query.operators import In, IsNull, Range, Text, on, via

Table = list[tuple[dict[str, Any], list[int]]]
StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Grade(enum.Enum):
    FINE = "fine"
    COARSE = "coarse"


class Channel(enum.StrEnum):
    WEB = "web"
    SHOP = "shop"


class TeaGrower(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    phone: Mapped[str | None] = mapped_column(String(50))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("tea_grower.id"))
    parent: Mapped["TeaGrower | None"] = relationship(remote_side="TeaGrower.id")


class TeaChest(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str | None] = mapped_column(String(50))
    weight: Mapped[int | None]
    rank: Mapped[int | None] = mapped_column(SmallInteger)
    serial: Mapped[int | None] = mapped_column(BigInteger)
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    ratio: Mapped[float | None]
    grade: Mapped[Grade | None]
    channel: Mapped[str | None] = mapped_column(String(10))
    size: Mapped[str | None] = mapped_column(Enum("small", "large", name="tea_size"))
    sealed: Mapped[bool | None]
    picked_at: Mapped[datetime | None]
    picked_on: Mapped[date | None]
    picked_by: Mapped[time | None]
    aged: Mapped[timedelta | None]
    code: Mapped[UUID | None]
    text_code: Mapped[str | None] = mapped_column(Uuid(as_uuid=False))
    grower_id: Mapped[int | None] = mapped_column(ForeignKey("tea_grower.id"))
    grower: Mapped[TeaGrower | None] = relationship()
    notes: Mapped[list["TeaNote"]] = relationship(back_populates="chest")


class TeaNote(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str]
    chest_id: Mapped[int] = mapped_column(ForeignKey("tea_chest.id"))
    chest: Mapped[TeaChest] = relationship(back_populates="notes")
    author_id: Mapped[int | None] = mapped_column(ForeignKey("tea_grower.id"))
    author: Mapped[TeaGrower | None] = relationship()


class TeaQuery(
    ListQuery[TeaChest],
    sort=(TeaChest.weight, TeaChest.picked_at.nulls_first(), TeaChest.id),
    search=(TeaChest.label, via(TeaChest.notes, TeaNote.words)),
):
    id: In[int] | None = None
    label: Text | None = None
    labels: Annotated[In[str] | None, on(TeaChest.label)] = None
    weight: Range[int] | None = None
    exact_weight: Annotated[int | None, on(TeaChest.weight)] = None
    no_weight: Annotated[IsNull | None, on(TeaChest.weight)] = None
    rank: Range[int] | None = None
    serial: Range[int] | None = None
    price: Range[Decimal] | None = None
    ratio: Range[float] | None = None
    grade: In[Grade] | None = None
    channel: In[Channel] | None = None
    size: In[Literal["small", "large"]] | None = None
    sealed: bool | None = None
    picked_at: Range[datetime] | None = None
    picked_on: Range[date] | None = None
    picked_by: Range[time] | None = None
    aged: Range[timedelta] | None = None
    code: In[UUID] | None = None
    text_code: In[str] | None = None
    grower: Annotated[In[str] | None, via(TeaChest.grower, TeaGrower.name)] = None
    grower_name: Annotated[Text | None, via(TeaChest.grower, TeaGrower.name)] = None
    grower_phone: Annotated[IsNull | None, via(TeaChest.grower, TeaGrower.phone)] = None
    estate: Annotated[str | None, via(TeaChest.grower, TeaGrower.parent, TeaGrower.name)] = None
    note: Annotated[Text | None, via(TeaChest.notes, TeaNote.words)] = None
    author: Annotated[In[str] | None, via(TeaChest.notes, TeaNote.author, TeaGrower.name)] = None


_DAY = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_CODE = UUID("0199c2a4-7f3e-7b1c-9d52-3f0a6c8e1b47")


def _rows() -> list[Base]:
    estate = TeaGrower(id=1, name="Estate")
    ann = TeaGrower(id=2, name="Ann", phone="1", parent=estate)
    bob = TeaGrower(id=3, name="Bob%")
    return [
        TeaChest(
            id=1, label="Green", weight=1, rank=1, serial=1, price=Decimal("1.10"), ratio=0.5,
            grade=Grade.FINE, channel="web", size="small", sealed=True, picked_at=_DAY,
            picked_on=_DAY.date(), picked_by=_DAY.time(), aged=timedelta(1), code=_CODE,
            text_code=str(_CODE), grower=ann,
            notes=[TeaNote(words="dry dry", author=ann), TeaNote(words="dry", author=bob)],
        ),
        TeaChest(
            id=2, label="green", weight=2, rank=2, serial=2**40, price=Decimal("1.20"), ratio=1.5,
            grade=Grade.COARSE, channel="shop", size="large", sealed=False,
            picked_at=_DAY + timedelta(1), picked_on=_DAY.date() + timedelta(1),
            picked_by=time(4), aged=timedelta(2), grower=bob,
            notes=[TeaNote(words="a%b")],
        ),
        TeaChest(id=3, label="50% a_b", weight=2),
        TeaChest(id=4, label=r"a\b / c"),
        TeaChest(id=5, label=""),
        TeaChest(id=6),
        TeaChest(id=7, label="axb 500"),
    ]  # fmt: skip


@pytest.fixture(autouse=True)
async def _stored(database: Database) -> None:
    async with database.transaction() as session:
        session.add_all(_rows())


async def _found(database: Database, criteria: Criteria[TeaChest]) -> list[int]:
    async with database.transaction() as session:
        statement = select(TeaChest.id).where(criteria.spec().condition)
        order = criteria.order_by() or (TeaChest.id.asc(),)
        return [*(await session.scalars(statement.order_by(*order)))]


_TABLES: dict[str, Table] = {
    "nothing": [({}, [1, 2, 3, 4, 5, 6, 7])],
    "one of several values": [
        ({"id": In([2, 5, 99])}, [2, 5]),
        ({"labels": In(["Green"])}, [1]),
        ({"labels": In(["", "50% a_b"])}, [3, 5]),
        ({"grade": In([Grade.FINE])}, [1]),
        ({"grade": In([Grade.FINE, Grade.COARSE])}, [1, 2]),
        ({"channel": In([Channel.SHOP])}, [2]),
        ({"size": In(["large"])}, [2]),
        ({"code": In([_CODE])}, [1]),
        ({"text_code": In([str(_CODE).upper()])}, [1]),
    ],
    "one value": [
        ({"exact_weight": 2}, [2, 3]),
        ({"sealed": True}, [1]),
        ({"sealed": False}, [2]),
    ],
    "ranges": [
        ({"weight": Range(gt=1)}, [2, 3]),
        ({"weight": Range(gte=1)}, [1, 2, 3]),
        ({"weight": Range(lt=2)}, [1]),
        ({"weight": Range(lte=2)}, [1, 2, 3]),
        ({"weight": Range(gte=1, lt=2)}, [1]),
        ({"weight": Range(gt=2, lt=1)}, []),
        ({"weight": Range[int]()}, [1, 2, 3, 4, 5, 6, 7]),
        ({"rank": Range(gte=2)}, [2]),
        ({"serial": Range(gt=2**33)}, [2]),
        ({"price": Range(gt=Decimal("1.1"))}, [2]),
        ({"price": Range(lte=Decimal("1.1"))}, [1]),
        ({"ratio": Range(gt=1)}, [2]),
        ({"picked_at": Range(gte=_DAY)}, [1, 2]),
        ({"picked_at": Range(gt=_DAY)}, [2]),
        ({"picked_at": Range(lt=datetime.fromisoformat("2026-01-02T05:04:05+01:00"))}, [1]),
        ({"picked_on": Range(lte=_DAY.date())}, [1]),
        ({"picked_by": Range(gt=_DAY.time())}, [2]),
        ({"aged": Range(gt=timedelta(1))}, [2]),
    ],
    "texts": [
        ({"label": Text(eq="green")}, [2]),
        ({"label": Text(eq="")}, [5]),
        ({"label": Text(eq="GREEN")}, []),
        ({"label": Text(ne="green")}, [1, 3, 4, 5, 6, 7]),
        ({"label": Text(ne="")}, [1, 2, 3, 4, 6, 7]),
        ({"label": Text(contains="REE")}, [1, 2]),
        ({"label": Text(contains="%")}, [3]),
        ({"label": Text(contains="_")}, [3]),
        ({"label": Text(contains="a_b")}, [3]),
        ({"label": Text(contains="\\")}, [4]),
        ({"label": Text(contains="/")}, [4]),
        ({"label": Text(contains="a\\b")}, [4]),
        ({"label": Text(contains="50%")}, [3]),
        ({"label": Text(startswith="gr")}, [1, 2]),
        ({"label": Text(startswith="reen")}, []),
        ({"label": Text(startswith="%")}, []),
        ({"label": Text(startswith="50% A")}, [3]),
        ({"label": Text(contains="re", ne="Green")}, [2]),
        ({"label": Text()}, [1, 2, 3, 4, 5, 6, 7]),
    ],
    "null tests": [
        ({"no_weight": IsNull()}, [4, 5, 6, 7]),
        ({"no_weight": IsNull(is_null=False)}, [1, 2, 3]),
    ],
    "related rows": [
        ({"grower": In(["Ann"])}, [1]),
        ({"grower": In(["Ann", "Bob%"])}, [1, 2]),
        ({"grower_name": Text(contains="%")}, [2]),
        ({"grower_name": Text(ne="Ann")}, [2]),
        ({"grower_phone": IsNull()}, [2]),
        ({"grower_phone": IsNull(is_null=False)}, [1]),
        ({"estate": "Estate"}, [1]),
        ({"estate": "Ann"}, []),
        ({"note": Text(contains="DRY")}, [1]),
        ({"author": In(["Bob%"])}, [1]),
        ({"author": In(["Estate"])}, []),
    ],
    "search": [
        ({"q": "green"}, [1, 2]),
        ({"q": "a%b"}, [2]),
        ({"q": "dry"}, [1]),
    ],
    "all of it": [
        ({"weight": Range(gte=1), "sealed": False, "q": "green"}, [2]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("asked", _TABLES)
async def test_finds_the_rows_that_are_asked_for(database: Database, asked: str) -> None:
    table = _TABLES[asked]

    found = [(query, await _found(database, TeaQuery(**query, sort=("id",)))) for query, _ in table]

    assert found == table


async def test_puts_rows_without_a_value_where_the_class_says(database: Database) -> None:
    sorts = {
        ("weight", "id"): [1, 2, 3, 4, 5, 6, 7],
        ("-weight", "id"): [2, 3, 1, 4, 5, 6, 7],
        ("picked_at", "id"): [3, 4, 5, 6, 7, 1, 2],
        ("-picked_at", "-id"): [7, 6, 5, 4, 3, 2, 1],
    }

    found = {sort: await _found(database, TeaQuery(sort=sort)) for sort in sorts}

    assert found == sorts


async def test_says_nothing_of_null_where_there_is_none(
    database: Database, statements: StatementLog
) -> None:
    with statements() as sent:
        await _found(database, TeaQuery(sort=("-id",)))

    assert "NULLS" not in sent[0]


async def test_gives_a_row_once_that_is_related_to_many(
    database: Database, statements: StatementLog
) -> None:
    with statements() as sent:
        rows = await _found(database, TeaQuery(note=Text(contains="dry"), sort=("id",)))

    assert rows == [1]
    assert len(sent) == 1
    assert "JOIN" not in sent[0]


_EXTREME: list[dict[str, Any]] = [
    {"rank": Range(gte=-(2**15), lte=2**15 - 1)},
    {"weight": Range(gte=-(2**31), lte=2**31 - 1)},
    {"serial": Range(gte=-(2**63), lte=2**63 - 1)},
    {"price": Range(gte=Decimal("-99999999.99"), lte=Decimal("99999999.99"))},
    {"ratio": Range(gte=-1.7e308, lte=1.7e308)},
    {"picked_at": Range(gte=datetime.min.replace(tzinfo=UTC))},
    {"picked_at": Range(lte=datetime.max.replace(tzinfo=UTC))},
    {"picked_on": Range(gte=date.min, lte=date.max)},
    {"picked_by": Range(gte=time.min, lte=time.max)},
    {"aged": Range(gte=timedelta(days=-719_000), lte=timedelta(days=2_932_000))},
    {"label": Text(contains="x" * 1_000)},
    {"labels": In([f"{number}" * 10 for number in range(100)])},
    {"q": "\N{PILE OF POO}\ufffd"},
]


async def test_asks_the_database_for_the_most_extreme_values(database: Database) -> None:
    found = [await _found(database, TeaQuery(**asked)) for asked in _EXTREME]

    assert all(set(rows) <= {1, 2, 3, 4, 5, 6, 7} for rows in found)
