from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import ForeignKey, Integer, Select, String, event, func, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from fastapi_baseline import DatabaseUrl, Settings, create_app
from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, Database, ReadTransaction, UUIDPrimaryKey
from fastapi_baseline.persistence.errors import HiddenColumnError, InvalidCursorError
from fastapi_baseline.persistence.paging.pages import CursorPage, Page
from fastapi_baseline.persistence.paging.parts import Paging
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.query.criteria import CursorQuery, ListQuery
from fastapi_baseline.persistence.query.operators import In
from fastapi_baseline.persistence.reading.ordering import order_index
from fastapi_baseline.persistence.specification import Spec
from fastapi_baseline.testing import running

StatementLog = Callable[[], AbstractContextManager[list[str]]]

_START = datetime(2026, 5, 1, tzinfo=UTC)


class Canal(Base, UUIDPrimaryKey):
    name: Mapped[str] = mapped_column(String(50))
    locks: Mapped[list["CanalLock"]] = relationship(back_populates="canal")


class CanalLock(Base, UUIDPrimaryKey):
    canal_id: Mapped[UUID | None] = mapped_column(ForeignKey("canal.id"))
    name: Mapped[str] = mapped_column(String(50))
    built_at: Mapped[datetime]
    drop: Mapped[int | None]
    keeper: Mapped[str] = mapped_column(default="nobody")
    canal: Mapped[Canal | None] = relationship(back_populates="locks")


order_index(CanalLock, CanalLock.built_at.desc())


class CanalLockOut(BaseModel):
    name: str


class CanalLockQuery(
    CursorQuery[CanalLock], sort=(CanalLock.name, CanalLock.built_at), default_sort="name"
):
    name: In[str] | None = None


class CanalLockPageQuery(ListQuery[CanalLock], sort=(CanalLock.name,), default_sort="-name"):
    pass


class CanalLocks(Paging[CanalLock]):
    loads = {"canal": [selectinload(CanalLock.canal)]}  # noqa: RUF012 -- a class variable, as declared


class DeepCanalLocks(CanalLocks):
    def select(self) -> Select[CanalLock]:
        return super().select().where(CanalLock.drop > 2).order_by(CanalLock.name.desc())


async def _add_locks(database: Database, count: int = 7, *, canal: str = "Grand Union") -> None:
    async with database.transaction() as session:
        session.add(
            Canal(
                name=canal,
                locks=[
                    CanalLock(
                        name=f"Lock {number}",
                        built_at=_START + timedelta(days=number),
                        drop=None if number % 3 == 0 else number,
                    )
                    for number in range(count)
                ],
            )
        )


def _names(items: Sequence[CanalLock | CanalLockOut]) -> list[str]:
    return [item.name.removeprefix("Lock ") for item in items]


async def test_tells_what_follows_a_full_page_with_two_statements(
    database: Database, statements: StatementLog
) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        with statements() as sent:
            page = await CanalLocks(session).page(order_by=CanalLock.name, limit=3, offset=3)

    assert _names(page.items) == ["3", "4", "5"]
    assert (page.total, page.total_is, page.limit, page.offset) == (7, "exact", 3, 3)
    assert len(sent) == 2


async def test_sees_on_a_last_page_how_many_there_are(
    database: Database, statements: StatementLog
) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        with statements() as sent:
            page = await CanalLocks(session).page(order_by=CanalLock.name, limit=5, offset=5)

    assert (_names(page.items), page.total) == (["5", "6"], 7)
    assert len(sent) == 1


async def test_slices_with_one_statement(database: Database, statements: StatementLog) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        with statements() as sent:
            first = await CanalLocks(session).slice(order_by=CanalLock.name, limit=4)
            rest = await CanalLocks(session).slice(order_by=CanalLock.name, limit=3, offset=4)

    assert (_names(first.items), first.has_next) == (["0", "1", "2", "3"], True)
    assert (_names(rest.items), rest.has_next) == (["4", "5", "6"], False)
    assert len(sent) == 2


async def test_scrolls_forwards_with_one_statement_a_page(
    database: Database, statements: StatementLog
) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        locks = CanalLocks(session)
        with statements() as sent:
            first = await locks.scroll(order_by=CanalLock.drop.desc(), limit=4)
            second = await locks.scroll(order_by=CanalLock.drop.desc(), limit=4, cursor=first.next)

    assert [lock.drop for lock in first.items] == [5, 4, 2, 1]
    assert [lock.drop for lock in second.items] == [None, None, None]
    assert (first.previous, second.next) == (None, None)
    assert len(sent) == 2


