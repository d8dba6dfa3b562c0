# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import ForeignKey, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline import Settings, create_app
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.persistence import (
    Database,
    ForeignKeyViolationError,
    ReadOnlyTransactionError,
    ReadTransaction,
    Transaction,
    TransactionAbortedError,
    UniqueViolationError,
)
from fastapi_baseline.persistence.sessions.session import WriteSession
from fastapi_baseline.testing import running


class RehearsalBase(DeclarativeBase):
    pass


class Role(RehearsalBase):
    __tablename__ = "role"

    name: Mapped[str] = mapped_column(primary_key=True)


class Actor(RehearsalBase):
    __tablename__ = "actor"

    name: Mapped[str] = mapped_column(primary_key=True)
    role_name: Mapped[str | None] = mapped_column(
        ForeignKey("role.name", deferrable=True, initially="DEFERRED")
    )


_COUNT = select(func.count()).select_from(Role)


@pytest.fixture
async def stage(any_database_url: str) -> AsyncGenerator[Database]:
    database = Database(any_database_url, metadata=RehearsalBase.metadata)
    await database.create_all()
    yield database
    assert await _count(database) == 0
    await database.dispose()


@pytest.fixture
async def session(stage: Database) -> AsyncGenerator[WriteSession]:
    async with stage.rolled_back() as session:
        yield session


async def _count(database: Database) -> int | None:
    async with database.read_transaction() as session:
        return await session.scalar(_COUNT)


async def test_undoes_what_is_committed(stage: Database) -> None:
    async with stage.rolled_back() as session:
        session.add(Role(name="a"))
        await session.commit()
        async with stage.transaction() as another:
            another.add(Role(name="b"))
        assert await _count(stage) == 2

    assert await _count(stage) == 0


async def test_can_be_used_again_and_again(stage: Database) -> None:
    for _ in range(3):
        async with stage.rolled_back() as session:
            session.add(Role(name="a"))
            await session.commit()

    assert await _count(stage) == 0


async def test_undoes_what_was_written_before_a_failure(stage: Database) -> None:
    with pytest.raises(LookupError):
        async with stage.rolled_back():
            async with stage.transaction() as session:
                session.add(Role(name="a"))
            raise LookupError

    assert await _count(stage) == 0


async def test_what_is_flushed_is_seen_by_transactions(
    stage: Database, session: WriteSession
) -> None:
    session.add(Role(name="a"))
    await session.flush()

    async with stage.transaction() as another:
        found = await another.get(Role, "a")

    assert found is not None
    assert await _count(stage) == 1


async def test_a_transaction_that_fails_is_undone_alone(
    stage: Database, session: WriteSession
) -> None:
    session.add(Role(name="a"))
    await session.flush()

    with pytest.raises(UniqueViolationError):
        async with stage.transaction() as another:
            another.add_all([Role(name="b"), Role(name="a")])

    assert (await session.scalars(select(Role.name))).all() == ["a"]


async def test_savepoints_inside_of_a_transaction_work(
    stage: Database, session: WriteSession
) -> None:
    async with stage.transaction() as another:
        another.add(Role(name="a"))
        await another.flush()
        with pytest.raises(IntegrityError):
            async with another.begin_nested():
                another.add(Role(name="a"))
        async with another.begin_nested():
            another.add(Role(name="b"))

    assert await session.scalar(_COUNT) == 2


async def test_hooks_are_called_as_they_would_be(stage: Database, session: WriteSession) -> None:
    calls: list[str] = []

    async with stage.transaction() as kept:
        kept.on_commit(lambda: calls.append("committed"))
        kept.on_rollback(lambda: calls.append("never"))
    with pytest.raises(LookupError):
        async with stage.transaction() as undone:
            undone.on_commit(lambda: calls.append("never"))
            undone.on_rollback(lambda: calls.append("rolled back"))
            raise LookupError
    session.on_commit(lambda: calls.append("session"))
    await session.commit()

    assert calls == ["committed", "rolled back", "session"]


async def test_a_failure_that_is_passed_over_is_not_taken_for_success(
    stage: Database, session: WriteSession
) -> None:
    with pytest.raises(TransactionAbortedError):
        async with stage.transaction() as another:
            another.add(Role(name="a"))
            await another.flush()
            with pytest.raises(IntegrityError):
                await another.execute(insert(Role).values(name="a"))

    assert await session.scalar(_COUNT) == 0


async def test_what_is_checked_at_the_commit_is_checked(
    stage: Database, session: WriteSession
) -> None:
    with pytest.raises(ForeignKeyViolationError):
        async with stage.transaction() as another:
            another.add(Actor(name="a", role_name="nowhere"))

    async with stage.transaction() as another:
        another.add(Actor(name="a", role_name="late"))
        await another.flush()
        another.add(Role(name="late"))

    assert (await session.scalars(select(Actor.name))).all() == ["a"]


