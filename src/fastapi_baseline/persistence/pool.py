"""A pool that closes a connection whose opening was interrupted."""

from sqlalchemy import AsyncAdaptedQueuePool
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.pool.base import _ConnectionRecord  # pyright: ignore[reportPrivateUsage]


class CarefulPool(AsyncAdaptedQueuePool):
    """A queue of connections that loses none when a request is cancelled.

    A new connection is set up in several steps: codecs, what the server can do, pragmas. Cancelled
    between two of them, the pool's own way forgets it open, in a transaction even; a connection
    that is replaced is closed. So here all of them are opened as if they were replaced.
    """

    def _create_connection(self) -> ConnectionPoolEntry:
        return _ConnectionRecord(self, connect=False)
