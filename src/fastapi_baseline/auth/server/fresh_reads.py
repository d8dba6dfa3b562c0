"""Reading what may have been written a moment ago."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi_baseline.persistence import Database


def read_fresh(database: Database) -> AbstractAsyncContextManager[Any]:
    """Open a transaction that sees all that is committed, which a replica may not know yet.

    On SQLite there is none, and whoever opens one that writes waits for all others that do.
    """
    if database.engine.dialect.name == "sqlite":
        return database.read_transaction()
    return database.transaction()
