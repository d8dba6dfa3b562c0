# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ForeignKey, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.errors import ConfigurationError, ForbiddenError, NotFoundError
from fastapi_baseline.persistence import (
    Base,
    Database,
    ForeignKeyViolationError,
    Repository,
    Timestamps,
    UniqueViolationError,
    UUIDPrimaryKey,
)
from fastapi_baseline.persistence.models import INCLUDE_DELETED, Authorship, Versioned
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.specification import Spec
from fastapi_baseline.persistence.writing.soft_delete import (
    Restores,
    SoftDelete,
    unique_while_present,
)
from fastapi_baseline.persistence.writing.writes import Writes
from fastapi_baseline.testing import ManualClock
from tests.tables import create_tables

StatementLog = Callable[[], AbstractContextManager[list[str]]]


class TrashUser(Base, UUIDPrimaryKey, Timestamps, Authorship, Versioned, SoftDelete):
    __table_args__ = (unique_while_present("mail"), unique_while_present("tenant", "badge"))

    email: Mapped[str] = mapped_column("mail")
    tenant: Mapped[str] = mapped_column(default="acme")
    badge: Mapped[int | None]
    logins: Mapped[list["TrashLogin"]] = relationship()


class TrashLogin(Base, UUIDPrimaryKey, SoftDelete):
    user_id: Mapped[UUID] = mapped_column(ForeignKey("trash_user.id"))


class TrashAlbum(Base, UUIDPrimaryKey, SoftDelete):
    pictures: Mapped[list["TrashPicture"]] = relationship(cascade="all, delete-orphan")


class TrashPicture(Base, UUIDPrimaryKey, SoftDelete):
    album_id: Mapped[UUID] = mapped_column(ForeignKey("trash_album.id"))


class TrashVehicle(Base, UUIDPrimaryKey, SoftDelete):
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind"}  # noqa: RUF012


class TrashTruck(TrashVehicle):
    __tablename__ = "trash_truck"

    id: Mapped[UUID] = mapped_column(ForeignKey("trash_vehicle.id"), primary_key=True)
    load: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "truck"}  # noqa: RUF012


class TrashPlain(Base, UUIDPrimaryKey):
    pass


class Users(Writes[TrashUser], Restores[TrashUser]):
    pass


class AcmeUsers(Writes[TrashUser], Restores[TrashUser]):
    def select(self) -> Select[TrashUser]:
        return super().select().where(TrashUser.tenant == "acme")


class Albums(Restores[TrashAlbum]):
    pass


class Trucks(Restores[TrashTruck]):
    pass


class UserRepository(Repository[TrashUser]):
    pass


class Plains(Restores[TrashPlain]):
    pass


async def deleted_user(database: Database, email: str = "a", **values: Any) -> UUID:
    async with database.transaction() as session:
        users = Users(session)
        key = (await users.add(TrashUser(email=email, **values))).id
        await users.delete(key)
    return key


async def stored(session: AsyncSession, model: type[Any] = TrashUser) -> list[Any]:
    return [*await session.scalars(select(model).execution_options(**{INCLUDE_DELETED: True}))]


async def test_restores_what_was_deleted(database: Database) -> None:
    key = await deleted_user(database)

    async with database.transaction() as session:
        user = await Users(session).restore(key)
    async with database.transaction() as session:
        found = await session.get(TrashUser, key)

    assert (user.email, user.deleted_at) == ("a", None)
    assert found is not None


async def test_restores_with_one_statement(database: Database, statements: StatementLog) -> None:
    key = await deleted_user(database)

    async with database.transaction() as session:
        with statements() as sent:
            await Users(session).restore(key)

    assert len(sent) == 1


async def test_restoring_is_stamped(any_database_url: str, clock: ManualClock) -> None:
    actors = ["ann"]
    database = Database(any_database_url, clock=clock, actor=lambda: actors[-1])
    await create_tables(database, __name__)
    key = await deleted_user(database)
    start = clock.now()

    clock.advance(timedelta(hours=1))
    actors.append("bob")
    async with database.transaction() as session:
        user = await Users(session).restore(key)
    await database.dispose()

    assert (user.created_at, user.created_by) == (start, "ann")
    assert (user.updated_at, user.updated_by) == (start + timedelta(hours=1), "bob")
    assert user.version == 3


async def test_an_entity_that_is_loaded_shows_that_it_is_restored(database: Database) -> None:
    async with database.transaction() as session:
        users = Users(session)
        user = await users.add(TrashUser(email="a"))
        await users.delete(user)
        restored = await users.restore(user.id)

    assert restored is user
    assert user.deleted_at is None


