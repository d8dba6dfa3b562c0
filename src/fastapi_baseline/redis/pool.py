"""A pool that hands out connections in turn, and never loses one.

Those of the library lose a connection for good if whoever gives it back is cancelled meanwhile, and
open one for everybody who asks at the same moment.
"""

import asyncio
from collections import deque
from contextvars import Context
from datetime import timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.redis.connections import PromptConnection, make_prompt
from fastapi_baseline.redis.deadlines import DeadlineQueue

with optional("redis", extra="redis"):
    from redis.asyncio import Connection, ConnectionPool
    from redis.asyncio.connection import AbstractConnection
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError

# Connections that are opened at the same time: some, and one for so many who wait. A cold start is
# not spent on fifty handshakes.
_OPENED_AT_ONCE = 2
_WAITING_FOR_ONE = 4


class PromptConnectionPool(ConnectionPool):
    """Connections of a client, each for one command at a time; belongs to one event loop.

    Who finds none free waits in turn for one, whether that is given back or opened meanwhile, and
    at most `timeout` seconds. A connection is opened off their path, so that giving up does not
    waste it. `socket_timeout` is the time for a reply.
    """

    def __init__(
        self,
        *,
        connection_class: type[AbstractConnection] = Connection,
        max_connections: int = 50,
        timeout: float = 0.5,
        socket_timeout: float = 0.5,
        **connection_kwargs: Any,
    ) -> None:
        """Take what `ConnectionPool.from_url` finds in a URL; see there."""
        super().__init__(  # pyright: ignore[reportUnknownMemberType] -- untyped keywords
            connection_class=make_prompt(connection_class, timedelta(seconds=socket_timeout)),
            max_connections=max_connections,
            # The library's own limit on replies is off.
            socket_timeout=None,
            **connection_kwargs,
        )
        self._queue = _Queue()
        self._openings: set[asyncio.Task[None]] = set()
        self._turns = DeadlineQueue(timedelta(seconds=timeout))

    async def get_connection(self, *args: Any, **options: Any) -> AbstractConnection:
        """Return a connection that is open, and nobody else's until it is released.

        Raises:
            redis.exceptions.ConnectionError: If there is none in time.
            redis.exceptions.RedisError: If none can be opened; it says why not.
        """
        del args, options
        if self._lock.locked():
            # Somebody moves the connections to another server.
            async with self._lock:
                pass
        idle = self._available_connections
        while idle:
            connection = idle.pop()
            if isinstance(connection, PromptConnection) and connection.is_fresh():
                self._in_use_connections.add(connection)
                return connection
            await connection.disconnect(nowait=True)
        try:
            return await self._turns.wait_for(self._wait_for_turn())
        except TimeoutError:
            raise RedisConnectionError("No connection was free in time.") from None

    def make_connection(self) -> AbstractConnection:
        """Return a connection that is not open yet."""
        connection = super().make_connection()
        # Otherwise each would read again from the disk which version the library has.
        driver_info = getattr(connection, "driver_info", None)
        if driver_info is not None:
            self.connection_kwargs["driver_info"] = driver_info
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back; one that cannot be used again is closed and forgotten."""
        self._in_use_connections.discard(connection)
        if not (isinstance(connection, PromptConnection) and connection.is_reusable()):
            await connection.disconnect(nowait=True)
        self._offer(connection)

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002 -- the library's signature
        """Close the connections, also those that are just being opened."""
        openings = list(self._openings)
        for opening in openings:
            opening.cancel()
        await asyncio.gather(*openings, return_exceptions=True)
        await super().disconnect(inuse_connections)
        if not inuse_connections:
            self._open_more()

    async def _wait_for_turn(self) -> AbstractConnection:
        turn = self._queue.enter()
        self._open_more()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # It came in the same moment.
                await self.release(turn.result())
            raise

    def _offer(self, connection: AbstractConnection) -> None:
        if not connection.is_connected:
            self._open_more()
        elif self._queue.serve(connection):
            self._in_use_connections.add(connection)
        else:
            self._available_connections.append(connection)

    def _open_more(self) -> None:
        waiting, opening = len(self._queue), len(self._openings)
        total = opening + len(self._available_connections) + len(self._in_use_connections)
        at_once = max(_OPENED_AT_ONCE, waiting // _WAITING_FOR_ONE)
        if opening >= min(waiting, at_once) or total >= self.max_connections:
            return
        # Held below. In a context of its own: it is not the business of whoever came first.
        task = asyncio.get_running_loop().create_task(self._open(), context=Context())
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(self) -> None:
        connection = self.make_connection()
        failure: Exception | None = None
        try:
            await connection.connect()
        except asyncio.CancelledError:
            await connection.disconnect(nowait=True)
            raise
        except Exception as error:  # noqa: BLE001 -- goes to those who wait
            failure = error
        self._openings -= {asyncio.current_task()}
        if failure is None:
            self._offer(connection)
            self._open_more()
        elif all(map(_is_subscriber, self._in_use_connections)):
            self._queue.disappoint(failure)
        # Else one of them is given back soon. At once to try again would help nobody.


class _Queue:
    """Those who wait for a connection, in the order they came."""

    def __init__(self) -> None:
        self._turns: deque[asyncio.Future[AbstractConnection]] = deque()

    def __len__(self) -> int:
        while self._turns and self._turns[0].done():
            self._turns.popleft()
        return len(self._turns)

    def enter(self) -> asyncio.Future[AbstractConnection]:
        turn: asyncio.Future[AbstractConnection] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        return turn

    def serve(self, connection: AbstractConnection) -> bool:
        """Give the connection to the first, and return whether there is one."""
        if not len(self):
            return False
        self._turns.popleft().set_result(connection)
        return True

    def disappoint(self, error: Exception) -> None:
        """Raise the error where they wait."""
        while len(self):
            self._turns.popleft().set_exception(_repeat(error))


def _repeat(error: Exception) -> RedisError:
    """Return an error like `error`, since each task that raises one adds to its traceback."""
    is_known = isinstance(error, RedisError)
    copy = type(error)(*error.args) if is_known else RedisConnectionError(str(error))
    copy.__cause__ = error
    return copy


def _is_subscriber(connection: AbstractConnection) -> bool:
    return isinstance(connection, PromptConnection) and connection.is_subscriber
