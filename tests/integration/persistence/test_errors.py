# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

import asyncio
import contextlib
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline.errors import BaselineError, FieldError, NotFoundError
from fastapi_baseline.persistence import (
    Base,
    CheckViolationError,
    Database,
    DatabaseUnavailableError,
    ForeignKeyViolationError,
    InvalidTextError,
    LockTimeoutError,
    NotNullViolationError,
    PoolTimeoutError,
    ReadOnlyTransactionError,
    Repository,
    SerializationFailureError,
    StatementTimeoutError,
    TransactionAbortedError,
    UniqueViolationError,
    UUIDPrimaryKey,
    ValueOutOfRangeError,
    ValueTooLongError,
)
from fastapi_baseline.settings import DatabaseSettings
from tests.tables import create_tables

_LONG = "an_attribute_with_a_name_that_is_long_enough_to_be_shortened_in_a_constraint"


class Tenant(Base, UUIDPrimaryKey):
    name: Mapped[str] = mapped_column(unique=True)


class Offer(Base, UUIDPrimaryKey):
    tenant_id: Mapped[Any] = mapped_column("owner_id", ForeignKey("tenant.id"))
    number: Mapped[str] = mapped_column("offer_number", String(5))
    price: Mapped[int] = mapped_column(SmallInteger, CheckConstraint("price > 0", name="positive"))
    note: Mapped[str | None] = mapped_column(unique=True)
    colour: Mapped[str | None] = mapped_column()
    an_attribute_with_a_name_that_is_long_enough_to_be_shortened_in_a_constraint: Mapped[
        int | None
    ] = mapped_column(unique=True)

    __table_args__ = (
        UniqueConstraint("owner_id", "offer_number"),
        Index("ix_offer_lower_colour", func.lower(colour), unique=True),
    )


class TenantRepository(Repository[Tenant]):
    pass


class OfferRepository(Repository[Offer]):
    pass


class Clause(Base, UUIDPrimaryKey):
    offer_id: Mapped[Any] = mapped_column(ForeignKey("offer.id", ondelete="RESTRICT"))
    first: Mapped[int] = mapped_column("first_page")
    last: Mapped[int] = mapped_column("last_page")

    __table_args__ = (CheckConstraint(last >= first, name="in_order"),)


class Unnamed(DeclarativeBase):
    """Leaves the names of its constraints to the database."""


class Guest(Unnamed):
    __tablename__ = "guest"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    room: Mapped[int]
    bed: Mapped[int] = mapped_column("bed_number")
    host_id: Mapped[int | None] = mapped_column(ForeignKey("guest.id"))

    __table_args__ = (UniqueConstraint("room", "bed_number"), CheckConstraint("room > 0"))


class GuestRepository(Repository[Guest]):
    pass


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    tenant = Tenant(name="Acme")
    async with database.transaction() as session:
        session.add(tenant)
    return tenant


def _offer(tenant: Tenant, **values: Any) -> Offer:
    defaults: dict[str, Any] = {"tenant_id": tenant.id, "number": "1", "price": 1}
    return Offer(**(defaults | values))


async def _refused(database: Database, *offers: Base) -> BaselineError:
    """Return what adding the offers one by one ends with."""
    with pytest.raises(BaselineError) as caught:
        async with database.transaction() as session:
            for offer in offers:
                session.add(offer)
                await session.flush()
    return caught.value


def _paths(error: BaselineError) -> list[tuple[str | int, ...]]:
    return [field.path for field in error.fields]


async def test_names_all_attributes_of_a_unique_constraint(
    database: Database, tenant: Tenant
) -> None:
    error = await _refused(database, _offer(tenant), _offer(tenant))

    assert isinstance(error, UniqueViolationError)
    assert _paths(error) == [("tenant_id",), ("number",)]
    assert error.fields[0] == FieldError(
        path=("tenant_id",), detail="The value is taken.", code="unique_violation"
    )
    assert isinstance(error.__cause__, IntegrityError)


async def test_names_the_attribute_of_a_constraint_whose_name_is_shortened(
    database: Database, tenant: Tenant
) -> None:
    first = _offer(tenant, number="1", **{_LONG: 1})
    second = _offer(tenant, number="2", **{_LONG: 1})

    error = await _refused(database, first, second)

    assert isinstance(error, UniqueViolationError)
    assert _paths(error) == [(_LONG,)]


async def test_names_the_attribute_of_a_unique_index_on_an_expression(
    database: Database, tenant: Tenant
) -> None:
    first = _offer(tenant, number="1", colour="Red")
    second = _offer(tenant, number="2", colour="RED")

    error = await _refused(database, first, second)

    assert isinstance(error, UniqueViolationError)
    assert _paths(error) == [("colour",)]


async def test_names_the_primary_key(database: Database, tenant: Tenant) -> None:
    key = uuid4()
    async with database.transaction() as session:
        session.add(_offer(tenant, id=key))

    error = await _refused(database, _offer(tenant, id=key, number="2"))

    assert isinstance(error, UniqueViolationError)
    assert _paths(error) == [("id",)]


