"""One transaction around all others, so that a test leaves nothing behind."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker
from sqlalchemy.orm import ORMExecuteState, Session

from fastapi_baseline.persistence.engines.engine import refuse_after_failure
from fastapi_baseline.persistence.errors import (
    ForeignKeyViolationError,
    ReadOnlyTransactionError,
)
from fastapi_baseline.persistence.translation import READ_ONLY

SessionT = TypeVar("SessionT", bound=AsyncSession)

_TURN: ContextVar["ExternalTransaction | None"] = ContextVar("external_transaction", default=None)


class ExternalTransaction:
    """A transaction that is never committed; others become savepoints of it, one after the other.

    One connection serves all, so those of different tasks take turns. One that is opened inside of
    another does not wait.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        """Work on a connection that is in a transaction."""
        self.connection = connection
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait until no other task is in one of these transactions."""
        if _TURN.get() is self:
            yield
            return
        async with self._lock:
            _TURN.set(self)
            try:
                yield
            finally:
                _TURN.set(None)

    def join(self, sessions: async_sessionmaker[SessionT]) -> SessionT:
        """Return a session whose transactions are savepoints, and behave like transactions."""
        session = sessions(bind=self.connection, join_transaction_mode="create_savepoint")
        if session.info.get(READ_ONLY):
            # The database cannot be told: it knows one transaction only.
            event.listen(session.sync_session, "before_flush", _refuse_flush)
            event.listen(session.sync_session, "do_orm_execute", _refuse_statement)
        else:
            event.listen(session.sync_session, "before_commit", _check_as_a_commit_does)
        return session


def _refuse_flush(*_: object) -> None:
    raise ReadOnlyTransactionError


def _refuse_statement(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        raise ReadOnlyTransactionError


def _check_as_a_commit_does(session: Session) -> None:
    if session.get_nested_transaction() is None:
        session.flush()
        connection = session.connection()
        refuse_after_failure(connection)
        _CHECKS[connection.dialect.name](connection)


def _check_postgres(connection: Connection) -> None:
    # Rolling back restores which constraints are deferred, and changes nothing else.
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    finally:
        savepoint.rollback()


def _check_sqlite(connection: Connection) -> None:
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise ForeignKeyViolationError


_CHECKS: dict[str, Callable[[Connection], None]] = {
    "postgresql": _check_postgres,
    "sqlite": _check_sqlite,
}
