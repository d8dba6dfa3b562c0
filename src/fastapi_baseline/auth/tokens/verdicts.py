"""What was said of opaque tokens, for as long as it counts."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens.errors import Reason
from fastapi_baseline.clock import Clock

MAX_KEPT = 10_000
"""How many good tokens are remembered, and how many others."""
REFUSAL_MAX_AGE = timedelta(seconds=10)
"""How long it is remembered at most that a token is not good."""

Verdict = Principal | Reason
"""Whom a token is for, or why it is for nobody."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A verdict, until when it counts by the monotonic clock, and until when by that of the wall."""

    verdict: Verdict
    until: float
    expires_at: float | None


class Verdicts:
    """Verdicts by the digest of a token; made-up tokens push no good one out."""

    def __init__(self, max_age: timedelta, *, clock: Clock) -> None:
        """Keep each for `max_age` at most."""
        self._clock = clock
        self._max_age_s = max_age.total_seconds()
        self._good: OrderedDict[bytes, _Kept] = OrderedDict()
        self._refused: OrderedDict[bytes, _Kept] = OrderedDict()

    def find(self, digest: bytes) -> Verdict | None:
        """Return what was said, if it still counts."""
        kept = self._good.get(digest) or self._refused.get(digest)
        if kept is None or self._clock.monotonic() >= kept.until:
            return None
        if kept.expires_at is not None and self._clock.now().timestamp() >= kept.expires_at:
            return None
        return kept.verdict

    def keep(self, digest: bytes, verdict: Verdict, *, expires_at: float | None) -> None:
        """Remember what was said; of a token that ends, not beyond its end."""
        is_good = isinstance(verdict, Principal)
        kept, other = (self._good, self._refused) if is_good else (self._refused, self._good)
        other.pop(digest, None)
        longest_s = self._max_age_s
        if not is_good:
            longest_s = min(longest_s, REFUSAL_MAX_AGE.total_seconds())
        kept[digest] = _Kept(verdict, self._clock.monotonic() + longest_s, expires_at)
        kept.move_to_end(digest)
        if len(kept) > MAX_KEPT:
            kept.popitem(last=False)
