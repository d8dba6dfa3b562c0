"""A list endpoint, asked everything: it never fails, and never shows what was not asked for."""

import enum
import operator
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from fastapi import FastAPI, Query
from pydantic import TypeAdapter
from sqlalchemy import ForeignKey, Numeric, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import Base, Database, ReadRepository, ReadTransaction
from fastapi_baseline.persistence.query.criteria import ListQuery
from fastapi_baseline.persistence.query.operators import In, IsNull, Range, Text, on, via
from fastapi_baseline.testing import running
from fastapi_baseline.testing.query_strings import QueryStrings
from tests.tables import create_tables

REQUESTS = 1_000
"""How many requests one run makes; the option `--fuzz-requests` says otherwise, where there is one."""
SEED = 20_261_121


class Wood(enum.Enum):
    OAK = "oak"
    FIR = "fir"


class CrateMaker(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Crate(Base):
    __tablename__ = "fuzzed_crate"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str | None] = mapped_column(String(50))
    wood: Mapped[Wood | None]
    amount: Mapped[int | None]
    rank: Mapped[int | None] = mapped_column(SmallInteger)
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    ratio: Mapped[float | None]
    paid: Mapped[bool | None]
    placed_at: Mapped[datetime | None]
    placed_on: Mapped[date | None]
    code: Mapped[UUID | None]
    password: Mapped[str] = mapped_column(default="hunter2", info={"secret": True})
    maker_id: Mapped[int | None] = mapped_column(ForeignKey("crate_maker.id"))
    maker: Mapped[CrateMaker | None] = relationship()
    labels: Mapped[list["CrateLabel"]] = relationship()


class CrateLabel(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str] = mapped_column(String(50))
    crate_id: Mapped[int] = mapped_column(ForeignKey("fuzzed_crate.id"))


class CrateQuery(
    ListQuery[Crate],
    sort=(Crate.amount, Crate.placed_at.nulls_first(), Crate.price, Crate.id),
    default_sort="-amount",
    search=(Crate.number, via(Crate.maker, CrateMaker.name)),
):
    number: Text | None = None
    numbers: Annotated[In[str] | None, on(Crate.number)] = None
    wood: In[Wood] | None = None
    amount: Range[int] | None = None
    no_amount: Annotated[IsNull | None, on(Crate.amount)] = None
    rank: int | None = None
    price: Range[Decimal] | None = None
    ratio: Range[float] | None = None
    paid: bool | None = None
    placed_at: Range[datetime] | None = None
    placed_on: Range[date] | None = None
    code: In[UUID] | None = None
    maker: Annotated[In[str] | None, via(Crate.maker, CrateMaker.name)] = None
    label: Annotated[Text | None, via(Crate.labels, CrateLabel.words)] = None


class CrateReader(ReadRepository[Crate]):
    pass


def _crates(random: Random) -> list[Crate]:
    texts = [
        None,
        "",
        "Abc",
        "abc",
        "a%c",
        "a_c",
        r"a\c",
        "a/c",
        "x'y",
        "AB-0001",
        "50% off",
        "\u00e9",
    ]
    makers = [CrateMaker(id=number, name=name) for number, name in enumerate(("Ann", "Bob%", "a"))]
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def maybe(value: Any) -> Any:
        return None if random.random() < 0.2 else value

    return [
        Crate(
            id=number,
            number=random.choice(texts),
            wood=maybe(random.choice([*Wood])),
            amount=maybe(random.randint(-3, 9)),
            rank=maybe(random.choice((-32768, 0, 1, 32767))),
            price=maybe(Decimal(random.randint(-500, 500)) / 100),
            ratio=maybe(random.choice((-1.5, 0.0, 0.5, 1e300))),
            paid=maybe(random.random() < 0.5),
            placed_at=maybe(start + timedelta(hours=random.randint(-99, 99))),
            placed_on=maybe(start.date() + timedelta(days=random.randint(-5, 5))),
            code=maybe(UUID(int=random.randint(1, 20))),
            maker=maybe(random.choice(makers)),
            labels=[CrateLabel(words=random.choice(texts) or "z") for _ in range(number % 3)],
        )
        for number in range(1, 121)
    ]


def _random() -> Random:
    return Random(SEED)  # noqa: S311 -- not for secrets, but the same again


# What the endpoint should do, said once more and without SQL.


@cache
def _reader(kind: Any) -> Callable[[str], Any]:
    return TypeAdapter[Any](kind).validate_python


