"""Sending the last spans before the process ends, if that takes not too long."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Protocol

from fastapi_baseline.lifecycle import StatelessLifespan

logger = logging.getLogger(__name__)

FLUSH_BUDGET = timedelta(seconds=2)


class Flushable(Protocol):
    """What holds spans back until there are enough of them: a provider of OpenTelemetry's SDK."""

    def force_flush(self, timeout_millis: int = ...) -> bool:
        """Send all of them, and return whether that worked."""
        ...


async def flush(provider: Flushable, *, budget: timedelta = FLUSH_BUDGET) -> bool:
    """Send the spans that are held back, and return whether that was done within `budget`.

    The SDK knows no limit of its own: with a collector that does not answer, it would hold up the
    end of the process for a minute. Its thread is left behind, and ends with the process.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def settle(*, is_sent: bool) -> None:
        if not done.done():
            done.set_result(is_sent)

    def send() -> None:
        is_sent = False
        try:
            is_sent = provider.force_flush(int(budget.total_seconds() * 1000))
        except Exception:
            logger.exception("Traces could not be sent.")
        with suppress(RuntimeError):  # The loop has gone on without it, and is closed.
            loop.call_soon_threadsafe(lambda: settle(is_sent=is_sent))

    threading.Thread(target=send, name="trace-flush", daemon=True).start()
    try:
        async with asyncio.timeout(budget.total_seconds()):
            return await done
    except TimeoutError:
        return False


def make_tracing_lifespan(
    provider: Flushable, *, budget: timedelta = FLUSH_BUDGET
) -> StatelessLifespan:
    """Return a lifespan that sends the spans that are held back when the application stops.

    Enter it before everything whose end should still be seen in traces. The provider can be used
    again afterwards, as by an application that is started twice.
    """

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncGenerator[None]:
        del app
        try:
            yield
        finally:
            if not await flush(provider, budget=budget):
                logger.warning("The last traces were not sent within %s s.", budget.total_seconds())

    return lifespan