async def test_reads_on_from_the_middle_of_an_index(database: Database) -> None:
    await _add_locks(database)
    sent: list[tuple[str, Any]] = []

    def note(*details: Any) -> None:
        sent.append((details[2], details[3]))

    async with database.transaction() as session:
        locks = CanalLocks(session)
        order_by = CanalLock.built_at.desc()
        first = await locks.scroll(order_by=order_by, limit=2)
        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        await locks.scroll(order_by=order_by, limit=2, cursor=first.next)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        connection = await session.connection()
        if database.url.get_backend_name() == "sqlite":
            command, expected = "EXPLAIN QUERY PLAN", "SEARCH canal_lock USING INDEX"
        else:
            # There are too few rows for an index to pay.
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            command, expected = "EXPLAIN", "Index Cond: (ROW(built_at, id) < ROW("
        [(statement, parameters)] = sent
        plan = (await connection.exec_driver_sql(f"{command} {statement}", parameters)).all()

    assert expected in str(plan)
    assert "sort" not in str(plan).lower()
    assert "temp" not in str(plan).lower()


async def test_scrolls_backwards_in_the_same_order(database: Database) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        locks = CanalLocks(session)
        first = await locks.scroll(order_by=CanalLock.name, limit=3)
        second = await locks.scroll(order_by=CanalLock.name, limit=3, cursor=first.next)
        third = await locks.scroll(order_by=CanalLock.name, limit=3, cursor=second.next)

        back = await locks.scroll(order_by=CanalLock.name, limit=3, cursor=third.previous)
        again = await locks.scroll(order_by=CanalLock.name, limit=3, cursor=back.previous)
        forth = await locks.scroll(order_by=CanalLock.name, limit=3, cursor=again.next)

    assert _names(third.items) == ["6"]
    assert _names(back.items) == ["3", "4", "5"]
    assert _names(again.items) == ["0", "1", "2"]
    assert again.previous is None
    assert forth == second


async def test_leads_back_from_where_nothing_is_left(database: Database) -> None:
    await _add_locks(database, 4)
    async with database.transaction() as session:
        locks = CanalLocks(session)
        first = await locks.scroll(order_by=CanalLock.name, limit=2)
        second = await locks.scroll(order_by=CanalLock.name, limit=2, cursor=first.next)
        for lock in second.items:
            await session.delete(lock)

        after = await locks.scroll(order_by=CanalLock.name, limit=2, cursor=first.next)
        last = await locks.scroll(order_by=CanalLock.name, limit=2, cursor=after.previous)
        for lock in first.items:
            await session.delete(lock)
        before = await locks.scroll(order_by=CanalLock.name, limit=2, cursor=second.previous)
        start = await locks.scroll(order_by=CanalLock.name, limit=2, cursor=before.next)

    assert (after.items, after.next) == ([], None)
    assert (_names(last.items), last.next) == (["0", "1"], None)
    assert (before.items, before.previous) == ([], None)
    assert (start.items, start.next, start.previous) == ([], None, None)


async def test_makes_schemas_of_the_columns_that_they_need(
    database: Database, statements: StatementLog
) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        locks = CanalLocks(session)
        with statements() as sent:
            page = await locks.page(as_=CanalLockOut, order_by=CanalLock.built_at)
            part = await locks.slice(as_=CanalLockOut, order_by=CanalLock.built_at)
            scrolled = await locks.scroll(as_=CanalLockOut, order_by=CanalLock.drop, limit=2)

    assert (
        page.items[:2]
        == part.items[:2]
        == [
            CanalLockOut(name="Lock 0"),
            CanalLockOut(name="Lock 1"),
        ]
    )
    assert scrolled.items == [CanalLockOut(name="Lock 1"), CanalLockOut(name="Lock 2")]
    assert len(sent) == 3
    assert not any("keeper" in statement for statement in sent)


async def test_loads_only_what_is_asked_for(database: Database) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        planned = await CanalLocks(session).scroll(load="canal", limit=2)
        canals = {lock.canal.name for lock in planned.items if lock.canal is not None}
    async with database.transaction() as session:
        plain = await CanalLocks(session).scroll(limit=2)
        with pytest.raises(InvalidRequestError, match="raise"):
            _ = plain.items[0].canal

    assert canals == {"Grand Union"}


