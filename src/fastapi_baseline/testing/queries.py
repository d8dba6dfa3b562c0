"""How many statements a test sends to its databases."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.persistence import Database

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import Connection, Engine, event

# What begins and ends transactions; and what only a transaction that is rolled back needs.
_NOT_COUNTED = (
    "BEGIN",
    "SAVEPOINT ",
    "RELEASE SAVEPOINT ",
    "ROLLBACK TO SAVEPOINT ",
    "SET CONSTRAINTS ALL IMMEDIATE",
    "PRAGMA foreign_key_check",
    "PRAGMA query_only",
)


@contextmanager
def max_queries(limit: int, *, database: Database | None = None) -> Generator[list[str]]:
    """Give a list that the statements sent inside of the block are added to; allow `limit` of them.

    Those of all databases of the process count, or only those of `database`. What begins and ends
    transactions and savepoints does not. Values are not shown: they may be personal.

    Raises:
        AssertionError: At the end of the block, if it sent more; the message has all of them.
    """
    __tracebackhide__ = True  # pytest shows the test instead.
    sent: list[str] = []

    def note(connection: Connection, cursor: object, statement: str, *_: Any) -> None:
        del cursor
        if _is_of(connection, database) and not statement.startswith(_NOT_COUNTED):
            sent.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    if len(sent) > limit:
        raise AssertionError(_describe(sent, limit))


def _is_of(connection: Connection, database: Database | None) -> bool:
    if database is None:
        return True
    pools = (database.engine.pool, database.read_engine.pool)
    return any(connection.engine.pool is pool for pool in pools)


def _describe(sent: list[str], limit: int) -> str:
    lines = (f"{number:>4}. {statement}" for number, statement in enumerate(sent, start=1))
    return "\n".join((f"{len(sent)} statements were sent, and at most {limit} may be:", *lines))
