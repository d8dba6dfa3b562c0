"""Where the time comes from.

Whatever needs the time takes a `Clock`, so that a test can move it instead of waiting.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back; for durations."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC."""
        return datetime.now(UTC)  # noqa: TID251 -- the one place that asks the machine

    monotonic = staticmethod(time.monotonic)
    """Return seconds from an arbitrary start, never going back; for durations."""
    # The function itself, since each request asks several times.