async def test_restores_nothing_that_is_not_there(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(NotFoundError):
            await Users(session).restore(uuid4())


async def test_restores_nothing_that_is_not_deleted(database: Database) -> None:
    async with database.transaction() as session:
        users = Users(session)
        user = await users.add(TrashUser(email="a"))
        with pytest.raises(NotFoundError):
            await users.restore(user.id)


async def test_names_the_field_whose_value_was_taken_meanwhile(database: Database) -> None:
    key = await deleted_user(database, "a")
    async with database.transaction() as session:
        await Users(session).add(TrashUser(email="a"))

    with pytest.raises(UniqueViolationError) as raised:
        async with database.transaction() as session:
            await Users(session).restore(key)

    assert [field.path for field in raised.value.fields] == [("email",)]


async def test_of_what_is_not_deleted_a_value_is_unique(database: Database) -> None:
    with pytest.raises(UniqueViolationError) as raised:
        async with database.transaction() as session:
            await Users(session).add(TrashUser(email="a", badge=1))
            await Users(session).add(TrashUser(email="b", badge=1))

    assert [field.path for field in raised.value.fields] == [("tenant",), ("badge",)]


async def test_what_is_deleted_gives_its_value_free(database: Database) -> None:
    await deleted_user(database, "a")
    await deleted_user(database, "a")

    async with database.transaction() as session:
        await Users(session).add(TrashUser(email="a"))
        emails = [user.email for user in await stored(session)]

    assert emails == ["a", "a", "a"]


def test_a_unique_index_is_called_like_other_indexes() -> None:
    table: Any = TrashUser.__table__

    assert {index.name for index in table.indexes} == {
        "ix_trash_user_mail",
        "ix_trash_user_tenant_badge",
    }


async def test_restores_only_what_the_policy_lets_update(database: Database) -> None:
    key = await deleted_user(database, badge=1)
    policy = Policy[TrashUser](update=Spec(TrashUser.badge == 2))

    async with database.transaction() as session:
        with pytest.raises(ForbiddenError):
            await Users(session).restricted(policy).restore(key)
        (user,) = await stored(session)

    assert user.deleted_at is not None


async def test_restores_nothing_that_the_policy_does_not_show(database: Database) -> None:
    key = await deleted_user(database, badge=1)
    policy = Policy[TrashUser](read=Spec(TrashUser.badge == 2))

    async with database.transaction() as session:
        with pytest.raises(NotFoundError):
            await Users(session).restricted(policy).restore(key)


async def test_restores_nothing_that_the_policy_does_not_allow_afterwards(
    database: Database,
) -> None:
    key = await deleted_user(database)
    policy = Policy[TrashUser](update=Spec(TrashUser.deleted_at.is_not(None)))

    async with database.transaction() as session:
        with pytest.raises(ForbiddenError):
            await Users(session).restricted(policy).restore(key)
    async with database.transaction() as session:
        (user,) = await stored(session)

    assert user.deleted_at is not None


async def test_restores_nothing_out_of_the_narrowing(database: Database) -> None:
    inside = await deleted_user(database, tenant="acme")
    outside = await deleted_user(database, tenant="other")

    async with database.transaction() as session:
        await AcmeUsers(session).restore(inside)
        with pytest.raises(NotFoundError):
            await AcmeUsers(session).restore(outside)


async def test_restores_an_entity_in_several_tables(database: Database, clock: ManualClock) -> None:
    async with database.transaction() as session:
        truck = TrashTruck(load=1, deleted_at=clock.now())
        session.add(truck)
    async with database.transaction() as session:
        await Trucks(session).restore(truck.id)

    async with database.transaction() as session:
        assert await session.get(TrashTruck, truck.id) is not None


@pytest.mark.parametrize("method", ["restore", "purge", "purge_where"])
async def test_refuses_a_model_that_is_not_deleted_softly(database: Database, method: str) -> None:
    async with database.transaction() as session:
        with pytest.raises(ConfigurationError, match="derive it from SoftDelete"):
            await getattr(Plains(session), method)(uuid4())


async def test_purges_what_was_deleted(database: Database, statements: StatementLog) -> None:
    key = await deleted_user(database)

    async with database.transaction() as session:
        with statements() as sent:
            await Users(session).purge(key)
        left = await stored(session)

    assert len(sent) == 1
    assert left == []


async def test_purges_nothing_that_is_not_deleted(database: Database) -> None:
    async with database.transaction() as session:
        users = Users(session)
        user = await users.add(TrashUser(email="a"))
        with pytest.raises(NotFoundError):
            await users.purge(user.id)
        left = await stored(session)

    assert left == [user]


async def test_purges_only_what_the_policy_lets_delete(database: Database) -> None:
    key = await deleted_user(database, badge=1)
    policy = Policy[TrashUser](delete=Spec(TrashUser.badge == 2))

    async with database.transaction() as session:
        with pytest.raises(ForbiddenError):
            await Users(session).restricted(policy).purge(key)


async def test_does_not_purge_what_something_deleted_refers_to(
    database: Database, clock: ManualClock
) -> None:
    key = await deleted_user(database)
    async with database.transaction() as session:
        session.add(TrashLogin(user_id=key, deleted_at=clock.now()))

    with pytest.raises(ForeignKeyViolationError):
        async with database.transaction() as session:
            await Users(session).purge(key)


async def test_purges_with_an_entity_what_goes_with_it_deleted_or_not(
    database: Database, clock: ManualClock
) -> None:
    async with database.transaction() as session:
        pictures = [TrashPicture(), TrashPicture(deleted_at=clock.now())]
        album = TrashAlbum(deleted_at=clock.now(), pictures=pictures)
        session.add(album)
    async with database.transaction() as session:
        await Albums(session).purge(album.id)
        hidden = session.sync_session.execution_options.get(INCLUDE_DELETED)
        left = [*await stored(session, TrashAlbum), *await stored(session, TrashPicture)]

    assert left == []
    assert not hidden


async def fill_with_users(database: Database, clock: ManualClock) -> datetime:
    """Delete a user on each of four days, of two tenants, and keep one."""
    start = clock.now()
    async with database.transaction() as session:
        session.add(TrashUser(email="kept"))
        for day in range(4):
            deleted_at = start + timedelta(days=day)
            tenant = "acme" if day % 2 else "other"
            session.add(TrashUser(email=f"{day}", tenant=tenant, deleted_at=deleted_at))
    return start


async def emails_left(database: Database) -> set[str]:
    async with database.transaction() as session:
        return {user.email for user in await stored(session)}


async def test_purges_all_that_was_deleted(
    database: Database, clock: ManualClock, statements: StatementLog
) -> None:
    await fill_with_users(database, clock)

    async with database.transaction() as session:
        with statements() as sent:
            count = await Users(session).purge_where()

    assert (count, len(sent)) == (4, 1)
    assert await emails_left(database) == {"kept"}


async def test_purges_what_was_deleted_before_a_moment_and_meets_conditions(
    database: Database, clock: ManualClock
) -> None:
    start = await fill_with_users(database, clock)

    async with database.transaction() as session:
        count = await Users(session).purge_where(
            TrashUser.tenant == "other", before=start + timedelta(days=2)
        )

    assert count == 1
    assert await emails_left(database) == {"kept", "1", "2", "3"}


async def test_purges_within_the_policy_and_the_narrowing(
    database: Database, clock: ManualClock
) -> None:
    await fill_with_users(database, clock)
    policy = Policy[TrashUser](delete=Spec(TrashUser.email != "1"))

    async with database.transaction() as session:
        count = await AcmeUsers(session).restricted(policy).purge_where()

    assert count == 1
    assert await emails_left(database) == {"kept", "0", "1", "2"}


async def test_refuses_to_purge_an_entity_in_several_tables_by_conditions(
    database: Database,
) -> None:
    async with database.transaction() as session:
        with pytest.raises(ConfigurationError, match="one by one"):
            await Trucks(session).purge_where()


async def test_counts_only_what_is_not_deleted(database: Database, clock: ManualClock) -> None:
    await fill_with_users(database, clock)

    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(TrashUser)) == 1


async def test_a_repository_does_not_find_what_the_session_has_loaded_and_deleted(
    database: Database,
) -> None:
    async with database.transaction() as session:
        users = UserRepository(session)
        user = await users.add(TrashUser(email="a"))
        await users.delete(user)
        found = await users.find(user.id), await users.with_deleted().find(user.id)
        with pytest.raises(NotFoundError):
            await users.get(user.id)

    assert found == (None, user)


def test_a_service_without_such_a_model_pays_nothing() -> None:
    program = """
from sqlalchemy.orm import Mapped, Session, mapped_column
from fastapi_baseline.persistence import Base
from fastapi_baseline.persistence.repository import Repository
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete

def listeners():
    return len([*Session().dispatch.do_orm_execute])

print(listeners())

class Item(Base, SoftDelete):
    id: Mapped[int] = mapped_column(primary_key=True)

class Other(Base, SoftDelete):
    id: Mapped[int] = mapped_column(primary_key=True)

print(listeners())
"""

    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert printed.stdout.split() == ["0", "1"]
