"""How long somebody who does not answer is left alone."""

from fastapi_baseline.clock import Clock

_MANY = 16


class Pauses:
    """Pauses after failures, each twice as long as the one before, up to the longest."""

    def __init__(
        self, clock: Clock, *, first_s: float = 1.0, longest_s: float, tolerated: int = 0
    ) -> None:
        """Begin with a pause of `first_s` after more failures in a row than are `tolerated`."""
        self._clock = clock
        self._first_s = first_s
        self._longest_s = longest_s
        self._tolerated = tolerated
        self.failures = 0
        self.failed_at = -1.0
        self.until = 0.0

    def fail(self) -> None:
        """Note a failure."""
        self.failed_at = self._clock.monotonic()
        excess = self.failures - self._tolerated
        if excess >= 0:
            self.until = self.failed_at + min(self._first_s * 2.0**excess, self._longest_s)
        self.failures = min(self.failures + 1, self._tolerated + _MANY)

    def succeed(self) -> None:
        """Note that somebody answers again."""
        self.failures = 0
        self.until = 0.0
