"""Refusals that are remembered, so that who is over a limit costs the shared store nothing."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from fastapi_baseline.clock import Clock
from fastapi_baseline.rate_limiting.decisions import Decision, Demand, PolicyOutcome

LONGEST = timedelta(seconds=5)
"""For how long a refusal is remembered at most: others may give back, or forget, meanwhile."""

_ZERO = timedelta(0)


class _Refusal(NamedTuple):
    decision: Decision
    at: float
    until: float


class RefusalCache:
    """Decisions of the shared store that refused a request, until it would decide otherwise.

    They are whole decisions about the same demands, so that the caller learns as much as before.
    """

    def __init__(self, *, clock: Clock, max_entries: int) -> None:
        """Remember at most `max_entries`, and forget the oldest ones first."""
        self._monotonic = clock.monotonic
        self._max_entries = max_entries
        self._refusals: OrderedDict[tuple[Demand, ...], _Refusal] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are held, of which some may be over."""
        return len(self._refusals)

    def put(self, demands: Sequence[Demand], decision: Decision) -> None:
        """Remember a refusal."""
        now = self._monotonic()
        duration = min(decision.retry_after, LONGEST).total_seconds()
        self._refusals[tuple(demands)] = _Refusal(decision, now, now + duration)
        if len(self._refusals) > self._max_entries:
            self._refusals.popitem(last=False)

    def find(self, demands: Sequence[Demand]) -> Decision | None:
        """Return what would be refused, with what is left of the times to wait."""
        if not self._refusals:
            return None
        now = self._monotonic()
        self._drop_oldest(now)
        refusal = self._refusals.get(tuple(demands))
        if refusal is None:
            return None
        if refusal.until <= now:
            del self._refusals[tuple(demands)]
            return None
        return _age(refusal.decision, timedelta(seconds=now - refusal.at))

    def drop(self, demands: Sequence[Demand]) -> None:
        """Forget what these demands have to do with, since something was given back."""
        counters = {(demand.policy.name, demand.key) for demand in demands}
        stale = [
            refused
            for refused in self._refusals
            if any((demand.policy.name, demand.key) in counters for demand in refused)
        ]
        for refused in stale:
            del self._refusals[refused]

    def _drop_oldest(self, now: float) -> None:
        oldest = next(iter(self._refusals))
        if self._refusals[oldest].until <= now:
            del self._refusals[oldest]


def _age(decision: Decision, elapsed: timedelta) -> Decision:
    outcomes = tuple(
        PolicyOutcome(
            policy, allowed, remaining, max(_ZERO, reset - elapsed), max(_ZERO, wait - elapsed)
        )
        for policy, allowed, remaining, reset, wait in decision.outcomes
    )
    retry_after = max(_ZERO, decision.retry_after - elapsed)
    return decision._replace(outcomes=outcomes, retry_after=retry_after)
