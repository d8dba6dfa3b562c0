# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ForeignKey, Index, Select, String, UniqueConstraint, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.errors import ConfigurationError, ForbiddenError
from fastapi_baseline.persistence import (
    Base,
    Database,
    NotNullViolationError,
    Timestamps,
    UniqueViolationError,
    UnknownAttributeError,
    UUIDPrimaryKey,
)
from fastapi_baseline.persistence.errors import ReadOnlyColumnError
from fastapi_baseline.persistence.models import INCLUDE_DELETED, Authorship, Versioned
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.specification import Spec, related
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete, unique_while_present
from fastapi_baseline.persistence.writing.upsert import Upserts
from fastapi_baseline.testing import ManualClock
from tests.tables import create_tables

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class UpsertTeam(Base, UUIDPrimaryKey):
    name: Mapped[str] = mapped_column(unique=True)
    is_open: Mapped[bool] = mapped_column(default=True)


class UpsertContact(Base, UUIDPrimaryKey, Timestamps, Authorship, Versioned):
    __table_args__ = (UniqueConstraint("tenant", "code"),)

    email: Mapped[str] = mapped_column("e_mail", String(50), unique=True)
    name: Mapped[str | None] = mapped_column(default="nobody")
    age: Mapped[int | None]
    tenant: Mapped[str] = mapped_column(default="acme")
    code: Mapped[str | None]
    touched: Mapped[int] = mapped_column(default=0, onupdate=7)
    team_id: Mapped[UUID | None] = mapped_column(ForeignKey("upsert_team.id"))
    team: Mapped[UpsertTeam | None] = relationship()


class UpsertSetting(Base):
    owner: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None]


