"""A pool in which nobody waits for a connection that will not come."""

from typing import Any, Literal

from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util.queue import AsyncAdaptedQueue


class _WokenError(Exception):
    """There is no connection in the queue, and there is room for a new one."""


class _WakingQueue(AsyncAdaptedQueue[Any]):
    """A queue whose waiters can be woken without giving them anything."""

    _waiting = 0

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 -- the library's signature
        self._waiting += 1
        try:
            found = super().get(block, timeout)
        finally:
            self._waiting -= 1
        if found is None:
            raise _WokenError
        return found

    def wake_one(self) -> None:
        if self._waiting:
            self.put_nowait(None)


class PromptPool(AsyncAdaptedQueuePool):
    """A pool that tells those who wait when there is room for another connection.

    SQLAlchemy's lets them wait for one that is given back, even if the task that was opening it was
    cancelled or could not connect: with a single connection, until `pool_timeout` is over.
    """

    _queue_class = _WakingQueue

    def _do_get(self) -> ConnectionPoolEntry:
        while True:
            try:
                return super()._do_get()
            except _WokenError:
                continue

    def _dec_overflow(self) -> Literal[True]:
        super()._dec_overflow()
        if isinstance(self._pool, _WakingQueue):
            self._pool.wake_one()
        return True
