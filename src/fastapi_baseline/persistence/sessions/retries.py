"""Doing a transaction again when it has collided with another one."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from fastapi_baseline.persistence.errors import SerializationFailureError

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before a retry: any time up to a limit that doubles with each.

    So those that have collided do not meet again. `random` gives numbers from 0 to 1, and `sleep`
    waits for seconds.
    """

    first: timedelta = timedelta(milliseconds=20)
    longest: timedelta = timedelta(seconds=1)
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def wait(self, retry: int) -> None:
        """Wait before a retry; the first is number 0."""
        doubled = self.first.total_seconds() * 2.0 ** min(retry, 64)
        await self.sleep(min(doubled, self.longest.total_seconds()) * self.random())


BACKOFF = Backoff()
"""At first up to 20 ms, and never more than a second."""


async def retrying(
    attempt: Callable[[], Awaitable[_T]], *, retries: int, backoff: Backoff = BACKOFF
) -> _T:
    """Return what `attempt` returns; after a collision, call it again, up to `retries` times.

    Raises:
        SerializationFailureError: If the last one collided too.
        ValueError: If `retries` is negative.
    """
    if retries < 0:
        raise ValueError(f"{retries} retries are not possible.")
    for retry in range(retries):
        try:
            return await attempt()
        except SerializationFailureError as error:
            _LOG.info("Retry %d of %d: %s", retry + 1, retries, error.__cause__ or error)
            await backoff.wait(retry)
    return await attempt()
