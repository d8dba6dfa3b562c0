import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.store import Claim, Invalidation
from fastapi_baseline.errors import UnavailableError


class FakeStore:
    """A `CacheStore` that stops where a test wants it to."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.locks: dict[str, str] = {}
        self.calls: list[str] = []
        self.is_away = False
        self.refuses = False
        self.gates: dict[str, asyncio.Event] = {}

    def hold(self, call: str) -> asyncio.Event:
        """Have calls wait, after they have done what they do, until the event is set."""
        self.gates[call] = asyncio.Event()
        return self.gates[call]

    async def _leave(self, call: str) -> None:
        self.calls.append(call)
        if call in self.gates:
            await self.gates[call].wait()
        if self.is_away:
            raise UnavailableError

    async def find(self, key: str, *, tags: Sequence[str] = ()) -> Entry | None:
        entry = self.entries.get(key)
        await self._leave("find")
        return entry

    async def claim(
        self, key: str, *, token: str, tags: Sequence[str], lock_timeout_s: float
    ) -> Claim:
        is_granted = self.locks.setdefault(key, token) == token
        claim = Claim(
            is_granted=is_granted, entry=self.entries.get(key), started_at=b"", versions={}
        )
        await self._leave("claim")
        return claim

    async def put(self, key: str, entry: Entry, *, token: str, claim: Claim, ttl_s: float) -> bool:
        await self._leave("put")
        self.locks.pop(key, None)
        if not self.refuses:
            self.entries[key] = entry
        return not self.refuses

    async def release(self, key: str, *, token: str) -> None:
        await self._leave("release")
        if self.locks.get(key) == token:
            del self.locks[key]

    async def invalidate(self, invalidation: Invalidation) -> int:
        await self._leave("invalidate")
        self.entries.clear()
        return 0

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[AsyncGenerator[Invalidation | None]]:
        async def messages() -> AsyncGenerator[Invalidation | None]:
            await asyncio.Event().wait()
            yield None

        yield messages()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()
