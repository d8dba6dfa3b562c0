"""What a response says about limits: draft-ietf-httpapi-ratelimit-headers, and the older headers."""

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache

from fastapi_baseline.clock import Clock
from fastapi_baseline.rate_limiting.concurrency import ConcurrencyDecision
from fastapi_baseline.rate_limiting.decisions import Decision, PolicyOutcome
from fastapi_baseline.rate_limiting.policies import QuotaPolicy

RawHeaders = list[tuple[bytes, bytes]]

_SECOND = timedelta(seconds=1)
_RETRY_AFTER = b"retry-after"
_REFUSALS = frozenset({429, 503})


class LimitHeaders:
    """What makes the headers of a response from what the limits have said."""

    def __init__(self, *, draft: bool, legacy: bool, clock: Clock) -> None:
        """Write the headers of the draft (`RateLimit`), the older `X-RateLimit-*`, or both."""
        self.draft = draft
        self.legacy = legacy
        self._clock = clock

    def add(
        self,
        headers: RawHeaders,
        decisions: Sequence[Decision],
        *,
        status: int,
        places: Sequence[ConcurrencyDecision] = (),
    ) -> None:
        """Add to `headers`; `Retry-After` is not touched if it is there.

        Limits in shadow mode are not told, since they hold for nobody. A refusal tells the time of
        the limits that refuse only: none of them is over later than `Retry-After` says.
        """
        if len(decisions) == 1 and not places and not self.legacy and self.draft:
            (decision,) = decisions
            if decision.allowed and len(decision.outcomes) == 1:
                # What most requests are told, in a third of the time.
                _add_one(headers, decision)
                return
        # The last one: nothing comes after a refusal.
        refusal = None if not decisions or decisions[-1].allowed else decisions[-1]
        outcomes = _unique(decisions)
        if refusal is not None and status in _REFUSALS and not _has(headers, _RETRY_AFTER):
            headers.append((_RETRY_AFTER, b"%d" % to_seconds(refusal.retry_after)))
        places = [place for place in places if not place.policy.shadow]
        if self.draft and (outcomes or places):
            told = outcomes
            if refusal is not None:
                told = [one for one in outcomes if not one[1].allowed] or outcomes
            policies = [_policy_item(name, outcome.policy) for name, outcome in outcomes]
            items = [_limit_item(name, outcome) for name, outcome in told]
            if places:
                policies += [_place_policy(place) for place in places]
                items += [_place_item(place) for place in places]
            headers.append((b"ratelimit-policy", b", ".join(policies)))
            headers.append((b"ratelimit", b", ".join(items)))
        if self.legacy and outcomes:
            self._add_legacy(headers, [outcome for _, outcome in outcomes])

    def _add_legacy(self, headers: RawHeaders, outcomes: Iterable[PolicyOutcome]) -> None:
        tightest = min(outcomes, key=lambda one: (one.allowed, one.remaining))
        wait = tightest.reset if tightest.allowed else tightest.retry_after
        reset = math.ceil((self._clock.now() + wait).timestamp())
        headers.append((b"x-ratelimit-limit", b"%d" % tightest.policy.quota))
        headers.append((b"x-ratelimit-remaining", b"%d" % tightest.remaining))
        headers.append((b"x-ratelimit-reset", b"%d" % reset))


def to_seconds(wait: timedelta) -> int:
    """Return a time to wait in whole seconds, rounded up, and 1 at the least."""
    return max(1, -(-wait // _SECOND))


def _has(headers: RawHeaders, name: bytes) -> bool:
    return any(one[0].lower() == name for one in headers)


def _unique(decisions: Sequence[Decision]) -> list[tuple[str, PolicyOutcome]]:
    """Return what is told, each with a name that no other has; of a refusal only its own."""
    told: dict[str, PolicyOutcome] = {}
    for decision in decisions:
        if decision.source == "open":
            # Nobody has counted, so nothing is known.
            continue
        for outcome in decision.outcomes:
            policy = outcome.policy
            if policy.shadow:
                continue
            name, number = policy.name, 1
            while name in told:
                number += 1
                name = f"{policy.name}-{number}"
            told[name] = outcome
    return list(told.items())


def _add_one(headers: RawHeaders, decision: Decision) -> None:
    (outcome,) = decision.outcomes
    policy = outcome.policy
    if decision.source != "open" and not policy.shadow:
        headers.append((b"ratelimit-policy", _policy_item(policy.name, policy)))
        headers.append((b"ratelimit", _limit_item(policy.name, outcome)))


def _policy_item(name: str, policy: QuotaPolicy) -> bytes:
    return _written(name, policy.quota, policy.window_us)


@lru_cache(maxsize=1_000)
def _written(name: str, quota: int, window_us: int) -> bytes:
    return b"%b;q=%d;w=%d" % (_quoted(name), quota, max(1, window_us // 1_000_000))


def _limit_item(name: str, outcome: PolicyOutcome) -> bytes:
    wait = outcome.reset if outcome.allowed else outcome.retry_after
    return b"%b;r=%d;t=%d" % (_quoted(name), outcome.remaining, -(-wait // _SECOND))


def _place_policy(place: ConcurrencyDecision) -> bytes:
    quota = place.policy.quota
    return b'%b;q=%d;qu="concurrent-requests"' % (_quoted(place.policy.name), quota)


def _place_item(place: ConcurrencyDecision) -> bytes:
    return b"%b;r=%d" % (_quoted(place.policy.name), place.remaining)


@lru_cache(maxsize=1_000)
def _quoted(name: str) -> bytes:
    """Return a String of RFC 9651, section 3.3.3."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode("ascii")
