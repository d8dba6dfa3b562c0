"""Counters of windows: one number for a fixed window, two for a sliding one.

Times are microseconds from any start. The sliding counter divides, so it rounds as doubles do, in
the order in which the script for Redis does.
"""

import math
from typing import NamedTuple

from fastapi_baseline.rate_limiting.policies import QuotaPolicy


class FixedWindow(NamedTuple):
    """What was used until the window ends."""

    end: int
    used: int

    @classmethod
    def at(cls, state: object, policy: QuotaPolicy, now: int) -> "FixedWindow":
        """Return the window of this moment: what `state` holds, or one that starts now."""
        if isinstance(state, cls) and now < state.end:
            return state
        return cls(now + policy.window_us, 0)

    def add(self, cost: int) -> "FixedWindow":
        """Return the window after the cost, which is negative if something is given back."""
        return FixedWindow(self.end, max(0, self.used + cost))

    @property
    def is_used(self) -> bool:
        """Whether there is anything to remember."""
        return self.used > 0

    def get_remaining(self, policy: QuotaPolicy, _now: int) -> int:
        """Return how much may be used now."""
        return max(0, policy.quota - self.used)

    def get_reset(self, _policy: QuotaPolicy, now: int) -> int:
        """Return the time until everything is back."""
        return self.end - now if self.used else 0

    def get_wait(self, policy: QuotaPolicy, now: int, cost: int) -> int:
        """Return the time until the cost is granted: 0 if it is now."""
        if self.used + cost <= policy.quota:
            return 0
        return policy.window_us if cost > policy.quota else self.end - now

    def get_expiry(self, _policy: QuotaPolicy) -> int:
        """Return when the window means nothing any more."""
        return self.end


class SlidingWindow(NamedTuple):
    """What was used since the window started, and in the one before."""

    start: int
    before: int
    used: int

    @classmethod
    def at(cls, state: object, policy: QuotaPolicy, now: int) -> "SlidingWindow":
        """Return the window of this moment, with what `state` still says about it."""
        start = now - now % policy.window_us
        if isinstance(state, cls):
            if state.start == start:
                return state
            if state.start == start - policy.window_us:
                return cls(start, state.used, 0)
        return cls(start, 0, 0)

    def add(self, cost: int) -> "SlidingWindow":
        """Return the window after the cost, which is negative if something is given back."""
        used = self.used + cost
        before = max(0, self.before + min(0, used))
        return SlidingWindow(self.start, before, max(0, used))

    @property
    def is_used(self) -> bool:
        """Whether there is anything to remember."""
        return self.used > 0 or self.before > 0

    def get_remaining(self, policy: QuotaPolicy, now: int) -> int:
        """Return how much may be used now."""
        return max(0, math.floor(policy.quota - self._weigh(policy, now)))

    def get_reset(self, policy: QuotaPolicy, now: int) -> int:
        """Return the time until everything is back."""
        left = self.start + policy.window_us - now
        if self.used:
            return left + policy.window_us
        return left if self.before else 0

    def get_wait(self, policy: QuotaPolicy, now: int, cost: int) -> int:
        """Return the time until the cost is granted: 0 if it is now."""
        if self._weigh(policy, now) + cost <= policy.quota:
            return 0
        window, room = policy.window_us, policy.quota - cost
        if room < 0:
            return window
        left = self.start + window - now
        # One more, since the division may have rounded down.
        if self.used <= room:
            return left - math.floor(float(room - self.used) * window / self.before) + 1
        return left + window - math.floor(float(room) * window / self.used) + 1

    def get_expiry(self, policy: QuotaPolicy) -> int:
        """Return when the window means nothing any more."""
        return self.start + 2 * policy.window_us

    def _weigh(self, policy: QuotaPolicy, now: int) -> float:
        left = self.start + policy.window_us - now
        return float(self.before) * left / policy.window_us + self.used


WindowCounter = FixedWindow | SlidingWindow
