"""A schema for the database that the tests of a process share, and what is in it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable
from pathlib import Path
from typing import Any, TypeVar, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.persistence import Base, Database

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import MetaData
    from sqlalchemy.ext.asyncio import AsyncSession

with optional("pytest", extra="testing"):
    import pytest

ModelT = TypeVar("ModelT")

ModelFactory = Callable[..., object]
"""What makes an entity, or something to await that gives one, of the values that it is called
with; the rest is up to it."""


def create_tables(url: str, *, metadata: MetaData | None = None) -> None:
    """Create the tables of `metadata`, or of all models with the library's `Base`, in a database.

    Faster than migrations, and no test of them.
    """

    async def create() -> None:
        database = Database(url, metadata=Base.metadata if metadata is None else metadata)
        try:
            await database.create_all()
        finally:
            await database.dispose()

    with ThreadPoolExecutor(1) as thread:  # This thread may be running a loop of its own.
        thread.submit(asyncio.run, create()).result()


def apply_migrations(url: str, *, root: Path | None = None) -> None:
    """Bring a database to the newest migration of the service in the folder `root`, or this one.

    Raises:
        MigrationError: If that fails.
    """
    # Only a suite that migrates needs Alembic.
    from fastapi_baseline.persistence.migrations.commands import upgrade  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        # The settings that its migrations read are the service's own.
        patch.setenv("DATABASE_URL", url)
        upgrade(root or Path.cwd())


class Make:
    """Makes entities for a test: `item = await make(Item, name="x")`."""

    def __init__(self, session: AsyncSession, factories: Mapping[type, ModelFactory]) -> None:
        """Add them to `session`; a model without a factory is called itself."""
        self._session = session
        self._factories = factories

    async def __call__(self, model: type[ModelT], **values: Any) -> ModelT:
        """Return an entity with these values, stored."""
        [entity] = await self.many(1, model, **values)
        return entity

    async def many(self, count: int, model: type[ModelT], **values: Any) -> list[ModelT]:
        """Return as many entities, stored with as few statements as the database allows."""
        factory = self._factories.get(model, model)
        entities = [
            await _made(cast("Callable[..., Any]", factory)(**values)) for _ in range(count)
        ]
        self._session.add_all(entities)
        await self._session.flush()
        return entities


async def _made(made: Any | Awaitable[Any]) -> Any:
    return await made if isawaitable(made) else made
