"""The keys that a process has looked up lately."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.clock import Clock

MAX_KEYS = 10_000
"""How many are remembered; the one that was used longest ago is forgotten first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """What was found out about a key that was good."""

    digest: str
    principal: Principal
    expires_at: datetime | None
    last_used_at: datetime | None


class KnownKeys:
    """Good keys by their identifiers, each for `max_age` after it was looked up.

    `version` grows with each revocation. What was looked up before one may be out of date after
    it, and is not remembered.
    """

    def __init__(self, *, max_age: timedelta, clock: Clock, max_keys: int = MAX_KEYS) -> None:
        """Believe what was found for `max_age`."""
        self._max_age_s = max_age.total_seconds()
        self._clock = clock
        self._max_keys = max_keys
        self._keys: OrderedDict[str, tuple[float, KnownKey]] = OrderedDict()
        self.version = 0

    def find(self, identifier: str) -> KnownKey | None:
        """Return what is known of a key, or `None`."""
        found = self._keys.get(identifier)
        if found is None:
            return None
        until, known = found
        if until <= self._clock.monotonic():
            del self._keys[identifier]
            return None
        self._keys.move_to_end(identifier)
        return known

    def remember(self, identifier: str, known: KnownKey, *, version: int) -> None:
        """Remember a key that was looked up when this was the `version`."""
        if version != self.version or not self._max_age_s:
            return
        self._keys[identifier] = (self._clock.monotonic() + self._max_age_s, known)
        self._keys.move_to_end(identifier)
        if len(self._keys) > self._max_keys:
            self._keys.popitem(last=False)

    def forget_all(self) -> None:
        """Look all keys up again: some were revoked."""
        self.version += 1
        self._keys.clear()
