"""A database, as the service uses it: transactions, a ping, and an end."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self, TypeVar

from anyio import CancelScope
from fastapi import FastAPI
from sqlalchemy import URL, MetaData, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import object_mapper, registry
from starlette.requests import HTTPConnection

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.lifecycle import chain_lifespans
from fastapi_baseline.persistence.engine import create_engines
from fastapi_baseline.persistence.errors import TransactionAbortedError
from fastapi_baseline.persistence.models import Base
from fastapi_baseline.persistence.translation import READ_ONLY, translate, translated
from fastapi_baseline.persistence.url import parse_url
from fastapi_baseline.settings import DatabaseSettings, Settings

_T = TypeVar("_T")

# Both read something that is in the file, or on the server: a constant would be answered by an
# SQLite that has lost its file.
_PING = {"sqlite": "SELECT count(*) FROM sqlite_master", "postgresql": "SELECT 1"}


class Database:
    """One database. It connects when it is first used, and can be used again after `dispose`.

    It is its own health check.
    """

    name = "database"

    def __init__(
        self,
        url: str,
        *,
        settings: DatabaseSettings | None = None,
        clock: Clock | None = None,
        metadata: MetaData | None = None,
        application_name: str = "fastapi-baseline",
    ) -> None:
        """Take the time for timestamps from `clock`, and the tables from `metadata`.

        Raises:
            ConfigurationError: If the URL cannot be used, or its driver is not installed.
        """
        self._url = parse_url(url)
        self._engines = create_engines(
            self._url,
            settings or DatabaseSettings(),
            clock=clock or SystemClock(),
            application_name=application_name,
        )
        self.metadata = Base.metadata if metadata is None else metadata
        self._writing = async_sessionmaker(self._engines.writer, expire_on_commit=False)
        self._reading = async_sessionmaker(
            self._engines.reader, expire_on_commit=False, info={READ_ONLY: True}
        )

    @classmethod
    def from_settings(cls, settings: Settings, *, clock: Clock | None = None) -> Self:
        """Return the database that the settings name.

        Raises:
            ConfigurationError: If they name none, or its URL cannot be used.
        """
        if settings.database_url is None:
            raise ConfigurationError("No database is configured: set DATABASE_URL.")
        return cls(
            settings.database_url.get_secret_value(),
            settings=settings.database,
            clock=clock,
            application_name=settings.service_name,
        )

    @classmethod
    def of(cls, connection: HTTPConnection) -> "Database":
        """Return the database of the application that answers a request.

        Raises:
            ConfigurationError: If it has none.
        """
        for state in (connection.state, connection.app.state):
            database = getattr(state, "database", None)
            if isinstance(database, Database):
                return database
        message = (
            "The application has no database: set DATABASE_URL for create_app() or install(), or "
            "call Database(url).attach(app)."
        )
        raise ConfigurationError(message)

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)!r})"

    @property
    def url(self) -> URL:
        """Return the URL with its driver; as text it hides the password."""
        return self._url

    @property
    def engine(self) -> AsyncEngine:
        """Return the engine that writes, for what sessions cannot do."""
        return self._engines.writer

    def attach(self, app: FastAPI) -> None:
        """Serve this database to the routes of an application, and close it when that stops."""
        app.state.database = self
        app.router.lifespan_context = chain_lifespans(self.lifespan, app.router.lifespan_context)

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Close the database when the application stops."""
        del app
        try:
            yield
        finally:
            await self.dispose()

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Return a session in a transaction that is committed at the end of the block.

        On SQLite it holds the lock on the database from its first statement on.

        Raises:
            TransactionAbortedError: At the end, if a statement failed and its error was caught
                outside of a savepoint.
        """
        return _unit_of_work(self._writing, read_only=False)

    def read_transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Return a session in a transaction that only reads, and waits for no writer.

        Raises:
            ReadOnlyTransactionError: If something is written.
        """
        return _unit_of_work(self._reading, read_only=True)

    async def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            DatabaseUnavailableError: If there is none.
        """
        async with self.read_transaction() as session:
            await session.execute(text(_PING[self._url.get_backend_name()]))

    check = ping

    async def create_all(self) -> None:
        """Create the tables that do not exist; for tests, since it changes none that do."""
        with translated(registries=(Base.registry,)):
            async with self.engine.begin() as connection:
                await connection.run_sync(self.metadata.create_all)

    async def dispose(self) -> None:
        """Close all connections."""
        await self._engines.dispose()


@asynccontextmanager
async def _unit_of_work(
    sessions: async_sessionmaker[AsyncSession], *, read_only: bool
) -> AsyncGenerator[AsyncSession]:
    async with sessions() as session:
        try:
            async with _uninterrupted(session.begin()):
                yield session
                if not session.is_active:
                    raise TransactionAbortedError
        except SQLAlchemyError as error:
            translation = translate(error, registries=_registries_in(session), read_only=read_only)
            if translation is None:
                raise
            raise translation from error


def _registries_in(session: AsyncSession) -> tuple[registry, ...]:
    found = (object_mapper(entity).registry for entity in session)
    return tuple(dict.fromkeys((Base.registry, *found)))


@asynccontextmanager
async def _uninterrupted(manager: AbstractAsyncContextManager[_T]) -> AsyncGenerator[_T]:
    """Enter `manager`, and leave it completely even if the task is cancelled meanwhile.

    A commit that is begun is awaited, so that its outcome is known, and a connection never goes
    back to its pool in the middle of a transaction.
    """
    value = await manager.__aenter__()
    try:
        yield value
    except BaseException as error:
        await _to_the_end(manager.__aexit__(type(error), error, error.__traceback__))
        raise
    await _to_the_end(manager.__aexit__(None, None, None))


async def _to_the_end(work: Coroutine[Any, Any, object]) -> None:
    task = asyncio.ensure_future(work)
    cancellation: asyncio.CancelledError | None = None
    # The scope holds off cancellation by anyio, which would come again and again; the loop that by
    # asyncio, which comes once.
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancellation = error
    if cancellation is None:
        task.result()
    elif not task.cancelled() and (failure := task.exception()) is not None:
        raise cancellation from failure
    else:
        raise cancellation
