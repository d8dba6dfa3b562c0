"""Letters on their way: nobody's answer waits for a mail server, or tells that one was asked."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from datetime import timedelta

from fastapi_baseline.auth.users.errors import MailNotSentError
from fastapi_baseline.auth.users.mail import Letter, MailSender

logger = logging.getLogger("fastapi_baseline.auth.mail")

_MAX_LETTERS = 1000
_WORKERS = 4
_PAUSES = (timedelta(seconds=2), timedelta(seconds=10))
_PATIENCE = timedelta(seconds=5)


class Outbox:
    """Sends letters in the background while its `lifespan` runs, and at once otherwise.

    It never fails for those who post: an error would tell that an address is known. Letters are
    kept in memory, so a process that dies loses those that wait; whoever misses one asks again.
    """

    def __init__(
        self,
        sender: MailSender,
        *,
        max_letters: int = _MAX_LETTERS,
        patience: timedelta = _PATIENCE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Send with `sender`; keep `max_letters` at most, and wait for them at the end."""
        self._sender = sender
        self._max_letters = max_letters
        self._patience_s = patience.total_seconds()
        self._sleep = sleep
        self._queue: asyncio.Queue[Letter] | None = None
        self._pending = 0

    async def post(self, letter: Letter) -> None:
        """Take a letter; one that finds no room is lost, and logged."""
        if self._queue is None:
            await self._send(letter)
            return
        try:
            self._queue.put_nowait(letter)
            self._pending += 1
        except asyncio.QueueFull:
            logger.error("A letter is lost: too many wait for the mail server.")  # noqa: TRY400 -- the traceback says nothing

    async def drain(self) -> None:
        """Return when no letter waits any more."""
        if self._queue is not None:
            await self._queue.join()

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Send letters in this block; at its end, those that are left have a few seconds."""
        del app
        queue = self._queue = asyncio.Queue[Letter](self._max_letters)
        loop = asyncio.get_running_loop()
        # Held here, cancelled below. A TaskGroup would wrap errors of the lifespans inside.
        workers = [
            loop.create_task(self._send_all(queue), context=Context()) for _ in range(_WORKERS)
        ]
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(self._patience_s):
                    await queue.join()
            except TimeoutError:
                logger.error("%d letters are lost at the end.", self._pending)  # noqa: TRY400 -- the traceback says nothing
            self._queue = None
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _send_all(self, queue: asyncio.Queue[Letter]) -> None:
        while True:
            letter = await queue.get()
            try:
                await self._send_patiently(letter)
            finally:
                self._pending -= 1
                queue.task_done()

    async def _send_patiently(self, letter: Letter) -> None:
        for pause in _PAUSES:
            if await self._is_sent(letter):
                return
            await self._sleep(pause.total_seconds())
        await self._send(letter)

    async def _send(self, letter: Letter) -> None:
        if not await self._is_sent(letter):
            logger.error("A letter is lost: the mail server does not take it.")

    async def _is_sent(self, letter: Letter) -> bool:
        try:
            await self._sender.send(letter)
        except MailNotSentError as error:
            logger.warning("A letter was not sent: %s.", type(error.__cause__ or error).__name__)
            return False
        except Exception as error:  # noqa: BLE001 -- a sender of the service may raise anything
            logger.error("A letter was not sent: %s.", type(error).__name__)  # noqa: TRY400 -- a message may have the link in it
            return False
        return True
