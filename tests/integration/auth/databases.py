"""Databases that have some tables, and no others."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Base, Database


@asynccontextmanager
async def database_with(*models: type[Base], url: str, clock: Clock) -> AsyncGenerator[Database]:
    """Give a database of which only the tables of these models exist, until the end of the block."""
    database = Database(url, clock=clock)
    try:
        async with database.engine.begin() as connection:
            for model in models:
                await connection.run_sync(model.metadata.tables[model.__tablename__].create)
        yield database
    finally:
        await database.dispose()
