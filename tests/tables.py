"""The tables that one test needs: those of all tests together are hundreds, and take a second."""

import sys
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table

from fastapi_baseline.persistence import Base, Database


def tables_of(*modules: str) -> list[Table[Any]]:
    """Return the tables that modules define, those that they refer to first.

    A package stands for all of its modules that are imported.
    """
    found = {table for module in modules for table in _tables_in(module)}
    return [table for table in Base.metadata.sorted_tables if table in found]


def _tables_in(module: str) -> Iterator[Table[Any]]:
    for mapper in Base.registry.mappers:
        if f"{mapper.class_.__module__}.".startswith(f"{module}."):
            yield from (table for table in mapper.tables if isinstance(table, Table))
    yield from (value for value in vars(sys.modules[module]).values() if isinstance(value, Table))


async def create_tables(database: Database, *modules: str) -> None:
    """Create the tables that modules define, in an empty database."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all, tables=tables_of(*modules))
