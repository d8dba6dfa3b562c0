"""How often limits let requests through, and how often they do not."""

from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from fastapi_baseline.rate_limiting.decisions import Decision, PolicyOutcome

_SCOPE = "fastapi_baseline.rate_limiting"
# Names come from code and settings; a plan that is computed could make more of them.
_MOST_POLICIES = 200
_OTHER = "_other"
_NEAR = 5


class RateLimitMetrics:
    """Counts decisions by policy, by outcome, and by who decided."""

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        """Count with a meter of `meter_provider`, by default that of the process."""
        meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        self._decisions = meter.create_counter(
            "baseline.rate_limit.decisions",
            unit="{decision}",
            description="What limits have said to requests.",
        )
        self._attributes: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._policies: set[str] = set()

    def record(self, decision: Decision) -> None:
        """Count one decision, once for each of its policies; of a refusal, those that refuse."""
        for outcome in decision.outcomes:
            if outcome.allowed and not decision.allowed:
                continue
            key = (outcome.policy.name, _outcome_of(outcome, decision), decision.source)
            attributes = self._attributes.get(key)
            if attributes is None:
                attributes = self._remember(*key)
            self._decisions.add(1, attributes)

    def _remember(self, policy: str, outcome: str, source: str) -> dict[str, Any]:
        if policy not in self._policies:
            if len(self._policies) >= _MOST_POLICIES:
                policy = _OTHER
            self._policies.add(policy)
        return self._attributes.setdefault(
            (policy, outcome, source), {"policy": policy, "outcome": outcome, "source": source}
        )


def _outcome_of(outcome: PolicyOutcome, decision: Decision) -> str:
    """Return what a policy has said; the last fifth of what it grants is near the limit."""
    policy = outcome.policy
    if not outcome.allowed:
        return "shadow" if policy.shadow else "refused"
    if decision.source == "open" or outcome.remaining * _NEAR >= policy.capacity:
        return "allowed"
    return "near_limit"
