"""Defects that were found in other data layers, one test for each: here none of them may be.

`benchmarks/peers/defects` shows each of them where it is.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI, Query, Response
from httpx2 import AsyncClient
from pydantic import BaseModel
from sqlalchemy import ForeignKey, UniqueConstraint, func, select, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from fastapi_baseline import ConfigurationError, Settings, create_app
from fastapi_baseline.persistence import (
    Base,
    CursorPage,
    CursorQuery,
    Database,
    IfMatch,
    ListQuery,
    LoadPlans,
    LockTimeoutError,
    Page,
    Range,
    ReadRepository,
    ReadTransaction,
    Repository,
    SoftDelete,
    Spec,
    StaleEntityError,
    StatementTimeoutError,
    Text,
    Timestamps,
    Transaction,
    UnconditionedWriteError,
    UUIDPrimaryKey,
    Versioned,
    VersionMismatchError,
    etag_of,
    related,
)
from fastapi_baseline.settings import DatabaseSettings
from fastapi_baseline.testing import running
from tests.tables import create_tables

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class Borrower(Base, UUIDPrimaryKey, Timestamps, Versioned):
    __tablename__ = "contract_member"
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str] = mapped_column(default="secret")
    score: Mapped[int | None]
    loans: Mapped[list["Borrowing"]] = relationship(back_populates="member")


class Borrowing(Base, UUIDPrimaryKey, SoftDelete):
    __tablename__ = "contract_loan"
    title: Mapped[str]
    member_id: Mapped[UUID] = mapped_column(
        ForeignKey("contract_member.id", deferrable=True, initially="DEFERRED")
    )
    member: Mapped[Borrower] = relationship(back_populates="loans")


class TwoKeys(Base, UUIDPrimaryKey):
    __tablename__ = "contract_two_keys"
    tenant_id: Mapped[int]
    number: Mapped[int]
    email: Mapped[str]
    __table_args__ = (
        UniqueConstraint("tenant_id", "number"),
        UniqueConstraint("tenant_id", "email"),
    )


class MemberReader(ReadRepository[Borrower]):
    loads: ClassVar[LoadPlans] = {"with loans": [selectinload(Borrower.loans)]}


class MemberRepository(MemberReader, Repository[Borrower]):
    pass


class LoanRepository(Repository[Borrowing]):
    pass


class MemberQuery(
    ListQuery[Borrower], sort=(Borrower.name, Borrower.score), search=(Borrower.name,), max_limit=50
):
    score: Range[int] | None = None
    name: Text | None = None


class MemberScroll(
    CursorQuery[Borrower], sort=(Borrower.name, Borrower.score), search=(Borrower.name,)
):
    score: Range[int] | None = None


class MemberIn(BaseModel):
    name: str
    score: int | None = None


class MemberChanges(BaseModel):
    name: str = ""
    score: int | None = None


class MemberOut(BaseModel):
    id: UUID
    name: str
    score: int | None


class LoanIn(BaseModel):
    title: str
    member_id: UUID


def _reader(session: ReadTransaction) -> MemberReader:
    return MemberReader(session)


def _repository(session: Transaction) -> MemberRepository:
    return MemberRepository(session)


Reader = Annotated[MemberReader, Depends(_reader)]
Members = Annotated[MemberRepository, Depends(_repository)]


def _app(url: str) -> FastAPI:
    app = create_app(Settings(database_url=url), configure_logging=False)  # pyright: ignore[reportArgumentType] -- a text, as the environment has it

    @app.get("/members")
    async def list_members(
        query: Annotated[MemberQuery, Query()], members: Reader
    ) -> Page[MemberOut]:
        return await members.page(query, as_=MemberOut)

    @app.get("/scroll")
    async def scroll_members(
        query: Annotated[MemberScroll, Query()], members: Reader
    ) -> CursorPage[MemberOut]:
        return await members.scroll(query, as_=MemberOut)

    @app.post("/members", status_code=201)
    async def add_member(body: MemberIn, members: Members, response: Response) -> UUID:
        member = await members.add(Borrower(name=body.name, score=body.score))
        response.headers["ETag"] = etag_of(member)
        return member.id

    @app.patch("/members/{member_id}", response_model=MemberOut)
    async def change_member(
        member_id: UUID, body: MemberChanges, members: Members, if_match: IfMatch
    ) -> Borrower:
        return await members.patch(member_id, body, expected_version=if_match)

    @app.post("/loans", status_code=201)
    async def add_loan(body: LoanIn, session: Transaction) -> UUID:
        loans = LoanRepository(session)
        return (await loans.add(Borrowing(title=body.title, member_id=body.member_id))).id

    return app


@pytest.fixture
async def client(database: Database, any_database_url: str) -> AsyncGenerator[AsyncClient]:
    async with running(_app(any_database_url)) as client:
        yield client


async def _add(database: Database, *names: str, score: int | None = None) -> list[Borrower]:
    async with database.transaction() as session:
        members = [Borrower(name=name, score=score) for name in names]
        return [*await MemberRepository(session).add_many(members)]


async def test_a_constraint_that_fails_at_the_commit_is_a_conflict_and_hurts_nobody_else(
    client: AsyncClient,
) -> None:
    orphan = {"title": "Emma", "member_id": str(UUID(int=1))}

    refused = await client.post("/loans", json=orphan)
    after = [await client.post("/members", json={"name": f"m{number}"}) for number in range(8)]

    assert (refused.status_code, refused.json()["code"]) == (409, "foreign_key_violation")
    assert [answer.status_code for answer in after] == [201] * 8
    assert (await client.get("/members")).json()["total"] == 8


async def test_what_was_answered_with_201_is_seen_by_every_other_connection(
    client: AsyncClient, database: Database
) -> None:
    for number in range(20):
        answer = await client.post("/members", json={"name": f"m{number}"})

        async with database.read_transaction() as session:
            assert await MemberReader(session).exists(Borrower.id == UUID(answer.json()))


async def test_a_stale_version_overwrites_nothing(client: AsyncClient) -> None:
    added = await client.post("/members", json={"name": "Ann", "score": 1})
    path, etag = f"/members/{added.json()}", added.headers["ETag"]
    first = await client.patch(path, json={"score": 2}, headers={"If-Match": etag})

    second = await client.patch(path, json={"score": 3}, headers={"If-Match": etag})
    without = await client.patch(path, json={"score": 4})

    assert (first.status_code, second.status_code, without.status_code) == (200, 412, 428)
    assert (await client.get("/members")).json()["items"][0]["score"] == 2


async def test_a_stale_version_cannot_be_given_as_a_value(database: Database) -> None:
    (ann,) = await _add(database, "Ann")
    async with database.transaction() as session:
        await MemberRepository(session).update(ann.id, {"score": 1})

    async with database.transaction() as session:
        with pytest.raises(VersionMismatchError):
            await MemberRepository(session).update(ann.id, {"score": 2}, expected_version=1)

    async with database.transaction() as session:
        session.add(ann)
        with pytest.raises(StaleEntityError):
            await MemberRepository(session).update(ann, {"score": 3})
        await session.rollback()
    async with database.read_transaction() as session:
        assert [member.score for member in await MemberReader(session).list()] == [1]


async def test_exists_does_not_see_what_is_softly_deleted(database: Database) -> None:
    (ann,) = await _add(database, "Ann")
    async with database.transaction() as session:
        loan = await LoanRepository(session).add(Borrowing(title="Emma", member_id=ann.id))
        await LoanRepository(session).delete(loan.id)

    async with database.read_transaction() as session:
        members = MemberReader(session)
        lending: Spec[Borrower] = related(Borrower.loans, Spec(Borrowing.title == "Emma"))
        by_any = await members.exists(lending)
        by_exists = await members.exists(
            select(Borrowing.id).where(Borrowing.member_id == Borrower.id).exists()
        )
        with_loans = await members.list(load="with loans")

    assert (by_any, by_exists) == (False, False)
    assert [member.loans for member in with_loans] == [[]]


@pytest.mark.parametrize("direction", ["", "-"])
async def test_a_walk_by_cursor_finds_every_row_once_also_with_ties_and_without_values(
    client: AsyncClient, database: Database, direction: str
) -> None:
    await _add(database, "a", "b", "c", score=1)
    await _add(database, "d", "e", "f")
    await _add(database, "g", "h", "i", score=2)
    path, found = f"/scroll?sort={direction}score&limit=2", list[str]()

    cursor = ""
    while cursor is not None:
        page = (await client.get(path + (f"&cursor={cursor}" if cursor else ""))).json()
        found += [item["name"] for item in page["items"]]
        cursor = page["next"]

    assert sorted(found) == list("abcdefghi")
    assert sorted(found[-3:]) == ["d", "e", "f"]


async def test_a_cursor_that_is_forged_or_of_another_list_is_refused(
    client: AsyncClient, database: Database
) -> None:
    await _add(database, "a", "b", "c")
    cursor = (await client.get("/scroll?sort=name&limit=1")).json()["next"]

    answers = [
        await client.get(f"/scroll?{query}")
        for query in (
            "sort=name&limit=1&cursor=>x~i:4",
            f"sort=name&limit=1&cursor={cursor[:-2]}",
            f"sort=name&limit=1&cursor={cursor[::-1]}",
            f"sort=-name&limit=1&cursor={cursor}",
            f"sort=name&limit=1&q=a&cursor={cursor}",
            f"sort=name&limit=1&score[gte]=1&cursor={cursor}",
        )
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["code"] for answer in answers} == {"invalid_cursor"}


@pytest.mark.parametrize(
    "query",
    [
        *("sort=password_hash", "sort=metadata", "sort=nosuch", "sort=__class__", "sort=loans"),
        *("limit=51", "limit=1000000", "limit=-1", "limit=0", "offset=-1"),
        *("nosuch=1", "password_hash=secret", "score[nosuch]=1", "score[gte]=x", "score=1&x=2"),
        *("name[startsmith]=a", "score[gte]=99999999999999999999"),
    ],
)
async def test_what_is_not_offered_is_refused(client: AsyncClient, query: str) -> None:
    answer = await client.get(f"/members?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["in"] == "query"


async def test_wildcards_are_characters_like_any_other(
    client: AsyncClient, database: Database
) -> None:
    await _add(database, "100%", "100 x", "a_b", "axb")

    found = {
        text: [item["name"] for item in answer.json()["items"]]
        for text in ("%25", "_", "100%25", "a_b")
        for answer in [await client.get(f"/members?q={text}&sort=name")]
    }

    assert found == {"%25": ["100%"], "_": ["a_b"], "100%25": ["100%"], "a_b": ["a_b"]}


async def test_what_is_malformed_never_finds_more(client: AsyncClient, database: Database) -> None:
    await _add(database, "a", "b")
    queries = ("score[gte]=", "score[gte]=%00", "score[]=1", "name[contains]=%ff", "sort=", "q=%00")

    answers = [await client.get(f"/members?{query}") for query in queries]

    assert all(
        answer.status_code == 422 or (answer.status_code == 200 and not answer.json()["items"])
        for answer in answers
    )


async def test_all_rows_are_deleted_or_updated_only_when_that_is_said(database: Database) -> None:
    await _add(database, "a", "b")

    async with database.transaction() as session:
        members = MemberRepository(session)
        with pytest.raises(UnconditionedWriteError):
            await members.delete_where()
        with pytest.raises(UnconditionedWriteError):
            await members.update_where(values={"score": 1})
        with pytest.raises(UnconditionedWriteError):
            await members.delete_where(MemberQuery().spec())
        assert await members.count() == 2
        assert await members.delete_where(all_rows=True) == 2


async def test_the_total_is_right_beyond_the_last_page(
    client: AsyncClient, database: Database
) -> None:
    await _add(database, "a", "b", "c")

    page = (await client.get("/members?offset=10&limit=2")).json()

    assert (page["items"], page["total"]) == ([], 3)


async def test_each_operation_takes_no_more_statements_than_it_must(
    database: Database, statements: StatementLog
) -> None:
    taken: dict[str, int] = {}
    ann, bob, *_ = await _add(database, "Ann", "Bob", "Cid", "Dee")

    async def measure(name: str, work: Callable[[MemberRepository], object]) -> None:
        async with database.transaction() as session:
            members = MemberRepository(session)
            loaded = await members.get(ann.id) if name == "get, loaded" else None
            with statements() as sent:
                await work(members)  # pyright: ignore[reportGeneralTypeIssues] -- every one is a coroutine
            taken[name] = len(sent)
            del loaded  # Until here the session keeps it.

    await measure("get", lambda members: members.get(ann.id))
    await measure("get, loaded", lambda members: members.get(ann.id))
    await measure("exists", lambda members: members.exists(Borrower.score > 1))
    await measure("list", lambda members: members.list(load="with loans"))
    await measure("page, derivable", lambda members: members.page())
    await measure("page", lambda members: members.page(limit=2))
    await measure("slice", lambda members: members.slice(limit=2))
    await measure("scroll", lambda members: members.scroll(limit=2))
    await measure("add", lambda members: members.add(Borrower(name="Eve")))
    await measure("add many", lambda m: m.add_many([Borrower(name=f"m{n}") for n in range(100)]))
    await measure("patch", lambda members: members.patch(ann.id, MemberChanges(score=3)))
    await measure("upsert", lambda m: m.upsert({"name": "Ann", "score": 4}, key=[Borrower.name]))
    await measure(
        "upsert many",
        lambda m: m.upsert_many(
            [{"name": f"m{n}", "score": n} for n in range(50)], key=[Borrower.name]
        ),
    )
    await measure("update where", lambda m: m.update_where(Borrower.score > 1, values={"score": 9}))
    await measure("delete", lambda members: members.delete(bob.id))
    await measure("delete where", lambda members: members.delete_where(Borrower.name == "Cid"))

    assert taken == {
        **dict.fromkeys(taken, 1),
        "get, loaded": 0,
        "list": 2,
        "page": 2,
    }


async def test_five_increments_at_once_count_to_five(database: Database) -> None:
    (ann,) = await _add(database, "Ann", score=0)

    async def increment() -> None:
        async with database.transaction() as session:
            statement = select(Borrower.score).where(Borrower.id == ann.id).with_for_update()
            score = await session.scalar(statement)
            await session.execute(
                update(Borrower).where(Borrower.id == ann.id).values(score=(score or 0) + 1)
            )

    await asyncio.gather(*(increment() for _ in range(5)))

    async with database.read_transaction() as session:
        assert (await MemberReader(session).get(ann.id)).score == 5


async def test_a_lock_that_is_not_had_is_no_conflict(any_database_url: str) -> None:
    quick = DatabaseSettings(
        lock_timeout=timedelta(milliseconds=100), busy_timeout=timedelta(milliseconds=100)
    )
    holder, waiter = Database(any_database_url), Database(any_database_url, settings=quick)
    await create_tables(holder, __name__)
    (ann,) = await _add(holder, "Ann")

    async with holder.transaction() as session:
        await MemberRepository(session).update(ann.id, {"score": 1})
        with pytest.raises(LockTimeoutError):
            async with waiter.transaction() as waiting:
                await MemberRepository(waiting).update(ann.id, {"score": 2})

    await holder.dispose()
    await waiter.dispose()


async def test_a_statement_that_takes_too_long_is_no_conflict(any_postgres_url: str) -> None:
    quick = DatabaseSettings(statement_timeout=timedelta(milliseconds=100))
    database = Database(any_postgres_url, settings=quick)

    with pytest.raises(StatementTimeoutError):
        async with database.read_transaction() as session:
            await session.execute(select(func.pg_sleep(5)))

    await database.dispose()


async def test_options_of_one_call_do_not_reach_the_next(database: Database) -> None:
    (ann,) = await _add(database, "Ann")
    async with database.transaction() as session:
        await LoanRepository(session).add(Borrowing(title="Emma", member_id=ann.id))

    async with database.read_transaction() as session:
        members = MemberReader(session)
        joined = members.select().join(Borrower.loans)
        await members.list(statement=joined, load="with loans", limit=1)
        with pytest.raises(ConfigurationError):
            await members.list(load="nosuch")
        session.expunge_all()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- to load again
        plain = await members.list()

        with pytest.raises(InvalidRequestError, match="raise"):
            _ = plain[0].loans


def test_unique_keys_that_begin_alike_have_names_of_their_own() -> None:
    names = {
        constraint.name
        for constraint in TwoKeys.__table__.constraints  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] -- a table
        if isinstance(constraint, UniqueConstraint)
    }

    assert len(names) == 2


def test_a_process_ends_when_its_database_is_disposed_of(any_database_url: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from fastapi_baseline.persistence import Database\n"
        "async def main():\n"
        "    database = Database(sys.argv[1])\n"
        "    await database.ping()\n"
        "    await database.dispose()\n"
        "asyncio.run(main())\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program, any_database_url], check=False, timeout=60
    )

    assert ended.returncode == 0


async def test_moments_are_aware_and_stamped_by_the_clock(database: Database) -> None:
    (ann,) = await _add(database, "Ann")

    async with database.read_transaction() as session:
        found = await MemberReader(session).get(ann.id)

    assert found.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
