# ruff: noqa: PT012 -- that a transaction fails is seen at the end of its block

import asyncio
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import ForeignKey, event, func, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapped, mapped_column
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.persistence import Base, Database, ForeignKeyViolationError, Transaction
from fastapi_baseline.persistence.errors import CommitInTransactionError
from fastapi_baseline.persistence.sessions.session import WriteSession
from fastapi_baseline.persistence.sessions.session_factory import Isolation
from fastapi_baseline.testing import running
from tests.tables import create_tables


class Invoice(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)


class Reminder(Base):
    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(
        ForeignKey("invoice.id", deferrable=True, initially="DEFERRED")
    )


class Calls(list[str]):
    """What was called, in order."""

    def note(self, call: str) -> Callable[[], None]:
        return lambda: self.append(call)


class GiveUpError(Exception):
    pass


@pytest.fixture
def calls() -> Calls:
    return Calls()


async def _count(database: Database) -> int:
    async with database.read_transaction() as session:
        return await session.scalar(select(func.count()).select_from(Invoice)) or 0


async def test_calls_hooks_after_the_commit_in_order(database: Database, calls: Calls) -> None:
    async def count() -> None:
        calls.append(f"{await _count(database)} stored")

    async with database.transaction() as session:
        session.on_commit(calls.note("first"))
        session.on_commit(count)
        session.on_rollback(calls.note("rolled back"))
        session.add(Invoice(number="a"))
        session.on_commit(calls.note("last"))
        await session.flush()
        assert not calls

    assert calls == ["first", "1 stored", "last"]


async def test_a_hook_may_write_in_a_transaction_of_its_own(database: Database) -> None:
    async def write() -> None:
        async with database.transaction() as another:
            another.add(Invoice(number="b"))

    async with database.transaction() as session:
        session.add(Invoice(number="a"))
        session.on_commit(write)

    assert await _count(database) == 2


async def test_a_hook_is_called_even_if_nothing_was_to_be_stored(
    database: Database, calls: Calls
) -> None:
    async with database.transaction() as session:
        session.on_commit(calls.note("committed"))

    assert calls == ["committed"]


async def test_calls_other_hooks_after_a_failure(database: Database, calls: Calls) -> None:
    with pytest.raises(GiveUpError):
        async with database.transaction() as session:
            session.on_commit(calls.note("committed"))
            session.on_rollback(calls.note("rolled back"))
            session.add(Invoice(number="a"))
            await session.flush()
            raise GiveUpError

    assert calls == ["rolled back"]


async def test_a_commit_that_fails_is_a_rollback(database: Database, calls: Calls) -> None:
    with pytest.raises(ForeignKeyViolationError):
        async with database.transaction() as session:
            session.on_commit(calls.note("committed"))
            session.on_rollback(calls.note("rolled back"))
            session.add(Reminder(id=1, invoice_id=4711))

    assert calls == ["rolled back"]


async def test_what_is_given_up_calls_the_hooks_of_a_rollback(
    database: Database, calls: Calls
) -> None:
    async with database.transaction() as session:
        session.on_commit(calls.note("committed"))
        session.on_rollback(calls.note("rolled back"))
        session.add(Invoice(number="a"))
        await session.rollback()

    assert calls == ["rolled back"]
    assert await _count(database) == 0


async def test_a_savepoint_that_is_rolled_back_drops_its_hooks(
    database: Database, calls: Calls
) -> None:
    async with database.transaction() as session:
        session.on_commit(calls.note("before"))
        with pytest.raises(GiveUpError):
            async with session.begin_nested():
                session.on_commit(calls.note("inside"))
                session.on_rollback(calls.note("undone"))
                session.add(Invoice(number="a"))
                raise GiveUpError
        session.add(Invoice(number="b"))
        session.on_commit(calls.note("after"))

    assert calls == ["before", "undone", "after"]
    assert await _count(database) == 1


