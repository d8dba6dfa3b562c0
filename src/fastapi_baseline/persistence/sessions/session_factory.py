"""Where the sessions of a database come from, and the transactions that they are in."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, TypeVar

from sqlalchemy import MetaData, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from fastapi_baseline.persistence.engines.engine import Engines
from fastapi_baseline.persistence.models import Base
from fastapi_baseline.persistence.sessions.changes import (
    LISTENERS,
    Listener,
    note_flush,
    note_statement,
)
from fastapi_baseline.persistence.sessions.external_transaction import ExternalTransaction
from fastapi_baseline.persistence.sessions.session import UNIT_OF_WORK, WriteSession
from fastapi_baseline.persistence.sessions.unit_of_work import to_the_end, unit_of_work
from fastapi_baseline.persistence.translation import READ_ONLY, translated

Isolation = Literal["read committed", "repeatable read", "serializable"]
"""How much a transaction of PostgreSQL sees of others."""

_SessionT = TypeVar("_SessionT", bound=AsyncSession)

# Both read something that is in the file, or on the server: a constant would be answered by an
# SQLite that has lost its file.
_PING = {"sqlite": "SELECT count(*) FROM sqlite_master", "postgresql": "SELECT 1"}


class SessionFactory:
    """Opens transactions on the engines of a database, or as savepoints of an external one."""

    def __init__(self, engines: Engines, *, metadata: MetaData, info: Mapping[str, Any]) -> None:
        """Put `info` into the `info` of each session."""
        self._engines = engines
        self._metadata = metadata
        self._external: ExternalTransaction | None = None
        self._listeners: list[Listener] = []
        info = {**info, LISTENERS: self._listeners}
        # A session is of no use after its block: a statement that comes too late would be in a
        # transaction that nobody commits.
        options: dict[str, Any] = {"expire_on_commit": False, "close_resets_only": False}
        self._writing = async_sessionmaker(
            engines.writer, class_=WriteSession, info={**info, UNIT_OF_WORK: True}, **options
        )
        self._reading = async_sessionmaker(
            engines.reader, info={**info, READ_ONLY: True}, **options
        )
        self._free = async_sessionmaker(class_=WriteSession, info={**info}, expire_on_commit=False)

    def add_listener(self, listener: Listener) -> None:
        """Tell `listener` what transactions have changed."""
        if not event.contains(WriteSession.sync_session_class, "after_flush", note_flush):
            event.listen(WriteSession.sync_session_class, "after_flush", note_flush)
            event.listen(WriteSession.sync_session_class, "do_orm_execute", note_statement)
        self._listeners.append(listener)

    def writing(self, isolation: Isolation | None) -> AbstractAsyncContextManager[WriteSession]:
        """Return a session in a transaction."""
        return self._begin(self._writing, isolation)

    def reading(self, isolation: Isolation | None) -> AbstractAsyncContextManager[AsyncSession]:
        """Return a session in a transaction that only reads."""
        return self._begin(self._reading, isolation)

    def _begin(
        self, sessions: async_sessionmaker[_SessionT], isolation: Isolation | None
    ) -> AbstractAsyncContextManager[_SessionT]:
        if self._external is not None:
            return self._begin_in(self._external, sessions)
        if isolation is None or self._engines.writer.dialect.name == "sqlite":
            return unit_of_work(sessions())
        options = {"isolation_level": isolation.upper()}
        return unit_of_work(sessions(execution_options=options))

    @asynccontextmanager
    async def _begin_in(
        self, external: ExternalTransaction, sessions: async_sessionmaker[_SessionT]
    ) -> AsyncGenerator[_SessionT]:
        async with external.turn(), unit_of_work(external.join(sessions)) as session:
            # At once: savepoints have to end in the opposite order.
            await session.connection()
            yield session

    @asynccontextmanager
    async def rolled_back(self) -> AsyncGenerator[WriteSession]:
        """Let all transactions be savepoints of one that is rolled back at the end of the block.

        Raises:
            RuntimeError: If that is so already.
        """
        if self._external is not None:
            raise RuntimeError("All transactions of this database are rolled back already.")
        async with self._engines.writer.connect() as connection:
            await connection.begin()
            self._external = ExternalTransaction(connection)
            session = self._external.join(self._free)
            try:
                yield session
            finally:
                self._external = None
                await to_the_end(_close(session, connection))

    async def ping(self) -> None:
        """Ask for an answer, on all servers."""
        statement = text(_PING[self._engines.writer.dialect.name])
        async with self.reading(None) as session:
            await session.execute(statement)
        if self._engines.has_replica:
            async with self.writing(None) as session:
                await session.execute(statement)

    async def create_all(self) -> None:
        """Create the tables that do not exist."""
        with translated(registries=(Base.registry,)):
            if self._external is not None:
                await self._external.connection.run_sync(self._metadata.create_all)
                return
            async with self._engines.writer.begin() as connection:
                await connection.run_sync(self._metadata.create_all)


async def _close(session: AsyncSession, connection: AsyncConnection) -> None:
    try:
        await session.close()
    finally:
        await connection.rollback()
        # Its pool may have been disposed of meanwhile, and would keep it open: that of an
        # application that has stopped.
        await connection.invalidate()