_TYPES: dict[str, Any] = {
    "amount": int, "rank": int, "price": Decimal, "ratio": float, "paid": bool,
    "placed_at": datetime, "placed_on": date, "code": UUID, "wood": Wood,
}  # fmt: skip
_COLUMNS = {"numbers": "number", "no_amount": "amount"}
_COMPARE = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def _lowered(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _holds(part: str, stored: Any, wanted: Any) -> bool:
    if part in _COMPARE:
        return stored is not None and _COMPARE[part](stored, wanted)
    if part == "contains":
        return stored is not None and _lowered(wanted) in _lowered(stored)
    if part == "startswith":
        return stored is not None and _lowered(stored).startswith(_lowered(wanted))
    return stored != wanted if part == "ne" else stored == wanted


def _has(crate: Crate, name: str, values: Sequence[str]) -> bool:
    field, _, part = name.removesuffix("]").partition("[")
    if field == "q":
        texts = [crate.number or "", crate.maker.name if crate.maker else ""]
        return any(_holds("contains", text, values[0]) for text in texts)
    if field == "maker":
        return crate.maker is not None and crate.maker.name in values
    column = _COLUMNS.get(field, field)
    stored = getattr(crate, column)
    if part == "is_null":
        return (stored is None) == _reader(bool)(values[0])
    wanted = [_reader(_TYPES.get(column, str))(value) for value in values]
    return any(_holds(part, stored, value) for value in wanted)


def _has_label(crate: Crate, asked: Mapping[str, str]) -> bool:
    return any(
        all(_holds(part, label.words, value) for part, value in asked.items())
        for label in crate.labels
    )


def _sorted(crates: list[Crate], names: Sequence[str]) -> list[Crate]:
    is_descending = names[-1].startswith("-")
    keys = [*names] if {"id", "-id"} & {*names} else [*names, "-id" if is_descending else "id"]
    for key in reversed(keys):
        name = key.removeprefix("-")
        present = [crate for crate in crates if getattr(crate, name) is not None]
        missing = [crate for crate in crates if getattr(crate, name) is None]
        present.sort(key=operator.attrgetter(name), reverse=key.startswith("-"))
        crates = [*missing, *present] if name == "placed_at" else [*present, *missing]
    return crates


def _expected(crates: Sequence[Crate], query: str) -> list[int]:
    asked: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        asked.setdefault(name, []).append(value)
    limit = int(asked.pop("limit", ["20"])[0])
    offset = int(asked.pop("offset", ["0"])[0])
    names = ",".join(asked.pop("sort", ["-amount"])).split(",")
    # One label must meet all that is asked of labels.
    of_label = {
        name.removesuffix("]").partition("[")[2]: asked.pop(name)[0]
        for name in [*asked]
        if name.startswith("label")
    }
    kept = [
        crate
        for crate in crates
        if all(_has(crate, name, given) for name, given in asked.items())
        and (not of_label or _has_label(crate, of_label))
    ]
    return [crate.id for crate in _sorted(kept, names)][offset : offset + limit]


def _application(database_url: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        database: Database = app.state.database
        await create_tables(database, __name__)
        async with database.transaction() as session:
            session.add_all(_crates(_random()))
        yield

    settings = {"database_url": database_url, "log": {"level": "ERROR"}}
    app = create_app(Settings.model_validate(settings), lifespan=lifespan, configure_logging=False)

    @app.get("/crates")
    async def list_crates(
        query: Annotated[CrateQuery, Query()], session: ReadTransaction
    ) -> list[int]:
        return [crate.id for crate in await CrateReader(session).list(query)]

    return app


async def _fuzz(database_url: str, requests: int) -> dict[int, int]:
    """Return how often each status was the answer."""
    app = _application(database_url)
    statuses: dict[int, int] = {}
    values = {
        "number[contains]": ["a", "A", "%", "_", "\\", "b", "/", "'", "\u00e9"],
        "number[startswith]": ["a", "AB", "5", "%"],
        "number[eq]": ["Abc", "a%c", ""],
        "number[ne]": ["abc", "x"],
        "numbers": ["abc", "a_c", "x'y", ""],
        "code": [str(UUID(int=number)) for number in (1, 2, 3, 99)],
        "price[gte]": ["0", "1.5", "-2.00"],
        "price[lt]": ["0", "4.99", "-2"],
        "maker": ["Ann", "Bob%", "a"],
        "label[contains]": ["a", "%", "z"],
        "q": ["a", "%", "B", "ann"],
        "sort": ["amount", "-amount,id", "placed_at", "-placed_at", "price,-amount", "-id"],
        "limit": ["1", "2", "100", "50"],
        "offset": ["0", "1", "5", "100000"],
    }
    crates = _crates(_random())
    async with running(app) as client:
        strings = QueryStrings.of(app.openapi(), "/crates", random=_random(), values=values)
        for _ in range(requests):
            query = strings.make()
            response = await client.get(f"/crates?{query}")
            query = response.request.url.query.decode("ascii")  # As it was sent, at last.
            status = response.status_code
            statuses[status] = statuses.get(status, 0) + 1
            assert status in {200, 422}, (query, response.text)
            if status == 200:
                assert response.json() == _expected(crates, query), query
    return statuses


@pytest.fixture
def requests(request: pytest.FixtureRequest) -> int:
    chosen: Any = request.config.getoption("--fuzz-requests", None)
    return int(chosen or REQUESTS)


async def test_whatever_is_asked_is_refused_or_answered_with_just_that(
    sqlite_url: str, requests: int
) -> None:
    statuses = await _fuzz(sqlite_url, requests)

    # Neither side is there for show.
    assert min(statuses[200], statuses[422]) > requests / 5


async def test_postgres_gives_the_same_answers(any_postgres_url: str, requests: int) -> None:
    statuses = await _fuzz(any_postgres_url, requests // 8)

    assert min(statuses[200], statuses[422]) > requests / 40
