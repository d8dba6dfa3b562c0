"""The transactions of a database."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from fastapi_baseline.persistence.sessions.changes import Listener
from fastapi_baseline.persistence.sessions.retries import BACKOFF, Backoff, retrying
from fastapi_baseline.persistence.sessions.session import ReadSession, WriteSession
from fastapi_baseline.persistence.sessions.session_factory import Isolation, SessionFactory

_T = TypeVar("_T")


class Transacting:
    """What begins transactions; a `Database` does."""

    _sessions: SessionFactory

    def transaction(
        self, *, isolation: Isolation | None = None
    ) -> AbstractAsyncContextManager[WriteSession]:
        """Return a session in a transaction that is committed at the end of the block.

        On SQLite it holds the lock on the database from its first statement on, so that all are
        serializable; `isolation` is for PostgreSQL, which has "read committed" by default.

        Raises:
            TransactionAbortedError: At the end, if a statement failed and its error was caught
                outside of a savepoint.
        """
        return self._sessions.writing(isolation)

    def read_transaction(
        self, *, isolation: Isolation | None = None
    ) -> AbstractAsyncContextManager[ReadSession]:
        """Return a session in a transaction that only reads, and waits for no writer.

        It reads from the replica, if there is one. With "repeatable read" all of it sees the same
        moment, as it always does on SQLite.

        Raises:
            ReadOnlyTransactionError: If something is written.
        """
        return self._sessions.reading(isolation)

    async def run_in_transaction(
        self,
        work: Callable[[WriteSession], Awaitable[_T]],
        *,
        retries: int = 3,
        isolation: Isolation | None = None,
        backoff: Backoff = BACKOFF,
    ) -> _T:
        """Return what `work` returns in a transaction; do it again if it collides with another.

        Each attempt has a transaction of its own, so `work` must begin anew and keep nothing of
        the last one. On SQLite nothing collides: those that write take turns.

        Raises:
            SerializationFailureError: If the last attempt collided too.
        """

        async def attempt() -> _T:
            async with self.transaction(isolation=isolation) as session:
                return await work(session)

        return await retrying(attempt, retries=retries, backoff=backoff)

    def on_change(self, listener: Listener) -> None:
        """Call `listener`, and await it, with the names of what a transaction has changed.

        That is after its commit, and before a response is sent: `patients`, `patients:5` or
        `patients:*`, of models that have a `__cache_tag__`. What the database changes by itself is
        not known, such as rows that go with others, nor what is written as text, or on a connection.
        """
        self._sessions.add_listener(listener)

    def rolled_back(self) -> AbstractAsyncContextManager[WriteSession]:
        """Undo at the end of the block all that is written in it, even what is committed: for tests.

        All transactions of this database are savepoints of one meanwhile, and use its connection
        in turns. The session is in it too, and may be committed; its hooks are called then.
        """
        return self._sessions.rolled_back()
