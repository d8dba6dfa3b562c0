"""A database that is there for a moment: to try migrations on."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from sqlalchemy import URL, NullPool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.engines.url import parse_url


@contextmanager
def throw_away_database(server_url: str | None = None) -> Generator[str]:
    """Give the URL of an empty database, which is gone afterwards.

    It is an SQLite file, or one more database of the PostgreSQL server that `server_url` names.

    Raises:
        ConfigurationError: If the server cannot be reached, or refuses.
        MissingExtraError: If there is no driver.
    """
    url = None if server_url is None else parse_url(server_url)
    if url is None or url.get_backend_name() == "sqlite":
        parse_url("sqlite://")
        with TemporaryDirectory(prefix="fastapi-baseline-") as folder:
            yield f"sqlite:///{Path(folder) / 'rehearsal.db'}"
        return
    name = f"rehearsal_{token_hex(8)}"
    _execute(url, f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute(url: URL, statement: str) -> None:
    async def execute() -> None:
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                await connection.execute(text(statement))
        finally:
            await engine.dispose()

    try:
        asyncio.run(execute())
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        message = f"The server of TEST_DATABASE_URL, {url.host}:{url.port or 5432}: {lines[0]}"
        raise ConfigurationError(message) from error
