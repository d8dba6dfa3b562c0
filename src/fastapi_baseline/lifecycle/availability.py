"""Whether this process takes traffic, as its own code and its shutdown have it."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress


class Availability:
    """Whether this process takes traffic; readiness asks it.

    It is about one process: of several workers, each has its own. All of it may be called from any
    thread.
    """

    def __init__(self) -> None:
        """Take traffic."""
        # Asked once per request, so it is no property.
        self.is_draining = False
        """Whether the process is about to stop, and still answers what comes: only to be read."""
        self._reasons: dict[str, None] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def refusals(self) -> tuple[str, ...]:
        """Return why the code of the service wants no traffic; empty if it does."""
        return tuple(self._reasons)

    @property
    def takes_traffic(self) -> bool:
        """Return whether nothing speaks against new requests."""
        return not (self.is_draining or self._reasons)

    def refuse_traffic(self, reason: str) -> None:
        """Ask for no new requests, until `accept_traffic` is called with the same reason.

        Requests that come all the same are answered. Operators see the reason.
        """
        self._reasons[reason] = None

    def accept_traffic(self, reason: str) -> None:
        """Take `reason` back; other reasons stay."""
        self._reasons.pop(reason, None)

    @contextmanager
    def refusing_traffic(self, reason: str) -> Generator[None]:
        """Ask for no new requests while the block runs."""
        self.refuse_traffic(reason)
        try:
            yield
        finally:
            self.accept_traffic(reason)

    def begin_draining(self) -> None:
        """Say that the process is about to stop, and wake up who waits for it."""
        self.is_draining = True
        for future in tuple(self._waiting):
            # The loop of a future may have been closed with its server.
            with suppress(RuntimeError):
                future.get_loop().call_soon_threadsafe(_wake, future)

    def end_draining(self) -> None:
        """Say that the process goes on, or starts again."""
        self.is_draining = False

    async def wait_until_draining(self) -> None:
        """Return when the process is about to stop: what has no end by itself should end then.

        A stream of events or a connection that stays open waits for it beside its other work.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            if not self.is_draining:
                await future
        finally:
            self._waiting.discard(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
