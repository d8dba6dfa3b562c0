"""A clock that moves only when it is told to."""

from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """A `Clock` for tests: time stands still until `advance` is called."""

    def __init__(self, start: datetime = _START) -> None:
        if start.tzinfo is None:
            raise ValueError("A clock starts at an aware time: datetime(..., tzinfo=UTC)")
        self._now = start.astimezone(UTC)
        self._elapsed = timedelta(0)

    def now(self) -> datetime:
        """Return the current time, aware and in UTC."""
        return self._now + self._elapsed

    def monotonic(self) -> float:
        """Return the seconds by which the clock has been moved."""
        return self._elapsed.total_seconds()

    def advance(self, by: timedelta) -> None:
        """Move the time forward.

        Raises:
            ValueError: If `by` is negative; no clock that a service relies on goes back.
        """
        if by < timedelta(0):
            raise ValueError(f"A clock does not go back: {by}")
        self._elapsed += by