class UpsertCounter(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    total: Mapped[int] = mapped_column(default=0)


class UpsertMember(Base, UUIDPrimaryKey, SoftDelete):
    __table_args__ = (unique_while_present("nick"),)

    email: Mapped[str] = mapped_column(unique=True)
    nick: Mapped[str | None]


class UpsertPlan(Base, UUIDPrimaryKey):
    __table_args__ = (
        Index(
            "ix_upsert_plan_current",
            "product",
            unique=True,
            postgresql_where=text("is_current"),
            sqlite_where=text("is_current"),
        ),
    )

    product: Mapped[str]
    is_current: Mapped[bool] = mapped_column(default=True)
    price: Mapped[int] = mapped_column(default=0)


class Contacts(Upserts[UpsertContact]):
    pass


class YoungContacts(Upserts[UpsertContact]):
    def select(self) -> Select[UpsertContact]:
        return super().select().where(UpsertContact.age < 18)


class Settings(Upserts[UpsertSetting]):
    pass


class Counters(Upserts[UpsertCounter]):
    pass


class Members(Upserts[UpsertMember]):
    pass


class Plans(Upserts[UpsertPlan]):
    pass


async def stored(session: AsyncSession, model: type[Any] = UpsertContact) -> list[Any]:
    statement = select(model).execution_options(**{INCLUDE_DELETED: True}, populate_existing=True)
    return [*(await session.scalars(statement))]


async def test_inserts_what_is_not_there(database: Database) -> None:
    async with database.transaction() as session:
        upserted = await Contacts(session).upsert({"email": "a", "age": 1}, key=UpsertContact.email)

    assert upserted.created
    assert (upserted.entity.email, upserted.entity.age, upserted.entity.name) == ("a", 1, "nobody")


async def test_updates_what_is_there(database: Database) -> None:
    async with database.transaction() as session:
        first = await Contacts(session).upsert({"email": "a", "age": 1}, key=UpsertContact.email)
    async with database.transaction() as session:
        second = await Contacts(session).upsert({"email": "a", "age": 2}, key=UpsertContact.email)

    assert not second.created
    assert (second.entity.id, second.entity.age) == (first.entity.id, 2)


async def test_takes_one_statement_by_a_unique_key(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        contacts = Contacts(session)
        await contacts.upsert({"email": "a"}, key=[UpsertContact.email])

        with statements() as sent:
            await contacts.upsert({"email": "a", "age": 3}, key=[UpsertContact.email])

    assert len(sent) == 1


async def test_takes_one_statement_by_the_primary_key_or_two_on_sqlite(
    database: Database, statements: StatementLog
) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            upserted = await Settings(session).upsert({"owner": "a", "key": "b", "value": "c"})

    assert upserted.created
    assert len(sent) == (2 if database.url.get_backend_name() == "sqlite" else 1)


async def test_tells_by_the_primary_key_whether_a_row_is_new(database: Database) -> None:
    row = {"owner": "a", "key": "b", "value": "c"}
    async with database.transaction() as session:
        created = [(await Settings(session).upsert(row)).created for _ in range(2)]

    assert created == [True, False]


async def test_tells_whether_a_row_is_new_if_the_database_makes_the_primary_key(
    database: Database,
) -> None:
    async with database.transaction() as session:
        counters = Counters(session)
        rows = [await counters.upsert({"slug": slug}, key=UpsertCounter.slug) for slug in "abab"]

    assert [row.created for row in rows] == [True, True, False, False]
    assert rows[0].entity is rows[2].entity


async def test_an_empty_value_is_stored_and_not_taken_as_left_out(database: Database) -> None:
    async with database.transaction() as session:
        contacts = Contacts(session)
        new = await contacts.upsert({"email": "a", "name": None}, key=UpsertContact.email)
        name_of_the_new = new.entity.name
        await contacts.upsert({"email": "b", "name": "Bo"}, key=UpsertContact.email)
        old = await contacts.upsert({"email": "b", "name": None}, key=UpsertContact.email)

    assert (name_of_the_new, old.entity.name) == (None, None)


async def test_what_is_left_out_stays(database: Database) -> None:
    async with database.transaction() as session:
        contacts = Contacts(session)
        await contacts.upsert({"email": "a", "name": "Al", "age": 5}, key=UpsertContact.email)
        upserted = await contacts.upsert({"email": "a", "age": 6}, key=UpsertContact.email)

    assert (upserted.entity.name, upserted.entity.age) == ("Al", 6)


async def test_sets_only_what_it_is_told_to(database: Database) -> None:
    async with database.transaction() as session:
        contacts = Contacts(session)
        await contacts.upsert({"email": "a", "name": "Al", "age": 5}, key=UpsertContact.email)
        upserted = await contacts.upsert(
            {"email": "a", "name": "Ali", "age": 6},
            key=UpsertContact.email,
            update=[UpsertContact.age],
        )

    assert (upserted.entity.name, upserted.entity.age) == ("Al", 6)


async def test_gets_a_row_as_it_is_if_there_is_nothing_to_set(
    database: Database, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        await Contacts(session).upsert({"email": "a", "age": 5}, key=UpsertContact.email)
    clock.advance(timedelta(hours=1))
    async with database.transaction() as session:
        upserted = await Contacts(session).upsert(
            {"email": "a", "age": 6}, key=UpsertContact.email, update=()
        )

    assert not upserted.created
    assert (upserted.entity.age, upserted.entity.version) == (5, 1)
    assert upserted.entity.updated_at == upserted.entity.created_at


async def test_stamps_what_it_updates_and_keeps_who_created_it(
    any_database_url: str, clock: ManualClock
) -> None:
    actors = ["ann"]
    database = Database(any_database_url, clock=clock, actor=lambda: actors[-1])
    await create_tables(database, __name__)
    start = clock.now()
    async with database.transaction() as session:
        await Contacts(session).upsert({"email": "a"}, key=UpsertContact.email)

    clock.advance(timedelta(hours=1))
    actors.append("bob")
    async with database.transaction() as session:
        upserted = await Contacts(session).upsert({"email": "a", "age": 1}, key=UpsertContact.email)
    await database.dispose()

    contact = upserted.entity
    assert (contact.created_at, contact.created_by) == (start, "ann")
    assert (contact.updated_at, contact.updated_by) == (start + timedelta(hours=1), "bob")
    assert contact.version == 2


async def test_a_new_row_keeps_when_it_was_created_elsewhere_and_an_old_one_does_not_take_it(
    database: Database, clock: ManualClock
) -> None:
    elsewhere = clock.now() - timedelta(days=900)
    row = {"email": "a", "age": 1, "created_at": elsewhere}
    async with database.transaction() as session:
        contacts = Contacts(session)
        created = (await contacts.upsert(row, key=UpsertContact.email)).entity.created_at
        later = row | {"created_at": clock.now()}
        upserted = await contacts.upsert(later, key=UpsertContact.email)

    assert (created, upserted.entity.created_at) == (elsewhere, elsewhere)
    assert upserted.entity.updated_at == clock.now()


async def test_sets_what_every_update_sets(database: Database) -> None:
    async with database.transaction() as session:
        contacts = Contacts(session)
        new = (await contacts.upsert({"email": "a"}, key=UpsertContact.email)).entity.touched
        old = await contacts.upsert({"email": "a", "age": 1}, key=UpsertContact.email)

    assert (new, old.entity.touched) == (0, 7)


async def test_takes_an_entity_and_leaves_it_out_of_the_session(database: Database) -> None:
    async with database.transaction() as session:
        given = UpsertContact(email="a", age=4)
        upserted = await Contacts(session).upsert(given, key=UpsertContact.email)

        assert given not in session
        assert upserted.entity in session
    assert upserted.entity.age == 4


async def test_shows_in_an_entity_that_is_loaded_already(database: Database) -> None:
    async with database.transaction() as session:
        contacts = Contacts(session)
        loaded = (await contacts.upsert({"email": "a", "age": 1}, key=UpsertContact.email)).entity
        await contacts.upsert({"email": "a", "age": 2}, key=UpsertContact.email)

    assert loaded.age == 2


async def test_writes_what_is_pending_first(database: Database) -> None:
    async with database.transaction() as session:
        session.add(UpsertContact(email="a", age=1))
        upserted = await Contacts(session).upsert({"email": "a", "age": 2}, key=UpsertContact.email)

    assert not upserted.created


async def test_tells_rows_by_several_attributes_with_a_default_among_them(
    database: Database,
) -> None:
    key = [UpsertContact.tenant, UpsertContact.code]
    async with database.transaction() as session:
        contacts = Contacts(session)
        first = await contacts.upsert({"code": "x", "email": "a"}, key=key)
        second = await contacts.upsert({"code": "x", "email": "b"}, key=key)
        other = await contacts.upsert({"tenant": "other", "code": "x", "email": "c"}, key=key)

    assert (first.created, second.created, other.created) == (True, False, True)
    assert second.entity.email == "b"


async def test_rows_without_a_value_for_the_key_are_all_new(database: Database) -> None:
    key = [UpsertContact.tenant, UpsertContact.code]
    async with database.transaction() as session:
        rows = await Contacts(session).upsert_many(
            [{"code": None, "email": "a"}, {"code": None, "email": "b"}], key=key
        )

    assert [(row.created, row.entity.email) for row in rows] == [(True, "a"), (True, "b")]


async def test_tells_rows_by_a_partial_index(database: Database) -> None:
    async with database.transaction() as session:
        session.add(UpsertPlan(product="p", is_current=False, price=1))
        plans = Plans(session)
        first = await plans.upsert({"product": "p", "price": 2}, key=UpsertPlan.product)
        second = await plans.upsert({"product": "p", "price": 3}, key=UpsertPlan.product)
        prices = {plan.price for plan in await stored(session, UpsertPlan)}

    assert (first.created, second.created) == (True, False)
    assert prices == {1, 3}


async def test_names_the_field_if_another_key_is_taken(database: Database) -> None:
    with pytest.raises(UniqueViolationError) as raised:
        async with database.transaction() as session:
            contacts = Contacts(session)
            key = [UpsertContact.tenant, UpsertContact.code]
            await contacts.upsert({"code": "x", "email": "a"}, key=key)
            await contacts.upsert({"code": "y", "email": "a"}, key=key)

    assert [field.path for field in raised.value.fields] == [("email",)]


async def test_names_a_field_that_is_needed(database: Database) -> None:
    with pytest.raises(NotNullViolationError):
        async with database.transaction() as session:
            key = [UpsertContact.tenant, UpsertContact.code]
            await Contacts(session).upsert({"code": "x"}, key=key)


@pytest.mark.parametrize(
    "key", [[UpsertContact.name], [UpsertContact.tenant], [UpsertContact.email, UpsertContact.id]]
)
async def test_refuses_a_key_that_is_not_unique(database: Database, key: Any) -> None:
    async with database.transaction() as session:
        with pytest.raises(ConfigurationError, match="has no unique key of"):
            await Contacts(session).upsert({"email": "a"}, key=key)


async def test_refuses_a_row_that_gives_no_value_for_the_key(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(ConfigurationError, match="gives no id"):
            await Contacts(session).upsert({"email": "a"})


@pytest.mark.parametrize("name", ["colour", "team", "metadata", "e_mail"])
async def test_refuses_what_is_no_attribute(database: Database, name: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(UnknownAttributeError, match=name):
            await Contacts(session).upsert({"email": "a", name: 1}, key=UpsertContact.email)


@pytest.mark.parametrize(
    "update", [UpsertContact.created_at, UpsertContact.version, UpsertContact.id]
)
async def test_refuses_to_set_what_is_stamped(database: Database, update: Any) -> None:
    async with database.transaction() as session:
        with pytest.raises(UnknownAttributeError):
            await Contacts(session).upsert({"email": "a"}, key=UpsertContact.email, update=update)


async def test_many_rows_take_one_statement(database: Database, statements: StatementLog) -> None:
    rows = [{"email": f"{number}", "age": number} for number in range(500)]
    async with database.transaction() as session:
        contacts = Contacts(session)
        await contacts.upsert_many(rows[:250], key=UpsertContact.email)

        with statements() as sent:
            upserted = await contacts.upsert_many(rows, key=UpsertContact.email)

    assert len(sent) == 1
    assert [row.created for row in upserted] == [False] * 250 + [True] * 250
    assert [row.entity.age for row in upserted] == [*range(500)]


async def test_more_rows_than_a_statement_takes_parameters_take_several(
    database: Database, statements: StatementLog
) -> None:
    rows = [{"email": f"{number}", "age": number} for number in range(5_000)]
    async with database.transaction() as session:
        with statements() as sent:
            upserted = await Contacts(session).upsert_many(rows, key=UpsertContact.email)
        count = await session.scalar(select(func.count()).select_from(UpsertContact))

    # Each row has eleven columns, and no statement more than 32,700 parameters.
    assert len(sent) == 2
    assert count == len(upserted) == 5_000


async def test_rows_that_give_different_attributes_keep_what_they_leave_out(
    database: Database,
) -> None:
    async with database.transaction() as session:
        contacts = Contacts(session)
        await contacts.upsert_many(
            [{"email": "a", "name": "Al", "age": 1}, {"email": "b", "name": "Bo", "age": 2}],
            key=UpsertContact.email,
        )
        upserted = await contacts.upsert_many(
            [{"email": "a", "age": 3}, {"email": "c"}, {"email": "b", "name": None}],
            key=UpsertContact.email,
        )

    found = [(row.created, row.entity.name, row.entity.age) for row in upserted]
    assert found == [(False, "Al", 3), (True, "nobody", None), (False, None, 2)]


async def test_of_rows_with_the_same_key_the_last_one_counts(database: Database) -> None:
    async with database.transaction() as session:
        upserted = await Contacts(session).upsert_many(
            [{"email": "a", "name": "Al", "age": 1}, {"email": "b"}, {"email": "a", "age": 2}],
            key=UpsertContact.email,
        )

    assert upserted[0] is upserted[2]
    assert (upserted[0].entity.name, upserted[0].entity.age) == ("Al", 2)


async def test_no_rows_take_no_statement(database: Database, statements: StatementLog) -> None:
    async with database.transaction() as session:
        with statements() as sent:
            upserted = await Contacts(session).upsert_many([], key=UpsertContact.email)

    assert (sent, [*upserted]) == ([], [])


async def test_of_writers_at_the_same_time_one_creates(database: Database) -> None:
    async def write(number: int) -> bool:
        async with database.transaction() as session:
            upserted = await Counters(session).upsert(
                {"slug": "same", "total": number}, key=UpsertCounter.slug
            )
        return upserted.created

    created = await asyncio.gather(*(write(number) for number in range(8)))

    assert sorted(created) == [False] * 7 + [True]


async def test_a_new_row_must_meet_the_policy(database: Database) -> None:
    policy = Policy[UpsertContact](create=Spec(UpsertContact.age < 18))
    async with database.transaction() as session:
        contacts = Contacts(session).restricted(policy)
        young = await contacts.upsert({"email": "a", "age": 1}, key=UpsertContact.email)
        with pytest.raises(ForbiddenError):
            await contacts.upsert({"email": "b", "age": 18}, key=UpsertContact.email)
        left = [contact.email for contact in await stored(session)]

    assert young.created
    assert left == ["a"]


async def test_a_row_that_exists_must_meet_the_policy_before(database: Database) -> None:
    policy = Policy[UpsertContact](update=Spec(UpsertContact.age < 18), create=Spec.all())
    async with database.transaction() as session:
        contacts = Contacts(session)
        await contacts.upsert({"email": "old", "age": 20}, key=UpsertContact.email)
        restricted = contacts.restricted(policy)
        with pytest.raises(ForbiddenError):
            await restricted.upsert({"email": "old", "age": 5}, key=UpsertContact.email)
        (contact,) = await stored(session)

    assert contact.age == 20


async def test_a_row_that_exists_must_meet_the_policy_afterwards(database: Database) -> None:
    policy = Policy[UpsertContact](update=Spec(UpsertContact.age < 18), create=Spec.all())
    async with database.transaction() as session:
        contacts = Contacts(session)
        await contacts.upsert({"email": "a", "age": 1}, key=UpsertContact.email)
        with pytest.raises(ForbiddenError):
            await contacts.restricted(policy).upsert(
                {"email": "a", "age": 20}, key=UpsertContact.email
            )
        (contact,) = await stored(session)

    assert contact.age == 1


async def test_stores_nothing_of_many_rows_if_one_may_not_be_updated(database: Database) -> None:
    policy = Policy[UpsertContact](update=Spec(UpsertContact.age < 18), create=Spec.all())
    async with database.transaction() as session:
        contacts = Contacts(session)
        await contacts.upsert({"email": "old", "age": 20}, key=UpsertContact.email)
        rows = [{"email": "new", "age": 1}, {"email": "old", "name": "X", "age": 2}]
        with pytest.raises(ForbiddenError):
            await contacts.restricted(policy).upsert_many(rows, key=UpsertContact.email)
        left = [(contact.email, contact.age) for contact in await stored(session)]

    assert left == [("old", 20)]


async def test_a_row_that_cannot_be_read_is_not_updated(database: Database) -> None:
    policy = Policy[UpsertContact](read=Spec(UpsertContact.tenant == "mine"))
    async with database.transaction() as session:
        await Contacts(session).upsert({"email": "a", "age": 1}, key=UpsertContact.email)
        with pytest.raises(ForbiddenError):
            await (
                Contacts(session)
                .restricted(policy)
                .upsert({"email": "a", "tenant": "mine", "age": 2}, key=UpsertContact.email)
            )
        (contact,) = await stored(session)

    assert contact.age == 1


@pytest.mark.parametrize(("team", "allowed"), [("open", True), ("closed", False)])
async def test_a_policy_may_ask_other_tables(database: Database, team: str, allowed: bool) -> None:
    in_open_team = related(UpsertContact.team, Spec[UpsertTeam](UpsertTeam.is_open.is_(True)))
    policy = Policy[UpsertContact](create=in_open_team, update=in_open_team)
    teams = {"open": uuid4(), "closed": uuid4()}
    async with database.transaction() as session:
        for name, key in teams.items():
            session.add(UpsertTeam(id=key, name=name, is_open=name == "open"))
        contacts = Contacts(session)
        key = UpsertContact.email
        # One that would be enough if the question were asked of any row.
        await contacts.upsert({"email": "x", "team_id": teams["open"]}, key=key)
        await contacts.upsert({"email": "old", "team_id": teams[team]}, key=key)
        outcomes: list[bool] = []
        for row in ({"email": "new", "team_id": teams[team]}, {"email": "old", "age": 2}):
            try:
                await contacts.restricted(policy).upsert(row, key=key)
            except ForbiddenError:
                outcomes.append(False)
            else:
                outcomes.append(True)

    assert outcomes == [allowed, allowed]


async def test_a_row_out_of_reach_is_not_taken_into_reach(database: Database) -> None:
    in_open_team = related(UpsertContact.team, Spec[UpsertTeam](UpsertTeam.is_open.is_(True)))
    policy = Policy[UpsertContact](create=Spec.all(), update=in_open_team)
    closed, is_open = UpsertTeam(name="a", is_open=False), UpsertTeam(name="b", is_open=True)
    async with database.transaction() as session:
        session.add_all([closed, is_open])
        session.add_all([UpsertContact(email="old", team=closed)])
        session.add_all([UpsertContact(email="other", team=is_open)])
        await session.flush()
        row = {"email": "old", "team_id": is_open.id}
        with pytest.raises(ForbiddenError):
            await Contacts(session).restricted(policy).upsert(row, key=UpsertContact.email)


@pytest.mark.parametrize(("code", "allowed"), [("x", True), (None, False)])
async def test_a_policy_may_ask_whether_there_is_a_value(
    database: Database, code: str | None, allowed: bool
) -> None:
    # SQLite 3.40 takes the column before for this one if it asks in RETURNING.
    has_code = Spec[UpsertContact](UpsertContact.code.is_not(None))
    policy = Policy[UpsertContact](create=has_code, update=has_code)
    async with database.transaction() as session:
        contacts = Contacts(session)
        key = UpsertContact.email
        await contacts.upsert({"email": "old", "code": "y"}, key=key)
        outcomes: list[bool] = []
        for email in ("new", "old"):
            try:
                row = {"email": email, "code": code}
                await contacts.restricted(policy).upsert(row, key=key)
            except ForbiddenError:
                outcomes.append(False)
            else:
                outcomes.append(True)
            code = code and f"{code}2"

    assert outcomes == [allowed, allowed]


async def test_a_row_out_of_the_narrowing_is_not_updated(database: Database) -> None:
    async with database.transaction() as session:
        young = YoungContacts(session)
        key = UpsertContact.email
        await young.upsert_many([{"email": "a", "age": 1}, {"email": "b", "age": 20}], key=key)
        inside = await young.upsert({"email": "a", "name": "Al"}, key=key)
        with pytest.raises(ForbiddenError):
            await young.upsert({"email": "b", "name": "Bo"}, key=key)

    assert inside.entity.name == "Al"


async def test_a_read_only_column_is_refused(database: Database) -> None:
    policy = Policy[UpsertContact](read_only=[UpsertContact.age])
    async with database.transaction() as session:
        contacts = Contacts(session).restricted(policy)
        with pytest.raises(ReadOnlyColumnError):
            await contacts.upsert({"email": "a", "age": 1}, key=UpsertContact.email)


async def test_a_hidden_column_is_not_loaded(database: Database, statements: StatementLog) -> None:
    policy = Policy[UpsertContact](hidden=[UpsertContact.code])
    async with database.transaction() as session:
        with statements() as sent:
            await (
                Contacts(session)
                .restricted(policy)
                .upsert({"email": "a", "age": 1}, key=UpsertContact.email)
            )

    (insert,) = [statement for statement in sent if statement.startswith("INSERT")]
    assert "code" not in insert.partition("RETURNING")[2]


async def delete_softly(session: AsyncSession, email: str, moment: datetime) -> None:
    session.add(UpsertMember(email=email, nick="nick", deleted_at=moment))
    await session.flush()
    session.expunge_all()


async def test_a_key_that_something_deleted_holds_is_taken(
    database: Database, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        await delete_softly(session, "a", clock.now())
        with pytest.raises(UniqueViolationError) as raised:
            await Members(session).upsert({"email": "a", "nick": "n"}, key=UpsertMember.email)
        (member,) = await stored(session, UpsertMember)

    assert [field.path for field in raised.value.fields] == [("email",)]
    assert (member.nick, member.deleted_at) == ("nick", clock.now())


async def test_a_key_of_what_is_not_deleted_is_free_again(
    database: Database, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        await delete_softly(session, "a", clock.now())
        members = Members(session)
        first = await members.upsert({"email": "b", "nick": "nick"}, key=UpsertMember.nick)
        second = await members.upsert({"email": "c", "nick": "nick"}, key=UpsertMember.nick)

    assert (first.created, second.created) == (True, False)
    assert second.entity.email == "c"


async def test_something_deleted_is_updated_where_it_is_in_sight_and_stays_deleted(
    database: Database, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        await delete_softly(session, "a", clock.now())
        members = Members(session).with_deleted()
        upserted = await members.upsert({"email": "a", "nick": "n"}, key=UpsertMember.email)

    assert not upserted.created
    assert (upserted.entity.nick, upserted.entity.deleted_at) == ("n", clock.now())
