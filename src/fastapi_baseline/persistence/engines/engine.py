"""The engines of a database: one for transactions that write, one for those that only read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import BaselineError, ConfigurationError, MissingExtraError
from fastapi_baseline.persistence.engines import postgres, sqlite
from fastapi_baseline.persistence.engines.pool import PromptPool
from fastapi_baseline.persistence.engines.url import is_memory, parse_url
from fastapi_baseline.persistence.errors import (
    DatabaseUnavailableError,
    InvalidTextError,
    StatementTimeoutError,
    TransactionAbortedError,
    ValueOutOfRangeError,
)
from fastapi_baseline.persistence.models import ACTOR_OPTION, CLOCK_OPTION
from fastapi_baseline.settings import DatabaseSettings

# What drivers let through as it is; the first that fits counts, and a timeout is an OSError.
_NAMED: dict[type[Exception], type[BaselineError]] = {
    TimeoutError: StatementTimeoutError,
    OSError: DatabaseUnavailableError,
    OverflowError: ValueOutOfRangeError,
    UnicodeEncodeError: InvalidTextError,
}

_FAILED = "fastapi_baseline_failed"
_FRESH = "fastapi_baseline_fresh"
# Writers of one process take turns; a burst of them may take a while, and none must be refused
# for it.
_SQLITE_QUEUE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """Where transactions get their connections; with a pool of its own, or the same one."""

    writer: AsyncEngine
    reader: AsyncEngine
    has_replica: bool = False
    anchor: sqlite.MemoryAnchor | None = None

    async def dispose(self) -> None:
        """Close all connections that are not in use; those that are close when they are done."""
        # Writers last: whoever leaves an SQLite file last moves its log into it, which a reader
        # may not.
        await self.reader.dispose()
        await self.writer.dispose()
        if self.anchor is not None:
            self.anchor.close()


def create_engines(
    url: URL,
    settings: DatabaseSettings,
    *,
    clock: Clock,
    actor: Callable[[], str | None],
    application_name: str,
) -> Engines:
    """Return the engines for a URL that `parse_url` made. Nothing connects yet.

    Raises:
        ConfigurationError: If a parameter of a URL is wrong, or the replica is not PostgreSQL's.
    """
    replica = _replica_url(url, settings)
    options: dict[str, Any] = {
        "echo": settings.echo,
        # Values may be personal; they belong neither in errors nor in logs.
        "hide_parameters": not settings.echo,
        "execution_options": {CLOCK_OPTION: clock, ACTOR_OPTION: actor},
    }
    if url.get_backend_name() == "postgresql":
        return _postgres_engines(
            url, replica, settings=settings, options=options, name=application_name
        )
    options["connect_args"] = {
        "factory": sqlite.PromptConnection,
        # One that is dropped is closed by whichever thread does that; else each has its own.
        "check_same_thread": False,
        "isolation_level": None,
        "timeout": settings.busy_timeout.total_seconds(),
    }
    if is_memory(url):
        return _memory_engines(url, options)
    return _file_engines(url, settings, options)


def _replica_url(url: URL, settings: DatabaseSettings) -> URL | None:
    if settings.replica_url is None:
        return None
    try:
        replica = parse_url(settings.replica_url.get_secret_value())
    except MissingExtraError:
        raise
    except ConfigurationError as error:
        # Without the cause, as there: it may repeat the password.
        message = error.message.replace("(DATABASE_URL)", "(DATABASE__REPLICA_URL)")
        raise ConfigurationError(f"DATABASE__REPLICA_URL: {message}") from None
    backends = {replica.get_backend_name(), url.get_backend_name()}
    if backends != {"postgresql"}:
        message = (
            "DATABASE__REPLICA_URL is set, and only PostgreSQL has replicas: both URLs must be "
            "postgresql://."
        )
        raise ConfigurationError(message)
    return replica


def _postgres_engines(
    url: URL,
    replica: URL | None,
    *,
    settings: DatabaseSettings,
    options: dict[str, Any],
    name: str,
) -> Engines:
    def engine(place: URL) -> AsyncEngine:
        place, arguments = postgres.connect_arguments(place, settings, application_name=name)
        made = create_async_engine(
            place,
            **options,
            connect_args=arguments,
            poolclass=PromptPool,
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            pool_timeout=settings.pool_timeout.total_seconds(),
            pool_recycle=int(settings.pool_recycle.total_seconds()),
            pool_use_lifo=True,
        )
        _listen(made.sync_engine)
        event.listen(made.sync_engine, "connect", _note_fresh)
        event.listen(made.sync_engine, "checkout", _ping_on(made.dialect))
        return made

    writer = engine(url)
    reader = writer if replica is None else engine(replica)
    return Engines(
        writer=writer,
        reader=reader.execution_options(postgresql_readonly=True),
        has_replica=replica is not None,
    )


def _file_engines(url: URL, settings: DatabaseSettings, options: dict[str, Any]) -> Engines:
    def engine(*, read_only: bool) -> AsyncEngine:
        # SQLite has one writer. Letting one connection through keeps the order of requests; a
        # lock that is polled for would not, and would give up on the unlucky ones.
        size = settings.pool_size + settings.max_overflow if read_only else 1
        made = create_async_engine(
            url,
            **options,
            poolclass=PromptPool,
            pool_size=size,
            max_overflow=0,
            pool_timeout=max(_SQLITE_QUEUE_SECONDS, settings.pool_timeout.total_seconds()),
        )
        sqlite.listen_to_file(made.sync_engine, read_only=read_only)
        _listen(made.sync_engine)
        return made

    return Engines(writer=engine(read_only=False), reader=engine(read_only=True))


def _memory_engines(url: URL, options: dict[str, Any]) -> Engines:
    anchor = sqlite.MemoryAnchor()
    engine = create_async_engine(
        anchor.url(url),
        **options,
        poolclass=PromptPool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=_SQLITE_QUEUE_SECONDS,
    )
    anchor.listen(engine.sync_engine)
    _listen(engine.sync_engine)
    reader = engine.execution_options(**{sqlite.READ_ONLY_OPTION: True})
    return Engines(writer=engine, reader=reader, anchor=anchor)


def listen_to_connections(engine: Engine) -> None:
    """Name what fails when the engine opens a connection, however its driver puts it."""
    url = engine.url

    def connect(  # noqa: PLR0917 -- SQLAlchemy passes them by position
        dialect: Any, record: object, args: Any, keywords: Any
    ) -> DBAPIConnection:
        del record
        # Looked at first: aiosqlite fails in a thread that may outlive the event loop.
        folder = sqlite.missing_folder(url) if dialect.name == "sqlite" else None
        if folder is not None:
            raise ConfigurationError(f"The folder of the SQLite database does not exist: {folder}")
        try:
            connection: DBAPIConnection = dialect.connect(*args, **keywords)
        except (OSError, dialect.loaded_dbapi.Error) as error:
            raise DatabaseUnavailableError from error
        return connection

    event.listen(engine, "do_connect", connect)


def _listen(engine: Engine) -> None:
    listen_to_connections(engine)
    event.listen(engine, "handle_error", _on_error)
    event.listen(engine, "begin", _forget_failure)
    event.listen(engine, "rollback_savepoint", _forget_savepoint_failure)
    event.listen(engine, "commit", refuse_after_failure)


def _on_error(context: ExceptionContext) -> Exception | None:
    """Note that a statement failed, and name errors of the driver that are not its own kind."""
    error = context.original_exception
    if not isinstance(error, Exception):
        return None
    if context.connection is not None and not context.is_disconnect:
        context.connection.info[_FAILED] = True
    if context.sqlalchemy_exception is not None:
        return None
    kinds = (named for kind, named in _NAMED.items() if isinstance(error, kind))
    return next((named() for named in kinds), None)


def _forget_failure(connection: Connection) -> None:
    connection.info.pop(_FAILED, None)


def _forget_savepoint_failure(connection: Connection, name: str, context: None) -> None:
    del name, context
    _forget_failure(connection)


def refuse_after_failure(connection: Connection) -> None:
    """Refuse to commit what a failed statement was a part of.

    Raises:
        TransactionAbortedError: If one has failed since the transaction or a savepoint that was
            rolled back.
    """
    # PostgreSQL answers the COMMIT of a failed transaction with a rollback and no error, and
    # SQLite commits what came before the failure: two ways to lose half of it unnoticed.
    if connection.info.get(_FAILED):
        raise TransactionAbortedError


def _note_fresh(connection: DBAPIConnection, record: Any) -> None:
    del connection
    record.info[_FRESH] = True


def _ping_on(dialect: Dialect) -> Any:
    """Return what asks a pooled connection whether it lives, before it is used again.

    The pool's own ping lets an error of the network through; here it means a new connection.
    """
    driver_error: Any = dialect.loaded_dbapi.Error

    def ping(connection: DBAPIConnection, record: Any, proxy: object) -> None:
        del proxy
        if record.info.pop(_FRESH, False):
            return
        try:
            dialect.do_ping(connection)
        except (OSError, driver_error) as error:
            raise InvalidatePoolError from error

    return ping
