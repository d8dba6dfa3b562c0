"""How the routes of an application come by its database."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.lifecycle import chain_lifespans


class Served(ABC):
    """What an application serves to its routes; a `Database` is."""

    @classmethod
    def of(cls, connection: HTTPConnection) -> Self:
        """Return the database of the application that answers a request.

        Raises:
            ConfigurationError: If it has none.
        """
        for state in (connection.state, connection.app.state):
            database = getattr(state, "database", None)
            if isinstance(database, cls):
                return database
        message = (
            "The application has no database: set DATABASE_URL for create_app() or install(), or "
            "call Database(url).attach(app)."
        )
        raise ConfigurationError(message)

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

    @abstractmethod
    async def dispose(self) -> None:
        """Close all connections."""
