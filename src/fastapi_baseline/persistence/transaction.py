"""The transaction of a request, as a parameter of its route.

It begins with its first statement and is committed when the route has returned, before the
response is sent: what a client is told is stored. If the route raises, it is rolled back; if the
commit fails, the client gets that error instead.

A body that is streamed is made after the transaction has ended: it needs one of its own, from
`Database.read_transaction()`.
"""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from fastapi_baseline.persistence.database import Database


async def _begin(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
    async with Database.of(connection).transaction() as session:
        yield session


async def _begin_reading(connection: HTTPConnection) -> AsyncGenerator[AsyncSession]:
    async with Database.of(connection).read_transaction() as session:
        yield session


# The scope matters: by default a dependency is left only after the response has been sent, and a
# commit that fails would follow a 201.
Transaction = Annotated[AsyncSession, Depends(_begin, scope="function")]
"""A transaction that reads and writes. On SQLite it waits for other writers from its first
statement on, so a route that only reads takes a `ReadTransaction`."""

ReadTransaction = Annotated[AsyncSession, Depends(_begin_reading, scope="function")]
"""A transaction that only reads: it waits for no writer, and a write in it is an error."""
