from datetime import timedelta

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from fastapi_baseline.rate_limiting.decisions import Decision, PolicyOutcome, Source
from fastapi_baseline.rate_limiting.metrics import RateLimitMetrics
from fastapi_baseline.rate_limiting.policies import QuotaPolicy

ZERO = timedelta(0)


def outcome(
    name: str, *, remaining: int = 10, allowed: bool = True, shadow: bool = False
) -> PolicyOutcome:
    policy = QuotaPolicy(name=name, quota=10, window=timedelta(minutes=1), shadow=shadow)
    return PolicyOutcome(policy, allowed, remaining, ZERO, ZERO)


class Recorded:
    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.metrics = RateLimitMetrics(MeterProvider([self.reader]))

    def decide(self, *outcomes: PolicyOutcome, source: Source = "local") -> None:
        allowed = all(one.allowed or one.policy.shadow for one in outcomes)
        self.metrics.record(Decision(allowed, outcomes, ZERO, source))

    def counts(self) -> dict[tuple[object, ...], int | float]:
        data = self.reader.get_metrics_data()
        assert data is not None
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        assert metric.name == "baseline.rate_limit.decisions"
        return {
            tuple((point.attributes or {}).values()): getattr(point, "value", 0)
            for point in metric.data.data_points
        }


def test_counts_by_policy_outcome_and_source() -> None:
    recorded = Recorded()

    recorded.decide(outcome("a"), outcome("b", remaining=1))
    recorded.decide(outcome("a"), source="redis")
    recorded.decide(outcome("a", allowed=False, shadow=True))

    assert recorded.counts() == {
        ("a", "allowed", "local"): 1,
        ("b", "near_limit", "local"): 1,
        ("a", "allowed", "redis"): 1,
        ("a", "shadow", "local"): 1,
    }


def test_of_a_refusal_only_what_refuses_counts() -> None:
    recorded = Recorded()

    recorded.decide(outcome("a"), outcome("b", allowed=False, remaining=0))

    assert recorded.counts() == {("b", "refused", "local"): 1}


def test_names_that_are_made_up_make_no_series_without_end() -> None:
    recorded = Recorded()

    for number in range(300):
        recorded.decide(outcome(f"plan-{number}"))

    counts = recorded.counts()
    assert len(counts) == 201
    assert counts["_other", "allowed", "local"] == 100
