from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.ids import uuid7
from fastapi_baseline.persistence import Base, Database, UUIDPrimaryKey
from fastapi_baseline.persistence.models import ACTOR_OPTION, Authorship, Timestamps, Versioned
from fastapi_baseline.persistence.shape import shape_of
from fastapi_baseline.persistence.writing.conditional import ConditionalWrites
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete
from fastapi_baseline.persistence.writing.stamps import (
    conflict_values,
    delete_values,
    insert_values,
    restore_values,
    stamp_of,
    update_values,
)
from fastapi_baseline.persistence.writing.writes import Writes
from fastapi_baseline.testing import ManualClock

_HOUR = timedelta(hours=1)


class Ledger(Base, UUIDPrimaryKey, Timestamps, Authorship, Versioned, SoftDelete):
    name: Mapped[str] = mapped_column(unique=True)
    amount: Mapped[int] = mapped_column(default=0)


class Ledgers(Writes[Ledger], ConditionalWrites[Ledger]):
    pass


_SHAPE = shape_of(Ledger)
Write = Callable[[AsyncSession, UUID], Coroutine[Any, Any, Any]]


@contextmanager
def _asked_by(principal: object) -> Generator[None]:
    token = request_context.set(RequestContext(request_id="1", principal=principal))
    yield
    request_context.reset(token)


async def _ledger(database: Database) -> Ledger:
    async with database.transaction() as session:
        return await Ledgers(session).add(Ledger(name="A"))


async def _stored(database: Database) -> Ledger:
    async with database.read_transaction() as session:
        statement = select(Ledger).execution_options(fastapi_baseline_include_deleted=True)
        return (await session.scalars(statement)).one()


def _stamps(ledger: Ledger) -> list[Any]:
    return [
        ledger.created_at,
        ledger.updated_at,
        ledger.created_by,
        ledger.updated_by,
        ledger.version,
    ]


async def _upsert(session: AsyncSession, _: UUID) -> None:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    kind: Any = sqlite.insert if is_sqlite else postgresql.insert
    statement = kind(Ledger).values(insert_values(_SHAPE, {"name": "A", "amount": 5}))
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[Ledger.name],
            set_={"amount": 5, **conflict_values(_SHAPE, statement.excluded)},
        )
    )


async def _flush(session: AsyncSession, key: UUID) -> None:
    ledger = await session.get_one(Ledger, key)
    ledger.amount = 5
    await session.flush()


_WRITES: dict[str, Write] = {
    "flush": _flush,
    "update()": lambda session, key: session.execute(
        update(Ledger).where(Ledger.id == key).values(amount=5)
    ),
    "update() with values": lambda session, key: session.execute(
        update(Ledger).where(Ledger.id == key).values({"amount": 5, **update_values(_SHAPE)})
    ),
    "update() of a table": lambda session, key: session.execute(
        update(Base.metadata.tables["ledger"]).values(amount=5)
    ),
    "Writes.update": lambda session, key: Ledgers(session).update(key, {"amount": 5}),
    "ConditionalWrites.update_where": lambda session, key: Ledgers(session).update_where(
        Ledger.id == key, values={"amount": 5}
    ),
    "upsert": _upsert,
}


@pytest.mark.parametrize("write", [*_WRITES.values()], ids=[*_WRITES])
async def test_every_way_to_write_stamps_alike(
    database: Database, clock: ManualClock, write: Write
) -> None:
    made = clock.now()
    with _asked_by("ann"):
        ledger = await _ledger(database)
    clock.advance(_HOUR)

    with _asked_by("bob"):
        async with database.transaction() as session:
            await write(session, ledger.id)

    stored = await _stored(database)
    assert stored.amount == 5
    assert _stamps(stored) == [made, made + _HOUR, "ann", "bob", 2]


_INSERTS: dict[str, Write] = {
    "flush": lambda session, _: Ledgers(session).add(Ledger(name="A")),
    "insert()": lambda session, _: session.execute(
        insert(Ledger).values(insert_values(_SHAPE, {"name": "A"}))
    ),
    "insert() of many": lambda session, _: session.execute(
        insert(Ledger), [insert_values(_SHAPE, {"name": "A"})]
    ),
    "upsert": _upsert,
    "rows that nobody else stamps": lambda session, key: session.execute(
        text(
            "INSERT INTO ledger (id, name, amount, created_at, updated_at, created_by, updated_by, "
            "version, deleted_at) VALUES (:id, :name, :amount, :created_at, :updated_at, "
            ":created_by, :updated_by, :version, :deleted_at)"
        ).bindparams(*_binds(session, key))
    ),
}


def _binds(session: AsyncSession, key: UUID) -> Any:
    values = insert_values(
        _SHAPE, {"id": key, "name": "A", "amount": 0}, stamp=stamp_of(session, _SHAPE)
    )
    columns = Base.metadata.tables["ledger"].c
    return [bindparam(name, value, columns[name].type) for name, value in values.items()]


@pytest.mark.parametrize("write", [*_INSERTS.values()], ids=[*_INSERTS])
async def test_every_way_to_insert_stamps_alike(
    database: Database, clock: ManualClock, write: Write
) -> None:
    with _asked_by("ann"):
        async with database.transaction() as session:
            await write(session, uuid7())

    stored = await _stored(database)
    assert _stamps(stored) == [clock.now(), clock.now(), "ann", "ann", 1]
    assert stored.deleted_at is None


async def test_soft_deletes_and_restores_are_stamped_too(
    database: Database, clock: ManualClock
) -> None:
    ledger = await _ledger(database)
    made = clock.now()
    clock.advance(_HOUR)

    with _asked_by("bob"):
        async with database.transaction() as session:
            values = delete_values(_SHAPE, stamp_of(session, _SHAPE))
            await session.execute(update(Ledger).values(values))
    deleted = await _stored(database)
    async with database.transaction() as session:
        await session.execute(
            update(Ledger).where(Ledger.id == ledger.id).values(restore_values(_SHAPE)),
            execution_options={"fastapi_baseline_include_deleted": True},
        )
    restored = await _stored(database)

    assert deleted.deleted_at == clock.now()
    assert _stamps(deleted) == [made, clock.now(), None, "bob", 2]
    assert restored.deleted_at is None
    assert restored.version == 3


async def test_what_nobody_is_known_to_do_has_no_actor(database: Database) -> None:
    with _asked_by("ann"):
        ledger = await _ledger(database)

    async with database.transaction() as session:
        await Ledgers(session).update(ledger.id, {"amount": 5})

    stored = await _stored(database)
    assert (stored.created_by, stored.updated_by) == ("ann", None)


@pytest.fixture
async def session_of_a_robot(database: Database) -> AsyncGenerator[AsyncSession]:
    engine = database.engine.execution_options(**{ACTOR_OPTION: lambda: "robot"})
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        yield session


async def test_asks_the_actor_that_the_engine_carries(session_of_a_robot: AsyncSession) -> None:
    with _asked_by("ann"):
        ledger = await Ledgers(session_of_a_robot).add(Ledger(name="A"))

    assert (ledger.created_by, ledger.updated_by) == ("robot", "robot")
    assert stamp_of(session_of_a_robot, _SHAPE).actor == "robot"


async def test_keeps_the_past_of_a_row_that_comes_from_elsewhere(
    database: Database, clock: ManualClock
) -> None:
    past = clock.now() - _HOUR

    async with database.transaction() as session:
        ledger = Ledger(name="A", created_at=past, created_by="ann", version=9)
        await Ledgers(session).add(ledger)

    assert _stamps(await _stored(database)) == [past, past, "ann", None, 1]