async def test_names_what_refers_to_nothing(database: Database, tenant: Tenant) -> None:
    error = await _refused(database, _offer(tenant, tenant_id=uuid4()))

    assert isinstance(error, ForeignKeyViolationError)
    # SQLite does not say which key it was.
    is_told = database.url.get_backend_name() == "postgresql"
    assert _paths(error) == ([("tenant_id",)] if is_told else [])


async def test_names_what_is_missing(database: Database, tenant: Tenant) -> None:
    error = await _refused(database, _offer(tenant, number=None))

    assert isinstance(error, NotNullViolationError)
    assert _paths(error) == [("number",)]


async def test_tells_a_broken_rule(database: Database, tenant: Tenant) -> None:
    error = await _refused(database, _offer(tenant, price=-1))

    assert isinstance(error, CheckViolationError)


async def test_names_all_attributes_of_a_broken_rule(database: Database, tenant: Tenant) -> None:
    offer = _offer(tenant, id=uuid4())

    error = await _refused(database, offer, Clause(offer_id=offer.id, first=2, last=1))

    assert isinstance(error, CheckViolationError)
    assert set(_paths(error)) == {("first",), ("last",)}


async def test_refuses_to_delete_what_is_restricted(database: Database, tenant: Tenant) -> None:
    offer = _offer(tenant, id=uuid4())
    async with database.transaction() as session:
        session.add(offer)
        await session.flush()
        session.add(Clause(offer_id=offer.id, first=1, last=2))

    with pytest.raises(ForeignKeyViolationError) as caught:
        async with database.transaction() as session:
            await OfferRepository(session).delete(offer.id)

    assert caught.value.fields == ()


async def test_names_attributes_of_constraints_that_have_no_name(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(Unnamed.metadata.create_all)
    async with database.transaction() as session:
        await GuestRepository(session).add(Guest(id=1, room=1, bed=1))

    async def refused(guest: Guest) -> set[tuple[str | int, ...]]:
        with pytest.raises(BaselineError) as caught:
            async with database.transaction() as session:
                await GuestRepository(session).add(guest)
        return set(_paths(caught.value))

    is_named = database.url.get_backend_name() == "postgresql"
    assert await refused(Guest(id=1, room=2, bed=2)) == {("id",)}
    assert await refused(Guest(id=2, room=1, bed=1)) == {("room",), ("bed",)}
    assert await refused(Guest(id=2, room=0, bed=1)) == set()
    host = {("host_id",)} if is_named else set[tuple[str | int, ...]]()
    assert await refused(Guest(id=2, room=2, bed=1, host_id=9)) == host


async def test_refuses_a_number_that_no_column_can_hold(database: Database, tenant: Tenant) -> None:
    error = await _refused(database, _offer(tenant, price=2**70))

    assert isinstance(error, ValueOutOfRangeError)


async def test_refuses_half_of_a_surrogate_pair(database: Database, tenant: Tenant) -> None:
    error = await _refused(database, _offer(tenant, note="a\ud800b"))

    assert isinstance(error, InvalidTextError)


async def test_refuses_a_limit_that_no_database_can_hold(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(ValueOutOfRangeError):
            await OfferRepository(session).list(limit=2**70)
        await session.rollback()


async def test_refuses_what_postgresql_cannot_store(postgres_database: Database) -> None:
    database = postgres_database
    async with database.transaction() as session:
        tenant = Tenant(name="Acme")
        session.add(tenant)

    too_long = await _refused(database, _offer(tenant, number="123456"))
    too_large = await _refused(database, _offer(tenant, price=40_000))
    no_text = await _refused(database, _offer(tenant, note="a\x00b"))

    assert isinstance(too_long, ValueTooLongError)
    assert isinstance(too_large, ValueOutOfRangeError)
    assert isinstance(no_text, InvalidTextError)


async def test_tells_a_violation_of_a_bulk_statement(database: Database, tenant: Tenant) -> None:
    async with database.transaction() as session:
        session.add_all([_offer(tenant, number="1"), _offer(tenant, number="2")])

    with pytest.raises(UniqueViolationError) as caught:
        async with database.transaction() as session:
            await session.execute(update(Offer).values(number="3"))

    assert _paths(caught.value) == [("tenant_id",), ("number",)]


async def test_leaves_a_wrong_statement_what_it_is(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.transaction() as session:
            await session.execute(text("SELEC 1"))

    with pytest.raises(DBAPIError):
        async with database.transaction() as session:
            await TenantRepository(session).list(literal_column("nowhere") == 1)

    with pytest.raises(MultipleResultsFound):
        async with database.transaction() as session:
            session.add_all([Tenant(name="A"), Tenant(name="B")])
            (await session.scalars(select(Tenant))).one()


async def test_leaves_the_errors_of_the_caller_alone(database: Database) -> None:
    with pytest.raises(FileNotFoundError):
        async with database.transaction() as session:
            await session.execute(select(1))
            raise FileNotFoundError


async def test_one_that_should_be_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFoundError):
        async with database.read_transaction() as session:
            (await session.scalars(select(Tenant))).one()


async def test_a_read_transaction_refuses_to_write(database: Database) -> None:
    with pytest.raises(ReadOnlyTransactionError):
        async with database.read_transaction() as session:
            cast("AsyncSession", session).add(Tenant(name="Acme"))

    async with database.read_transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Tenant)) == 0


