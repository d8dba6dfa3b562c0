"""When keys were last used: noted beside the requests, which never wait for it."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context
from datetime import datetime, timedelta

from sqlalchemy import or_, update

from fastapi_baseline.auth.api_keys.models import ApiKey
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database

logger = logging.getLogger("fastapi_baseline.auth")

PRECISION = timedelta(minutes=1)
"""How exactly the time is noted: a key that is used all the time is written once a minute."""
MAX_NOTES = 10_000
"""How many keys are waited for at most, and remembered as noted."""


class KeyUsage:
    """Notes when keys were used, at most once a minute for each, also among processes.

    What cannot be written is logged and given up: the next use after a minute is noted again.
    """

    def __init__(self, database: Database, *, clock: Clock, max_notes: int = MAX_NOTES) -> None:
        """Write to `database`, while the lifespan runs."""
        self._max_notes = max_notes
        self._database = database
        self._clock = clock
        self._noted: OrderedDict[str, datetime] = OrderedDict()
        self._waiting: dict[str, datetime] = {}
        self._wanted: asyncio.Event | None = None
        self._is_ending = False

    def note(self, identifier: str, *, last: datetime | None) -> None:
        """Note that a key was used now; `last` is what the database says."""
        now = self._clock.now()
        before = self._noted.get(identifier, last)
        if before is not None and now - before < PRECISION:
            return
        self._noted[identifier] = now
        self._noted.move_to_end(identifier)
        if len(self._noted) > self._max_notes:
            self._noted.popitem(last=False)
        if len(self._waiting) < self._max_notes:
            self._waiting[identifier] = now
            if self._wanted is not None:
                self._wanted.set()

    async def write(self) -> None:
        """Write what was noted; it does not fail."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            # They were noted within moments of each other, since nothing waits here for long.
            await self._write(sorted(waiting), max(waiting.values()))
        except Exception:
            logger.warning("The last use of API keys could not be noted.", exc_info=True)

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Write beside the requests, and what is left at the end."""
        del app
        # One for each start: it belongs to the event loop that it was first waited for in.
        wanted = self._wanted = asyncio.Event()
        # Held here, awaited below. It belongs to no request, and acts for nobody.
        writer = asyncio.get_running_loop().create_task(
            self._keep_writing(wanted), context=Context()
        )
        try:
            yield
        finally:
            self._is_ending = True
            wanted.set()
            # Not cancelled: what it is about to write would be lost. Whoever waits has a limit.
            await writer
            self._wanted, self._is_ending = None, False

    async def _keep_writing(self, wanted: asyncio.Event) -> None:
        while not self._is_ending:
            await wanted.wait()
            wanted.clear()
            await self.write()

    async def _write(self, keys: list[str], used_at: datetime) -> None:
        is_old = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= used_at - PRECISION)
        statement = update(ApiKey).where(ApiKey.id.in_(keys), is_old).values(last_used_at=used_at)
        async with self._database.transaction() as session:
            await session.execute(statement)