async def test_a_savepoint_that_is_kept_keeps_its_hooks(database: Database, calls: Calls) -> None:
    async with database.transaction() as session:
        async with session.begin_nested():
            session.on_commit(calls.note("inside"))
            session.on_rollback(calls.note("undone"))
            session.add(Invoice(number="a"))
        session.on_commit(calls.note("after"))

    assert calls == ["inside", "after"]


async def test_a_savepoint_inside_of_one_that_is_rolled_back_drops_its_hooks(
    database: Database, calls: Calls
) -> None:
    async with database.transaction() as session:
        with pytest.raises(GiveUpError):
            async with session.begin_nested():
                async with session.begin_nested():
                    session.on_commit(calls.note("innermost"))
                    session.on_rollback(calls.note("undone"))
                    session.add(Invoice(number="a"))
                session.on_commit(calls.note("inside"))
                raise GiveUpError
        async with session.begin_nested():
            session.on_commit(calls.note("another"))

    assert calls == ["undone", "another"]


async def test_a_savepoint_that_was_kept_is_undone_with_its_transaction(
    database: Database, calls: Calls
) -> None:
    with pytest.raises(GiveUpError):
        async with database.transaction() as session:
            async with session.begin_nested():
                session.on_commit(calls.note("inside"))
                session.on_rollback(calls.note("undone"))
            raise GiveUpError

    assert calls == ["undone"]


async def test_a_flush_that_fails_drops_the_hooks_of_its_savepoint(
    database: Database, calls: Calls
) -> None:
    async with database.transaction() as session:
        session.add(Invoice(number="a"))
        await session.flush()
        with pytest.raises(Exception, match=r"(?i)unique"):
            async with session.begin_nested():
                session.on_commit(calls.note("inside"))
                session.add(Invoice(number="a"))
        session.on_commit(calls.note("outside"))

    assert calls == ["outside"]
    assert await _count(database) == 1


async def test_savepoints_may_be_nested(database: Database) -> None:
    async with database.transaction() as session, session.begin_nested():
        session.add(Invoice(number="kept"))
        with pytest.raises(GiveUpError):
            async with session.begin_nested():
                session.add(Invoice(number="undone"))
                await session.flush()
                raise GiveUpError
        async with session.begin_nested():
            session.add(Invoice(number="kept too"))

    async with database.read_transaction() as reading:
        numbers = (await reading.scalars(select(Invoice.number).order_by(Invoice.number))).all()
    assert numbers == ["kept", "kept too"]


