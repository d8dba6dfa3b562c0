"""Identifiers of keys that are not there, and when they may be looked for."""

from collections import OrderedDict
from datetime import timedelta

MAX_REMEMBERED = 1000
"""How many identifiers are remembered that were looked for in vain."""


class UnknownKeys:
    """Lets one look for an unknown identifier happen in a while, whoever made it up.

    One that was looked for in vain does not take the next look away from another, which may be there.
    It is not remembered for longer than that: it may be the identifier of a key to come.
    """

    def __init__(self, cooldown: timedelta) -> None:
        """Let a look happen once in `cooldown`."""
        self._cooldown_s = cooldown.total_seconds()
        self._missing: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.until = 0.0
        """When the next look may be, in monotonic seconds."""

    def take_look(self, kid: str, algorithm: str, *, now: float) -> bool:
        """Return whether to look for an identifier; if so, nobody else may for a while."""
        if now < self.until or now < self._missing.get((kid, algorithm), 0.0):
            return False
        self.until = now + self._cooldown_s
        return True

    def note(self, kid: str, algorithm: str, *, now: float) -> None:
        """Remember an identifier that was looked for in vain."""
        name = (kid, algorithm)
        self.until = max(self.until, now + self._cooldown_s)
        self._missing[name] = now + 2 * self._cooldown_s
        self._missing.move_to_end(name)
        if len(self._missing) > MAX_REMEMBERED:
            self._missing.popitem(last=False)
