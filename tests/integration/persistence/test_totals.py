from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import Base, Database
from fastapi_baseline.persistence.paging.parts import Paging
from fastapi_baseline.persistence.paging.totals import Total
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete
from fastapi_baseline.testing import ManualClock

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Raindrop(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    is_cold: Mapped[bool]


class Snowflake(Base, SoftDelete):
    id: Mapped[int] = mapped_column(primary_key=True)


class Raindrops(Paging[Raindrop]):
    pass


class Snowflakes(Paging[Snowflake]):
    pass


@pytest.fixture
async def rain(database: Database) -> Database:
    async with database.transaction() as session:
        session.add_all(Raindrop(id=number, is_cold=number % 2 == 0) for number in range(50))
    if database.url.get_backend_name() == "postgresql":
        async with database.transaction() as session:
            await session.execute(text("ANALYZE raindrop"))
    return database


async def test_counts_exactly(rain: Database, statements: StatementLog) -> None:
    async with rain.transaction() as session:
        with statements() as sent:
            page = await Raindrops(session).page(Raindrop.is_cold.is_(True), limit=3)

    assert (page.total, page.total_is) == (25, "exact")
    assert len(sent) == 2
    assert "over" not in " ".join(sent).lower()


@pytest.mark.parametrize("offset", [50, 51, 1000])
async def test_counts_right_beyond_the_last_page(rain: Database, offset: int) -> None:
    async with rain.transaction() as session:
        page = await Raindrops(session).page(limit=10, offset=offset)

    assert (page.items, page.total) == ([], 50)


@pytest.mark.parametrize("total", [Total.EXACT, Total.capped(5), Total.ESTIMATED])
@pytest.mark.parametrize(("limit", "offset"), [(51, 0), (20, 40), (60, 49)])
async def test_asks_nothing_where_the_page_tells(
    rain: Database, statements: StatementLog, total: Total, limit: int, offset: int
) -> None:
    async with rain.transaction() as session:
        with statements() as sent:
            page = await Raindrops(session).page(limit=limit, offset=offset, total=total)

    assert (page.total, page.total_is) == (50, "exact")
    assert len(sent) == 1


async def test_asks_nothing_about_an_empty_first_page(
    rain: Database, statements: StatementLog
) -> None:
    async with rain.transaction() as session:
        with statements() as sent:
            page = await Raindrops(session).page(Raindrop.id < 0)

    assert (page.total, page.total_is) == (0, "exact")
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("cap", "offset", "total", "total_is"),
    [
        (49, 0, 49, "at_least"),
        (50, 0, 50, "exact"),
        (51, 0, 50, "exact"),
        (10, 20, 23, "at_least"),
        (10, 60, 10, "at_least"),
    ],
)
async def test_counts_up_to_a_cap(
    rain: Database, cap: int, offset: int, total: int, total_is: str
) -> None:
    async with rain.transaction() as session:
        page = await Raindrops(session).page(limit=3, offset=offset, total=Total.capped(cap))

    assert (page.total, page.total_is) == (total, total_is)


async def test_stops_counting_at_the_cap(rain: Database, statements: StatementLog) -> None:
    async with rain.transaction() as session:
        with statements() as sent:
            await Raindrops(session).page(limit=3, total=Total.capped(10))

    assert "LIMIT" in sent[1]


async def test_leaves_the_total_unknown(rain: Database, statements: StatementLog) -> None:
    async with rain.transaction() as session:
        with statements() as sent:
            full = await Raindrops(session).page(limit=3, total=Total.NONE)
            last = await Raindrops(session).page(limit=3, offset=48, total=Total.NONE)

    assert (full.total, full.total_is) == (last.total, last.total_is) == (None, "unknown")
    assert len(sent) == 2


async def test_estimates_with_one_more_statement(rain: Database, statements: StatementLog) -> None:
    is_planned = rain.url.get_backend_name() == "postgresql"
    async with rain.transaction() as session:
        with statements() as sent:
            page = await Raindrops(session).page(
                Raindrop.is_cold.is_(True), limit=3, total=Total.ESTIMATED
            )

    assert (page.total, page.total_is) == (25, "estimated" if is_planned else "exact")
    assert len(sent) == 2
    assert sent[1].startswith("EXPLAIN (FORMAT JSON) SELECT") == is_planned


async def test_estimates_again_what_another_page_asks_for(rain: Database) -> None:
    async with rain.transaction() as session:
        pages = [
            await Raindrops(session).page(Raindrop.id < bound, limit=3, total=Total.ESTIMATED)
            for bound in (50, 30, 10)
        ]

    assert [page.total for page in pages] == pytest.approx([50, 30, 10], abs=2)


async def test_never_estimates_less_than_it_shows(rain: Database) -> None:
    unlikely = Raindrop.id.not_in(range(48)), Raindrop.is_cold.in_([True, False])
    async with rain.transaction() as session:
        page = await Raindrops(session).page(*unlikely, limit=2, total=Total.ESTIMATED)

    assert page.total == 2


@pytest.mark.parametrize("total", [Total.EXACT, Total.capped(40), Total.ESTIMATED])
async def test_counts_the_rows_of_a_statement_once(rain: Database, total: Total) -> None:
    other = Raindrop.__table__.alias()
    doubled = select(Raindrop).join(other, other.c.id.in_([1, 2])).distinct()
    async with rain.transaction() as session:
        page = await Raindrops(session).page(
            Raindrop.id < 30, statement=doubled, limit=3, total=total
        )

    assert page.total is not None
    assert 15 <= page.total <= 60
    assert page.total == 30 or page.total_is == "estimated"


@pytest.mark.parametrize("total", [Total.EXACT, Total.capped(), Total.ESTIMATED])
async def test_does_not_count_what_is_softly_deleted(
    database: Database, clock: ManualClock, total: Total
) -> None:
    async with database.transaction() as session:
        session.add_all(
            Snowflake(id=number, deleted_at=clock.now() if number < 30 else None)
            for number in range(40)
        )
        await session.flush()
        if database.url.get_backend_name() == "postgresql":
            await session.execute(text("ANALYZE snowflake"))
    async with database.transaction() as session:
        flakes = Snowflakes(session)
        present = await flakes.page(limit=2, total=total)
        all_of_them = await flakes.with_deleted().page(limit=2, total=total)

    assert (present.total, all_of_them.total) == (10, 40)


def test_refuses_a_cap_of_nothing() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        Total.capped(0)
