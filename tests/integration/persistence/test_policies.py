"""What a policy lets an asker see and change, on every path of a repository."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import false, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.errors import ConfigurationError, ForbiddenError, NotFoundError
from fastapi_baseline.persistence import (
    Base,
    CursorQuery,
    Database,
    HiddenColumnError,
    In,
    InvalidCursorError,
    ListQuery,
    Policy,
    ReadOnlyColumnError,
    Repository,
    SoftDelete,
    Spec,
    UUIDPrimaryKey,
)


class Record(Base, UUIDPrimaryKey, SoftDelete):
    __tablename__ = "policy_record"
    owner: Mapped[str]
    code: Mapped[str] = mapped_column(unique=True)
    is_locked: Mapped[bool] = mapped_column(default=False)
    salary: Mapped[int] = mapped_column(default=0)


class RecordRepository(Repository[Record]):
    pass


class RecordQuery(ListQuery[Record], sort=(Record.code, Record.salary), search=(Record.code,)):
    salary: In[int] | None = None


class RecordScroll(CursorQuery[Record], sort=(Record.code,)):
    pass


class RecordChanges(BaseModel):
    owner: str = ""
    code: str = ""
    salary: int = 0


class SalaryOut(BaseModel):
    salary: int


class CodeOut(BaseModel):
    code: str


def _mine(name: str = "ann") -> Policy[Record]:
    return Policy(
        read=Spec(Record.owner == name),
        update=Spec((Record.owner == name) & Record.is_locked.is_(False)),
        delete=Spec((Record.owner == name) & Record.is_locked.is_(False)),
        name=f"owner:{name}",
    )


DISCREET = Policy[Record](hidden=[Record.salary], read_only=[Record.owner], name="discreet")


@pytest.fixture
async def records(database: Database) -> dict[str, UUID]:
    """Give the keys of four records: two of Ann's, of which one is locked, and two of Bob's."""
    async with database.transaction() as session:
        added = await RecordRepository(session).add_many(
            [
                Record(owner="ann", code="a1", salary=1),
                Record(owner="ann", code="a2", salary=2, is_locked=True),
                Record(owner="bob", code="b1", salary=3),
                Record(owner="bob", code="b2", salary=4),
            ]
        )
        return {record.code: record.id for record in added}


async def test_every_read_sees_only_what_may_be_read(
    database: Database, records: dict[str, UUID]
) -> None:
    async with database.transaction() as session:
        mine = RecordRepository(session).restricted(_mine())

        assert await mine.find(records["b1"]) is None
        assert not await mine.exists(Record.code == "b1")
        assert await mine.count() == 2
        assert [record.code for record in await mine.list()] == ["a1", "a2"]
        assert [record.code async for record in mine.stream()] == ["a1", "a2"]
        assert (await mine.page(RecordQuery())).total == 2
        assert [found.code for found in (await mine.slice()).items] == ["a1", "a2"]
        assert [found.code for found in (await mine.scroll(RecordScroll())).items] == ["a1", "a2"]
        assert [item.code for item in await mine.list(as_=CodeOut)] == ["a1", "a2"]
        assert await mine.find_one(select(Record).where(Record.code == "b1")) is None
        with pytest.raises(NotFoundError):
            await mine.get(records["b1"])
        with pytest.raises(NotFoundError):
            await mine.get_many([records["a1"], records["b1"]])


async def test_a_loaded_entity_that_may_not_be_read_is_not_given_away(
    database: Database, records: dict[str, UUID]
) -> None:
    async with database.transaction() as session:
        everything = RecordRepository(session)
        await everything.get(records["b1"])

        assert await everything.restricted(_mine()).find(records["b1"]) is None


@pytest.mark.parametrize(("code", "error"), [("b1", NotFoundError), ("a2", ForbiddenError)])
async def test_what_cannot_be_read_is_not_there_and_the_rest_is_forbidden(
    database: Database, records: dict[str, UUID], code: str, error: type[Exception]
) -> None:
    attempts: list[Callable[[RecordRepository], Any]] = [
        lambda mine: mine.update(records[code], {"salary": 9}),
        lambda mine: mine.patch(records[code], RecordChanges(salary=9)),
        lambda mine: mine.delete(records[code]),
    ]

    for attempt in attempts:
        async with database.transaction() as session:
            with pytest.raises(error):
                await attempt(RecordRepository(session).restricted(_mine()))

    async with database.transaction() as session:
        kept = await RecordRepository(session).get(records[code])
        assert (kept.salary, kept.deleted_at) != (9, None)
        assert kept.salary < 9


async def test_conditional_writes_change_only_what_may_be_changed(
    database: Database, records: dict[str, UUID]
) -> None:
    async with database.transaction() as session:
        mine = RecordRepository(session).restricted(_mine())

        updated = await mine.update_where(values={"salary": 9}, all_rows=True)
        deleted = await mine.delete_where(all_rows=True)

    async with database.transaction() as session:
        left = {record.code: record.salary for record in await RecordRepository(session).list()}
    assert (updated, deleted) == (1, 1)
    assert left == {"a2": 2, "b1": 3, "b2": 4}


async def test_a_row_cannot_be_moved_out_of_sight(
    database: Database, records: dict[str, UUID]
) -> None:
    attempts: list[Callable[[RecordRepository], Any]] = [
        lambda mine: mine.update(records["a1"], {"owner": "bob"}),
        lambda mine: mine.patch(records["a1"], RecordChanges(owner="bob")),
        lambda mine: mine.update_where(Record.code == "a1", values={"owner": "bob"}),
        lambda mine: mine.upsert({"owner": "bob", "code": "a1"}, key=[Record.code]),
    ]

    for attempt in attempts:
        async with database.transaction() as session:
            with pytest.raises(ForbiddenError):
                await attempt(RecordRepository(session).restricted(_mine()))

    async with database.transaction() as session:
        assert (await RecordRepository(session).get(records["a1"])).owner == "ann"


async def test_a_new_row_must_be_allowed(database: Database, records: dict[str, UUID]) -> None:
    attempts: list[Callable[[RecordRepository], Any]] = [
        lambda mine: mine.add(Record(owner="bob", code="x1")),
        lambda mine: mine.add_many(
            [Record(owner="ann", code="x2"), Record(owner="bob", code="x3")]
        ),
        lambda mine: mine.upsert({"owner": "bob", "code": "x4"}, key=[Record.code]),
        lambda mine: mine.upsert_many(
            [{"owner": "ann", "code": "x5"}, {"owner": "bob", "code": "x6"}], key=[Record.code]
        ),
    ]

    for attempt in attempts:
        async with database.transaction() as session:
            with pytest.raises(ForbiddenError):
                await attempt(RecordRepository(session).restricted(_mine()))

    async with database.transaction() as session:
        assert await RecordRepository(session).count() == len(records)


async def test_rows_that_must_be_allowed_are_not_copied_unseen(
    database: Database, records: dict[str, UUID]
) -> None:
    async with database.transaction() as session:
        mine = RecordRepository(session).restricted(_mine())

        with pytest.raises(ConfigurationError, match="add"):
            await mine.copy_many([{"owner": "ann", "code": "x7"}])


async def test_an_upsert_cannot_take_what_is_another_ones(
    database: Database, records: dict[str, UUID]
) -> None:
    async with database.transaction() as session:
        with pytest.raises(ForbiddenError):
            await (
                RecordRepository(session)
                .restricted(_mine())
                .upsert({"owner": "ann", "code": "b1"}, key=[Record.code])
            )

    async with database.transaction() as session:
        assert (await RecordRepository(session).get(records["b1"])).owner == "bob"


async def test_what_was_deleted_comes_back_and_goes_only_for_whom_it_may(
    database: Database, records: dict[str, UUID]
) -> None:
    async with database.transaction() as session:
        everything = RecordRepository(session)
        await everything.delete(records["a1"])
        await everything.delete(records["b1"])

    async with database.transaction() as session:
        mine = RecordRepository(session).restricted(_mine())
        with pytest.raises(NotFoundError):
            await mine.restore(records["b1"])
        with pytest.raises(NotFoundError):
            await mine.purge(records["b1"])
        assert (await mine.restore(records["a1"])).code == "a1"


async def test_nothing_is_filtered_sorted_or_shown_by_a_hidden_column(
    database: Database, records: dict[str, UUID]
) -> None:
    attempts: list[Callable[[RecordRepository], Any]] = [
        lambda discreet: discreet.list(Record.salary > 1),
        lambda discreet: discreet.list(order_by=Record.salary.desc()),
        lambda discreet: discreet.list(as_=SalaryOut),
        lambda discreet: discreet.count(Record.salary > 1),
        lambda discreet: discreet.exists(Spec(Record.salary > 1)),
        lambda discreet: discreet.page(RecordQuery(salary=In([1]))),
        lambda discreet: discreet.page(RecordQuery.model_validate({"sort": ["-salary"]})),
        lambda discreet: discreet.slice(order_by=Record.salary),
        lambda discreet: discreet.scroll(order_by=Record.salary),
        lambda discreet: discreet.delete_where(Record.salary > 1),
        lambda discreet: discreet.update_where(Record.salary > 1, values={"code": "x"}),
    ]

    for attempt in attempts:
        async with database.transaction() as session:
            with pytest.raises(HiddenColumnError):
                await attempt(RecordRepository(session).restricted(DISCREET))


async def test_a_hidden_column_is_not_loaded(database: Database, records: dict[str, UUID]) -> None:
    async with database.transaction() as session:
        record = await RecordRepository(session).restricted(DISCREET).get(records["a1"])

        assert "salary" not in record.__dict__
        with pytest.raises(InvalidRequestError, match="raiseload"):
            _ = record.salary


async def test_what_is_not_hidden_is_found_and_changed_as_ever(
    database: Database, records: dict[str, UUID]
) -> None:
    async with database.transaction() as session:
        discreet = RecordRepository(session).restricted(DISCREET)

        assert await discreet.count() == 4
        assert await discreet.exists(Record.code == "a1")
        assert (await discreet.page(RecordQuery(limit=1))).total == 4
        assert [item.code for item in await discreet.list(as_=CodeOut)] == ["a1", "a2", "b1", "b2"]
        assert len((await discreet.scroll(RecordScroll(), as_=CodeOut)).items) == 4
        assert await discreet.update_where(Record.code == "a1", values={"code": "a3"}) == 1
        assert (await discreet.patch(records["a1"], RecordChanges(code="a4"))).code == "a4"
        assert await discreet.delete_where(Record.code == "a4") == 1


@pytest.mark.parametrize("values", [{"owner": "eve"}, {"salary": 9}])
async def test_a_column_that_is_fixed_cannot_be_set(
    database: Database, records: dict[str, UUID], values: dict[str, Any]
) -> None:
    attempts: list[Callable[[RecordRepository], Any]] = [
        lambda fixed: fixed.update(records["a1"], values),
        lambda fixed: fixed.patch(records["a1"], RecordChanges(**values)),
        lambda fixed: fixed.update_where(Record.code == "a1", values=values),
        lambda fixed: fixed.upsert({"code": "a1", **values}, key=[Record.code]),
        lambda fixed: fixed.add(Record(code="x1", **values)),
        lambda fixed: fixed.copy_many([{"code": "x1", **values}]),
    ]

    for attempt in attempts:
        async with database.transaction() as session:
            with pytest.raises(ReadOnlyColumnError) as caught:
                await attempt(RecordRepository(session).restricted(DISCREET))
            assert [error.path for error in caught.value.fields] == [(name,) for name in values]


async def test_policies_add_up(database: Database, records: dict[str, UUID]) -> None:
    async with database.transaction() as session:
        both = RecordRepository(session).restricted(_mine()).restricted(DISCREET)

        found = await both.list()

        assert [record.code for record in found] == ["a1", "a2"]
        assert all("salary" not in record.__dict__ for record in found)
        with pytest.raises(ReadOnlyColumnError):
            await both.update(records["a1"], {"owner": "eve"})
        with pytest.raises(ForbiddenError):
            await both.update(records["a2"], {"code": "x"})


async def test_a_policy_that_allows_nothing_finds_nothing(
    database: Database, records: dict[str, UUID]
) -> None:
    closed = Policy[Record](read=Spec(false()))

    async with database.transaction() as session:
        nobody = RecordRepository(session).restricted(closed)

        assert await nobody.count() == 0
        assert await nobody.delete_where(all_rows=True) == 0


async def test_a_cursor_of_one_asker_is_none_of_another(
    database: Database, records: dict[str, UUID]
) -> None:
    async with database.transaction() as session:
        everything = RecordRepository(session)
        page = await everything.restricted(_mine("ann")).scroll(RecordScroll(limit=1))
        assert page.next is not None

        with pytest.raises(InvalidCursorError):
            await everything.restricted(_mine("bob")).scroll(
                RecordScroll(limit=1, cursor=page.next)
            )
