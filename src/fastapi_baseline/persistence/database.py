"""A database, as the service uses it: transactions, a ping, and an end."""

from collections.abc import Callable
from typing import Self

from sqlalchemy import URL, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.engines.engine import create_engines
from fastapi_baseline.persistence.engines.url import parse_url
from fastapi_baseline.persistence.models import Base, current_actor
from fastapi_baseline.persistence.sessions.cursor_key import cursor_key
from fastapi_baseline.persistence.sessions.serving import Served
from fastapi_baseline.persistence.sessions.session import CURSOR_KEY
from fastapi_baseline.persistence.sessions.session_factory import SessionFactory
from fastapi_baseline.persistence.sessions.transacting import Transacting
from fastapi_baseline.settings import DatabaseSettings, Environment, Settings


class Database(Transacting, Served):
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
        actor: Callable[[], str | None] = current_actor,
        metadata: MetaData | None = None,
        application_name: str = "fastapi-baseline",
        environment: Environment = "development",
    ) -> None:
        """Take the time of changes from `clock`, their author from `actor`, tables from `metadata`.

        By default the author is the `principal` of the request.

        Raises:
            ConfigurationError: If a URL cannot be used, or its driver is not installed.
        """
        self._url = parse_url(url)
        self._settings = settings or DatabaseSettings()
        self._environment: Environment = environment
        self.metadata = Base.metadata if metadata is None else metadata
        self._engines = create_engines(
            self._url,
            self._settings,
            clock=clock or SystemClock(),
            actor=actor,
            application_name=application_name,
        )
        self._sessions = SessionFactory(
            self._engines, metadata=self.metadata, info={CURSOR_KEY: self.cursor_key}
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
            environment=settings.environment,
        )

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

    @property
    def read_engine(self) -> AsyncEngine:
        """Return the engine that only reads: that of the replica, if there is one."""
        return self._engines.reader

    @property
    def engines(self) -> dict[str, AsyncEngine]:
        """Return the engines that have connections of their own, by what their pools are called."""
        writer, reader = self._engines.writer, self._engines.reader
        own = {} if reader.pool is writer.pool else {"database_reader": reader}
        return {"database": writer, **own}

    def cursor_key(self) -> bytes:
        """Return the key that page cursors are signed with.

        Call it when a service with such pages starts, so that it does not start without.

        Raises:
            ConfigurationError: If `DATABASE__CURSOR_KEY` is not set in staging or production.
        """
        is_deployed = self._environment in {"staging", "production"}
        return cursor_key(self._settings.cursor_key, url=self._url, is_deployed=is_deployed)

    async def ping(self) -> None:
        """Ask the database for an answer, and the replica, if there is one.

        Raises:
            DatabaseUnavailableError: If there is none.
        """
        await self._sessions.ping()

    check = ping

    async def create_all(self) -> None:
        """Create the tables that do not exist; for tests, since it changes none that do."""
        await self._sessions.create_all()

    async def dispose(self) -> None:
        """Close all connections."""
        await self._engines.dispose()
