"""The transaction of a request, as a parameter of its route.

It begins with its first statement and is committed when the route has returned, before the
response is sent: what a client is told is stored. If the route raises, it is rolled back; if the
commit fails, the client gets that error instead.

A body that is streamed is made after that, whether the route returns a `StreamingResponse` or
yields its items: only a `StreamTransaction` is still open then.
"""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from fastapi_baseline.persistence.database import Database
from fastapi_baseline.persistence.sessions.session import ReadSession, WriteSession


async def _begin(connection: HTTPConnection) -> AsyncGenerator[WriteSession]:
    async with Database.of(connection).transaction() as session:
        yield session


async def _begin_reading(connection: HTTPConnection) -> AsyncGenerator[ReadSession]:
    async with Database.of(connection).read_transaction() as session:
        yield session


# The scope matters: by default a dependency is left only after the response has been sent, and a
# commit that fails would follow a 201.
Transaction = Annotated[WriteSession, Depends(_begin, scope="function")]
"""A transaction that reads and writes. On SQLite it waits for other writers from its first
statement on, so a route that only reads takes a `ReadTransaction`."""

ReadTransaction = Annotated[ReadSession, Depends(_begin_reading, scope="function")]
"""A transaction that only reads: it waits for no writer, and a write in it is an error. It reads
from the replica, if there is one."""

StreamTransaction = Annotated[ReadSession, Depends(_begin_reading, scope="request")]
"""A `ReadTransaction` for a body that is streamed: it ends when the body is sent, or its client has
gone. It keeps a connection for as long as that takes."""