async def test_a_hook_that_fails_is_logged_and_the_others_are_called(
    database: Database, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise GiveUpError("no mail today")

    async def be_cancelled() -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async with database.transaction() as session:
        session.on_commit(fail)
        session.on_commit(be_cancelled)
        session.on_commit(calls.note("last"))
        session.add(Invoice(number="a"))

    assert calls == ["last"]
    assert await _count(database) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "no mail today" in caplog.text


async def test_hooks_are_called_to_the_end_if_the_task_is_cancelled_while_it_commits(
    database: Database, calls: Calls
) -> None:
    def cancel(connection: object) -> None:
        task.cancel()

    async def slow() -> None:
        await asyncio.sleep(0)
        calls.append(f"{await _count(database)} stored")

    async def work() -> None:
        async with database.transaction() as session:
            session.add(Invoice(number="a"))
            session.on_commit(slow)
            session.on_commit(calls.note("last"))

    event.listen(database.engine.sync_engine, "commit", cancel)
    task = asyncio.ensure_future(work())
    with pytest.raises(asyncio.CancelledError):
        await task

    assert calls == ["1 stored", "last"]


async def test_a_commit_before_the_end_is_refused_and_says_why(database: Database) -> None:
    with pytest.raises(CommitInTransactionError, match="flush"):
        async with database.transaction() as session:
            session.add(Invoice(number="a"))
            await session.commit()

    assert await _count(database) == 0


async def test_a_commit_of_the_session_below_is_refused_too(database: Database) -> None:
    with pytest.raises(CommitInTransactionError):
        async with database.transaction() as session:
            session.add(Invoice(number="a"))
            await session.run_sync(lambda below: below.commit())

    assert await _count(database) == 0


async def test_a_transaction_goes_on_after_a_commit_that_was_refused(database: Database) -> None:
    async with database.transaction() as session:
        session.add(Invoice(number="a"))
        with pytest.raises(CommitInTransactionError):
            await session.commit()
        session.add(Invoice(number="b"))

    assert await _count(database) == 2


async def test_a_session_is_of_no_use_after_its_block(database: Database) -> None:
    async with database.transaction() as session:
        session.add(Invoice(number="a"))
    async with database.read_transaction() as reading:
        pass

    with pytest.raises(InvalidRequestError, match="permanently closed"):
        await session.execute(select(Invoice))
    with pytest.raises(InvalidRequestError, match="permanently closed"):
        await reading.execute(select(Invoice))


async def test_a_session_of_ones_own_calls_the_hooks_when_it_commits(
    database: Database, calls: Calls
) -> None:
    async with WriteSession(database.engine) as session:
        session.on_commit(calls.note("committed"))
        session.add(Invoice(number="a"))
        await session.commit()
        assert calls == ["committed"]

        session.add(Invoice(number="b"))
        await session.flush()
        session.on_rollback(calls.note("rolled back"))
        await session.rollback()

    assert calls == ["committed", "rolled back"]
    assert await _count(database) == 1


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
async def test_isolates_one_transaction_as_it_is_told(
    postgres_database: Database, *, level: Isolation
) -> None:
    shown = text("SELECT current_setting('transaction_isolation')").columns()

    async with postgres_database.transaction(isolation=level) as session:
        writing = await session.scalar(shown)
        session.add(Invoice(number="a"))
    async with postgres_database.read_transaction(isolation=level) as session:
        reading = await session.scalar(shown)
        await session.get(Invoice, 1)
    async with postgres_database.transaction() as session:
        afterwards = await session.scalar(shown)

    assert (writing, reading, afterwards) == (level, level, "read committed")


async def test_a_repeatable_read_sees_one_moment(postgres_database: Database) -> None:
    count = select(func.count()).select_from(Invoice)

    async with postgres_database.read_transaction(isolation="repeatable read") as session:
        before = await session.scalar(count)
        async with postgres_database.transaction() as another:
            another.add(Invoice(number="a"))
        after = await session.scalar(count)

    assert before == after == 0
    assert await _count(postgres_database) == 1


async def test_sqlite_takes_any_isolation(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    await create_tables(database, __name__)

    async with database.transaction(isolation="serializable") as session:
        session.add(Invoice(number="a"))
    async with database.read_transaction(isolation="repeatable read") as session:
        count = await session.scalar(select(func.count()).select_from(Invoice))

    assert count == 1
    await database.dispose()


async def test_hooks_are_called_before_the_response_is_sent(
    database: Database, calls: Calls
) -> None:
    app = FastAPI()
    database.attach(app)

    @app.post("/invoices", status_code=201)
    async def add(session: Transaction) -> None:
        session.add(Invoice(number="a"))
        session.on_commit(calls.note("committed"))

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            calls.append(message["type"])
            await send(message)

        await app(scope, receive, note if scope["type"] == "http" else send)

    async with running(listening) as client:
        response = await client.post("/invoices")

    assert response.status_code == 201
    assert calls[:2] == ["committed", "http.response.start"]


async def test_a_hook_that_fails_does_not_change_the_response(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    database.attach(app)

    def fail() -> None:
        raise GiveUpError("no mail today")

    @app.post("/invoices", status_code=201)
    async def add(session: Transaction) -> None:
        session.add(Invoice(number="a"))
        session.on_commit(fail)

    async with running(app) as client:
        response = await client.post("/invoices")

    assert response.status_code == 201
    assert "no mail today" in caplog.text
