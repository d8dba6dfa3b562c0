"""How a process comes by the keys: from the database, seldom, and once for all who wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, TypeAlias

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.server.held_signing_keys import HeldKeys
from fastapi_baseline.auth.server.signing_key_changes import NOTICED_WITHIN
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.auth.server.signing_key_storage import (
    SigningKey,
    find_active,
    read_keys,
    read_rows,
)
from fastapi_baseline.auth.tokens.flights import Flight
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database

logger = logging.getLogger("fastapi_baseline.auth.server.signing_keys")

UNKNOWN_KEY_PAUSE = timedelta(seconds=10)
"""How long a key that is not known is not looked for again."""
PATIENCE_S = 3.0
"""How many seconds a request waits for the database to answer with them."""

_RETRY_S = 5.0

MakeFirst: TypeAlias = Callable[[], Awaitable[Sequence[OAuthSigningKey]]]


class KeyReading:
    """Reads the keys into memory when that is due; if it fails, those stay that are there."""

    def __init__(
        self, database: Database, *, keys: KeyRing, clock: Clock, make_first: MakeFirst
    ) -> None:
        """Read from `database`; `make_first` makes a key if there is none that signs."""
        self._database = database
        self._keys = keys
        self._clock = clock
        self._make_first = make_first
        self._flight = Flight(self._read)
        self._due_at = float("-inf")
        self._looked_at = float("-inf")
        self.held = HeldKeys(clock)
        """What has been read."""

    async def read_if_due(self) -> None:
        """Read, unless what is known is believed still."""
        if self._clock.monotonic() >= self._due_at:
            await self.read()

    async def read_for_unknown(self) -> None:
        """Read because a key is not known, which another process may have made."""
        if self._clock.monotonic() - self._looked_at >= UNKNOWN_KEY_PAUSE.total_seconds():
            await self.read()

    async def read(self) -> None:
        """Read now; many who want to do so once."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._flight.wait()
        except TimeoutError:
            # Nobody waits again soon for what others have waited for in vain.
            self._due_at = self._clock.monotonic() + _RETRY_S
            logger.warning("The database does not answer with the keys that tokens are signed with")

    async def list(self) -> Sequence[SigningKey]:
        """Return the keys that are published, the one that signs last first, from the database."""
        async with self._reading() as session:
            rows = await read_rows(session)
        return read_keys(rows, ring=self._keys, now=self._clock.now())

    async def close(self) -> None:
        """Give up what is under way."""
        await self._flight.close()

    async def _read(self) -> None:
        began_at = self._looked_at = self._clock.monotonic()
        try:
            async with self._reading() as session:
                rows: Sequence[OAuthSigningKey] = await read_rows(session)
            if find_active(rows, self._clock.now()) is None:
                rows = await self._make_first()
            self.held.take(read_keys(rows, ring=self._keys, now=self._clock.now()))
        except Exception:  # as a boundary: nobody waits for this alone, and it is tried again
            self._due_at = began_at + _RETRY_S
            logger.exception("The keys that tokens are signed with cannot be read")
        else:
            self._due_at = began_at + NOTICED_WITHIN.total_seconds()

    def _reading(self) -> AbstractAsyncContextManager[Any]:
        # Not from a replica, which may not know yet which key another process has made. SQLite has
        # none, and whoever writes there would wait for others.
        if self._database.engine.dialect.name == "sqlite":
            return self._database.read_transaction()
        return self._database.transaction()