async def test_pages_what_a_statement_joins(database: Database) -> None:
    await _add_locks(database, 3, canal="Regent's")
    await _add_locks(database, 2, canal="Avon")
    async with database.transaction() as session:
        session.add(CanalLock(name="Lock 9", built_at=_START))
    statement = select(CanalLock).outerjoin(CanalLock.canal)
    order_by = (Canal.name, CanalLock.name)
    seen: list[str] = []
    async with database.transaction() as session:
        locks, cursor = CanalLocks(session), None
        while True:
            page = await locks.scroll(
                statement=statement, order_by=order_by, limit=2, cursor=cursor
            )
            seen += _names(page.items)
            if (cursor := page.next) is None:
                break
        total = (await locks.page(statement=statement, order_by=order_by, limit=2)).total

    assert seen == ["0", "1", "0", "1", "2", "9"]
    assert total == 6


async def test_scrolls_in_the_order_of_an_expression(database: Database) -> None:
    await _add_locks(database, 5)
    distance = func.abs(CanalLock.drop - 3, type_=Integer).label("distance")
    async with database.transaction() as session:
        locks = CanalLocks(session)
        first = await locks.scroll(order_by=(distance, CanalLock.name), limit=2)
        second = await locks.scroll(order_by=(distance, CanalLock.name), limit=2, cursor=first.next)

    assert _names([*first.items, *second.items]) == ["2", "4", "1", "0"]


async def test_keeps_to_what_a_repository_selects_and_to_its_order(database: Database) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        locks = DeepCanalLocks(session)
        page = await locks.page(limit=1)
        scrolled = await locks.scroll()

    assert (_names(page.items), page.total) == (["5"], 2)
    assert _names(scrolled.items) == ["5", "4"]


async def test_takes_a_query_for_conditions_order_and_part(database: Database) -> None:
    await _add_locks(database)
    query = CanalLockPageQuery.model_validate({"limit": 2, "offset": 1})
    async with database.transaction() as session:
        locks = CanalLocks(session)
        page = await locks.page(query)
        part = await locks.slice(query, CanalLock.drop.is_not(None))

    assert (_names(page.items), page.limit, page.offset, page.total) == (["5", "4"], 2, 1, 7)
    assert _names(part.items) == ["4", "2"]


@pytest.mark.parametrize(
    "said",
    [{"limit": 3}, {"offset": 3}, {"limit": 3, "offset": 3}, {"order_by": CanalLock.name}],
)
async def test_refuses_to_be_told_twice_which_page(said: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="CanalLockPageQuery"):
        await CanalLocks(AsyncSession()).page(CanalLockPageQuery(), **said)


async def test_refuses_to_be_told_twice_where_to_scroll() -> None:
    with pytest.raises(TypeError, match="CanalLockQuery has its own limit and cursor"):
        await CanalLocks(AsyncSession()).scroll(CanalLockQuery(), limit=3, cursor="x")


async def test_refuses_a_query_for_another_kind_of_page() -> None:
    locks = CanalLocks(AsyncSession())
    with pytest.raises(TypeError, match=r"cursor page: call scroll\(\)"):
        await locks.page(CanalLockQuery())
    with pytest.raises(TypeError, match=r"numbered page: call page\(\)"):
        await locks.scroll(CanalLockPageQuery())


@pytest.mark.parametrize("limit", [0, -1])
async def test_refuses_an_empty_page(limit: int) -> None:
    locks = CanalLocks(AsyncSession())
    with pytest.raises(ValueError, match="1 item at least"):
        await locks.page(limit=limit)
    with pytest.raises(ValueError, match="1 item at least"):
        await locks.slice(limit=limit)
    with pytest.raises(ValueError, match="1 item at least"):
        await locks.scroll(limit=limit)


async def test_refuses_a_negative_offset() -> None:
    with pytest.raises(ValueError, match="not negative"):
        await CanalLocks(AsyncSession()).page(offset=-1)


async def test_sends_no_statement_for_a_damaged_cursor(
    database: Database, statements: StatementLog
) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        locks = CanalLocks(session)
        page = await locks.scroll(limit=2)
        damaged = f"{page.next}A"
        with statements() as sent, pytest.raises(InvalidCursorError):
            await locks.scroll(limit=2, cursor=damaged)

    assert sent == []