async def test_reading_is_no_writing(stage: Database, session: WriteSession) -> None:
    with pytest.raises(ReadOnlyTransactionError):
        async with stage.read_transaction() as reading:
            cast("AsyncSession", reading).add(Role(name="a"))
    with pytest.raises(ReadOnlyTransactionError):
        async with stage.read_transaction() as reading:
            await cast("AsyncSession", reading).execute(insert(Role).values(name="a"))

    assert await session.scalar(_COUNT) == 0


async def test_one_transaction_may_be_inside_of_another(
    stage: Database, session: WriteSession
) -> None:
    async with stage.read_transaction() as outer:
        await outer.scalar(_COUNT)
        async with stage.transaction() as inner:
            inner.add(Role(name="a"))
        assert await outer.scalar(_COUNT) == 1

    assert await session.scalar(_COUNT) == 1


async def test_transactions_may_begin_to_work_in_any_order(
    stage: Database, session: WriteSession
) -> None:
    async with stage.read_transaction() as outer:
        async with stage.transaction() as inner:
            inner.add(Role(name="a"))
            await inner.flush()
            await outer.scalar(_COUNT)
        assert await outer.scalar(_COUNT) == 1

    assert await session.scalar(_COUNT) == 1


async def test_tasks_take_turns(stage: Database, session: WriteSession) -> None:
    async def write(number: int) -> None:
        async with stage.transaction() as another:
            another.add(Role(name=str(number)))
            await another.flush()
            await asyncio.sleep(0)
            if number % 3 == 0:
                await another.rollback()

    await asyncio.gather(*(write(number) for number in range(12)))

    assert await session.scalar(_COUNT) == 8


async def test_tables_can_be_created_meanwhile(stage: Database, session: WriteSession) -> None:
    await stage.create_all()
    await stage.ping()

    assert await session.scalar(_COUNT) == 0


async def test_only_one_at_a_time(stage: Database, session: WriteSession) -> None:
    with pytest.raises(RuntimeError, match="already"):
        async with stage.rolled_back():
            pass


async def test_an_application_that_stops_first_leaves_nothing_open(stage: Database) -> None:
    async with stage.rolled_back() as session:
        session.add(Role(name="a"))
        await session.commit()
        await stage.dispose()
        assert await session.scalar(_COUNT) == 1

    assert await _count(stage) == 0


@pytest.fixture
def app(any_database_url: str) -> FastAPI:
    settings = Settings.model_validate({"environment": "test", "database_url": any_database_url})
    app = create_app(settings, configure_logging=False)

    @app.post("/roles/{name}", status_code=201)
    async def add(name: str, session: Transaction) -> str:
        session.add(Role(name=name))
        return name

    @app.post("/actors/{name}", status_code=201)
    async def add_actor(name: str, session: Transaction) -> str:
        session.add(Actor(name=name, role_name="nowhere"))
        return name

    @app.get("/roles/{name}")
    async def get(name: str, session: ReadTransaction) -> str:
        if await session.get(Role, name) is None:
            raise NotFoundError
        return name

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncGenerator[AsyncClient]:
    async with app.state.database.rolled_back() as session:
        connection = await session.connection()
        await connection.run_sync(RehearsalBase.metadata.create_all)
        await session.commit()
        async with running(app) as client:
            yield client


async def test_requests_see_each_other_and_fail_as_they_would(client: AsyncClient) -> None:
    statuses = [
        (await client.post("/roles/a")).status_code,
        (await client.get("/roles/a")).status_code,
        (await client.post("/roles/a")).status_code,
        (await client.post("/actors/a")).status_code,
        (await client.get("/roles/b")).status_code,
        (await client.post("/roles/b")).status_code,
    ]

    assert statuses == [201, 200, 409, 409, 404, 201]


async def test_requests_at_once_take_turns(client: AsyncClient) -> None:
    responses = await asyncio.gather(*(client.post(f"/roles/{number}") for number in range(10)))

    assert {response.status_code for response in responses} == {201}


async def test_the_schema_that_is_created_is_undone_too(
    app: FastAPI, any_database_url: str
) -> None:
    async with app.state.database.rolled_back() as session:
        connection = await session.connection()
        await connection.run_sync(RehearsalBase.metadata.create_all)
    database = Database(any_database_url)
    statement = "SELECT count(*) FROM pg_tables WHERE tablename = 'role'"
    if database.url.get_backend_name() == "sqlite":
        statement = "SELECT count(*) FROM sqlite_master WHERE name = 'role'"

    async with database.read_transaction() as reading:
        assert await reading.scalar(text(statement).columns()) == 0
    await database.dispose()
    await app.state.database.dispose()
