"""A connection that waits for replies for little, and knows whether it may be used again.

Those of the library wait with `asyncio.wait_for`, which before Python 3.12 costs a task for each
command and may lose a cancellation.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.redis.deadlines import DeadlineQueue

with optional("redis", extra="redis"):
    from redis.asyncio.connection import AbstractConnection
    from redis.exceptions import TimeoutError as RedisTimeoutError


class PromptConnection(AbstractConnection):
    """What `make_prompt` adds to a connection of the library."""

    replies: DeadlineQueue
    is_subscriber = False
    """Whether somebody keeps it, to hear what is published."""
    _is_reply_due = False

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002 -- the library's signature
    ) -> None:
        """Send commands, and open the connection before, if need be."""
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        sending = super().send_packed_command(command, check_health)
        try:
            await self.replies.wait_for(sending)
        except TimeoutError:
            raise RedisTimeoutError("Redis did not read in time.") from None
        self._is_reply_due = True

    async def read_response(
        self,
        disable_decoding: bool = False,  # noqa: FBT001, FBT002 -- the library's signature
        timeout: float | None = None,  # noqa: ASYNC109 -- likewise
        *,
        disconnect_on_error: bool = True,
        push_request: bool | None = False,
    ) -> Any:
        """Return a reply; a subscriber waits for one as long as it says itself."""
        reading: Any = super().read_response(  # pyright: ignore[reportUnknownVariableType] -- untyped
            disable_decoding,
            timeout,
            disconnect_on_error=disconnect_on_error,
            push_request=push_request,
        )
        # From here on the library closes the connection if the reply is not read to its end.
        self._is_reply_due = False
        if timeout is not None or push_request:
            self.is_subscriber = True
            return await reading
        try:
            return await self.replies.wait_for(reading)
        except TimeoutError:
            raise RedisTimeoutError("Redis did not reply in time.") from None

    async def disconnect(  # pyright: ignore[reportIncompatibleMethodOverride] -- versions differ
        self,
        nowait: bool = False,  # noqa: FBT001, FBT002 -- the library's signature
        **options: Any,
    ) -> None:
        """Close it; what Redis has not read yet is dropped if nobody waits for that."""
        if nowait and self._writer is not None:
            # Else it stays open, with all that is in its buffer, until a frozen Redis goes on.
            self._writer.transport.abort()
        await super().disconnect(nowait, **options)

    def is_fresh(self) -> bool:
        """Return whether it is open, and nothing has come that nobody asked for."""
        reader = self._reader
        if reader is None or not self.is_connected or reader.at_eof():
            return False
        # Nothing public says what has been received.
        return not getattr(reader, "_buffer", b"")

    def is_reusable(self) -> bool:
        """Return whether the next one who uses it would get replies to what they ask."""
        if self._is_reply_due or self.is_subscriber:
            return False
        should_reconnect: Any = getattr(self, "should_reconnect", None)
        return should_reconnect is None or not should_reconnect()


def make_prompt(
    connection_class: type[AbstractConnection], reply_timeout: timedelta
) -> type[AbstractConnection]:
    """Return a class of connections whose replies have to come within `reply_timeout`, together.

    Their own `socket_timeout` must be off.
    """
    bases = (PromptConnection, connection_class)
    return type(connection_class.__name__, bases, {"replies": DeadlineQueue(reply_timeout)})