async def test_binds_a_cursor_to_order_query_tenant_and_policy(database: Database) -> None:
    await _add_locks(database)
    async with database.transaction() as session:
        locks = CanalLocks(session)
        restricted = locks.restricted(Policy(name="keeper"))
        query = CanalLockQuery.model_validate({"limit": 2})
        cursor = (await locks.scroll(query)).next

        request_context.set(RequestContext(request_id="1", tenant="acme"))
        with pytest.raises(InvalidCursorError):
            await locks.scroll(query.model_copy(update={"cursor": cursor}))
        request_context.set(None)
        for other in [
            CanalLockQuery.model_validate({"sort": "-name", "cursor": cursor}),
            CanalLockQuery.model_validate({"name": ["Lock 1"], "cursor": cursor}),
        ]:
            with pytest.raises(InvalidCursorError):
                await locks.scroll(other)
        with pytest.raises(InvalidCursorError):
            await restricted.scroll(query.model_copy(update={"cursor": cursor}))
        same = await locks.scroll(
            CanalLockQuery.model_validate({"limit": 5, "cursor": cursor}),
            CanalLock.name != "Lock 3",
        )

    assert _names(same.items) == ["2", "4", "5", "6"]


async def test_gives_no_cursors_without_a_key(database: Database) -> None:
    async with AsyncSession(database.engine) as session:
        with pytest.raises(ConfigurationError, match="DATABASE__CURSOR_KEY"):
            await CanalLocks(session).scroll()


async def test_shows_only_what_a_policy_lets_be_read(database: Database) -> None:
    await _add_locks(database)
    policy = Policy[CanalLock](
        read=Spec(CanalLock.drop > 1), hidden=[CanalLock.keeper], name="shallow"
    )
    async with database.transaction() as session:
        locks = CanalLocks(session).restricted(policy)
        page = await locks.page(order_by=CanalLock.name, limit=1)
        scrolled = await locks.scroll(order_by=CanalLock.name)
        with pytest.raises(HiddenColumnError):
            await locks.scroll(order_by=CanalLock.keeper)

    assert (page.total, _names(scrolled.items)) == (3, ["2", "4", "5"])


@pytest.fixture
def app(database: Database, any_database_url: str) -> FastAPI:
    settings = Settings(database_url=DatabaseUrl(any_database_url))
    app = create_app(settings, configure_logging=False)

    @app.get("/locks")
    async def scroll_locks(
        query: Annotated[CanalLockQuery, Query()],
        session: ReadTransaction,
        request: Request,
        response: Response,
    ) -> CursorPage[CanalLockOut]:
        page = await CanalLocks(session).scroll(query, as_=CanalLockOut)
        return page.add_links(request, response)

    @app.get("/locks/numbered")
    async def list_locks(
        query: Annotated[CanalLockPageQuery, Query()], session: ReadTransaction
    ) -> Page[CanalLockOut]:
        return await CanalLocks(session).page(query, as_=CanalLockOut)

    return app


async def test_serves_a_list_that_clients_walk_by_its_links(
    database: Database, app: FastAPI
) -> None:
    await _add_locks(database)
    names: list[str] = []
    async with running(app) as client:
        url: str | None = "/locks?sort=-name&limit=3"
        while url is not None:
            answer = await client.get(url)
            names += [item["name"].removeprefix("Lock ") for item in answer.json()["items"]]
            url = answer.links.get("next", {}).get("url")

    assert names == ["6", "5", "4", "3", "2", "1", "0"]


async def test_serves_numbered_pages(database: Database, app: FastAPI) -> None:
    await _add_locks(database, 3)
    async with running(app) as client:
        answer = await client.get("/locks/numbered?limit=1&offset=2")

    assert answer.json() == {
        "items": [{"name": "Lock 0"}],
        "total": 3,
        "total_is": "exact",
        "limit": 1,
        "offset": 2,
    }


@pytest.mark.parametrize("change", ["", "x", "foreign", "other sort", "other filter", "%00", "é"])
async def test_answers_a_cursor_that_is_not_its_own_with_400(
    database: Database, app: FastAPI, change: str
) -> None:
    await _add_locks(database)
    async with running(app) as client:
        own = (await client.get("/locks?limit=1")).json()["next"]
        by_date = (await client.get("/locks?limit=1&sort=built_at")).json()["next"]
        one_name = "/locks?limit=1&name=Lock%201&name=Lock%202"
        asked = {
            "foreign": "W3siYiI6MX1d",
            "other sort": by_date,
            "other filter": (await client.get(one_name)).json()["next"],
        }.get(change, f"{own[:-1]}{change}")
        answer = await client.get(f"/locks?limit=1&cursor={asked}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