async def test_can_write_again_after_a_read_transaction(database: Database) -> None:
    for number in range(3):
        async with database.read_transaction() as session:
            await session.execute(select(Tenant))
        async with database.transaction() as session:
            session.add(Tenant(name=str(number)))


async def test_a_passed_over_failure_of_a_flush_is_not_taken_for_success(
    database: Database, tenant: Tenant
) -> None:
    with pytest.raises(TransactionAbortedError):
        async with database.transaction() as session:
            session.add(Tenant(name="Before"))
            await session.flush()
            with contextlib.suppress(IntegrityError):
                session.add(Tenant(name=tenant.name))
                await session.flush()

    async with database.read_transaction() as session:
        assert (await session.scalars(select(Tenant.name))).all() == ["Acme"]


async def test_a_passed_over_failure_of_a_statement_is_not_taken_for_success(
    database: Database, tenant: Tenant
) -> None:
    with pytest.raises(TransactionAbortedError):
        async with database.transaction() as session:
            session.add(Tenant(name="Before"))
            await session.flush()
            with contextlib.suppress(IntegrityError):
                await session.execute(update(Tenant).values(name=tenant.name))

    async with database.transaction() as session:
        assert (await session.scalars(select(Tenant.name))).all() == ["Acme"]


async def test_what_was_written_can_be_given_up_without_an_error(database: Database) -> None:
    async with database.transaction() as session:
        session.add(Tenant(name="Before"))
        await session.flush()
        await session.rollback()

    async with database.read_transaction() as session:
        assert (await session.scalars(select(Tenant.name))).all() == []


async def test_a_failure_inside_of_a_savepoint_can_be_passed_over(
    database: Database, tenant: Tenant
) -> None:
    async with database.transaction() as session:
        session.add(Tenant(name="Before"))
        with contextlib.suppress(IntegrityError):
            async with session.begin_nested():
                await session.execute(update(Tenant).values(name=tenant.name))

    async with database.read_transaction() as session:
        names = (await session.scalars(select(Tenant.name).order_by(Tenant.name))).all()
        assert names == ["Acme", "Before"]


async def test_gives_up_a_statement_that_takes_too_long(any_postgres_url: str) -> None:
    settings = DatabaseSettings(statement_timeout=timedelta(milliseconds=100))
    database = Database(any_postgres_url, settings=settings)

    with pytest.raises(StatementTimeoutError):
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_sleep(5)"))

    await database.dispose()


async def test_gives_up_a_lock_that_another_transaction_keeps(any_database_url: str) -> None:
    settings = DatabaseSettings(
        lock_timeout=timedelta(milliseconds=100), busy_timeout=timedelta(milliseconds=100)
    )
    holder = Database(any_database_url, settings=settings)
    database = Database(any_database_url, settings=settings)
    await create_tables(holder, __name__)
    change = update(Tenant).values(name="x")
    async with holder.transaction() as session:
        session.add(Tenant(name="Acme"))

    async with holder.transaction() as holding:
        await holding.execute(change)
        with pytest.raises(LockTimeoutError) as caught:
            async with database.transaction() as session:
                await session.execute(change)

    assert caught.value.retry_after == timedelta(seconds=1)
    await holder.dispose()
    await database.dispose()


async def test_says_that_no_connection_was_free(any_postgres_url: str) -> None:
    settings = DatabaseSettings(
        pool_size=1, max_overflow=0, pool_timeout=timedelta(milliseconds=50)
    )
    database = Database(any_postgres_url, settings=settings)

    async with database.transaction() as holding:
        await holding.execute(select(1))
        with pytest.raises(PoolTimeoutError):
            async with database.transaction() as session:
                await session.execute(select(1))

    await database.dispose()


async def test_tells_a_deadlock(postgres_database: Database) -> None:
    async with postgres_database.transaction() as session:
        session.add_all([Tenant(name="A"), Tenant(name="B")])
    both_hold = asyncio.Barrier(2)

    async def take(*names: str) -> None:
        async with postgres_database.transaction() as session:
            for name in names:
                await session.execute(update(Tenant).where(Tenant.name == name).values(name=name))
                if name == names[0]:
                    await both_hold.wait()

    results = await asyncio.gather(take("A", "B"), take("B", "A"), return_exceptions=True)

    assert [type(result) for result in results if result is not None] == [SerializationFailureError]


async def test_says_that_the_database_cannot_be_reached(
    unreachable_database: Database,
) -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        async with unreachable_database.transaction() as session:
            await session.execute(select(1))

    assert caught.value.__cause__ is not None
    assert caught.value.retry_after == timedelta(seconds=5)
    with pytest.raises(DatabaseUnavailableError):
        await unreachable_database.ping()
