"""Keys in the memory of this process: for tests, development, and services of one process."""

from dataclasses import dataclass
from datetime import timedelta

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.idempotency.errors import IdempotencyUnavailableError
from fastapi_baseline.idempotency.store import Record, StoredResponse

MAX_BYTES = 64 * 1024 * 1024
"""Of all bodies together."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    fingerprint: str
    expires_at: float
    token: str | None
    response: StoredResponse | None = None

    @property
    def size(self) -> int:
        return len(self.response.body or b"") if self.response else 0


class MemoryIdempotencyStore:
    """An `IdempotencyStore` that other processes do not see, and that ends with this one.

    When it is full, it forgets the oldest responses, and never a request that is being carried
    out: if all of them are, further ones are refused.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = MAX_BYTES,
        clock: Clock | None = None,
    ) -> None:
        """Remember at most `max_entries` keys, whose bodies have at most `max_bytes` together."""
        self._clock = clock or SystemClock()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        """Return how many keys are held, some of which may have expired."""
        return len(self._entries)

    async def claim(
        self, key: str, *, token: str, fingerprint: str, lock_timeout: timedelta
    ) -> Record | None:
        """Give the key to the holder of `token`, or return what is known of it.

        Raises:
            IdempotencyUnavailableError: If as many requests as fit are being carried out.
        """
        entry = self._find(key)
        if entry is not None:
            if entry.token == token:
                return None
            return Record(fingerprint=entry.fingerprint, response=entry.response)
        self._make_room()
        self._entries[key] = _Entry(
            fingerprint=fingerprint, expires_at=self._after(lock_timeout), token=token
        )
        return None

    async def complete(
        self, key: str, *, token: str, response: StoredResponse, lifetime: timedelta
    ) -> bool:
        """Remember the response, and return whether the key was still the caller's."""
        entry = self._find(key)
        if entry is None or entry.token != token:
            return False
        # It goes to the end again, so that those at the beginning are the first to expire.
        self._entries[key] = self._entries.pop(key)
        entry.token = None
        entry.response = response
        entry.expires_at = self._after(lifetime)
        self._bytes += entry.size
        self._shrink()
        return True

    async def release(self, key: str, *, token: str) -> None:
        """Forget the key, if it is the caller's and has no response."""
        entry = self._find(key)
        if entry is not None and entry.token == token:
            self._drop(key)

    def _after(self, duration: timedelta) -> float:
        return self._clock.monotonic() + duration.total_seconds()

    def _find(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires_at <= self._clock.monotonic():
            self._drop(key)
            return None
        return entry

    def _make_room(self) -> None:
        if len(self._entries) < self._max_entries:
            return
        now = self._clock.monotonic()
        for key, entry in self._entries.items():
            if entry.response is not None or entry.expires_at <= now:
                self._drop(key)
                return
        raise IdempotencyUnavailableError(retry_after=timedelta(seconds=1))

    def _shrink(self) -> None:
        while self._bytes > self._max_bytes:
            self._drop(next(key for key, entry in self._entries.items() if entry.size))

    def _drop(self, key: str) -> None:
        self._bytes -= self._entries.pop(key).size
