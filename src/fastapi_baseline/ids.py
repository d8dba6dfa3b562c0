"""Identifiers that sort by the time they were made: UUID version 7 (RFC 9562, section 5.7)."""

import secrets
import threading
from collections.abc import Callable
from uuid import UUID

from fastapi_baseline.clock import Clock, SystemClock

_COUNTER_BITS = 42
_TAIL_BITS = 32
_COUNTER_LIMIT = 1 << _COUNTER_BITS
_VERSION = 7 << 76
_VARIANT = 0b10 << 62


class UUID7Generator:
    """Makes version 7 UUIDs, each greater than the one before it.

    The 74 bits behind the timestamp are a 42-bit counter, seeded at random each millisecond with
    its top bit clear, and 32 random bits (RFC 9562, section 6.2, method 1). The order holds for one
    generator, also between threads and when the clock is set back; between processes it holds to
    the millisecond.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        randbits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        """Take the time from `clock` and the random bits from `randbits`."""
        self._clock = clock or SystemClock()
        self._randbits = randbits
        self._lock = threading.Lock()
        self._last_ms = -1
        self._counter = 0

    def __call__(self) -> UUID:
        """Return the next identifier."""
        with self._lock:
            now_ms = int(self._clock.now().timestamp() * 1000)
            if now_ms > self._last_ms:
                self._last_ms = now_ms
                self._counter = self._randbits(_COUNTER_BITS - 1)
            else:
                self._counter += 1
                if self._counter == _COUNTER_LIMIT:
                    # The counter may not wrap within a millisecond; RFC 9562, section 6.2,
                    # lets the timestamp run ahead of the clock instead.
                    self._last_ms += 1
                    self._counter = self._randbits(_COUNTER_BITS - 1)
            timestamp, counter = self._last_ms, self._counter
        high, low = counter >> 30, counter & ((1 << 30) - 1)
        value = (timestamp << 80) | _VERSION | (high << 64) | _VARIANT
        return UUID(int=value | (low << _TAIL_BITS) | self._randbits(_TAIL_BITS))


uuid7 = UUID7Generator()
"""Return a new version 7 UUID; ordered within this process."""
