from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from fastapi_baseline.auth.tokens.jwks import FetchCounts
from fastapi_baseline.auth.tokens.measures import TokenCounts, observe_tokens


def test_counts_tokens_by_outcome_and_fetches_by_issuer() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    counts = TokenCounts(accepted=5, unavailable=1)
    counts.refused["expired"] = 2
    fetches = {"https://issuer.test": FetchCounts(succeeded=3, failed=4)}

    observe_tokens(counts, fetches, meter_provider=provider)

    data = reader.get_metrics_data()
    assert data is not None
    seen = {
        (metric.name, *sorted((point.attributes or {}).items())): getattr(point, "value", None)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    assert seen["baseline.auth.tokens", ("outcome", "accepted")] == 5
    assert seen["baseline.auth.tokens", ("outcome", "unavailable")] == 1
    assert seen["baseline.auth.tokens", ("outcome", "expired")] == 2
    assert seen["baseline.auth.tokens", ("outcome", "signature")] == 0
    issuer = ("issuer", "https://issuer.test")
    assert seen["baseline.auth.key_fetches", issuer, ("outcome", "success")] == 3
    assert seen["baseline.auth.key_fetches", issuer, ("outcome", "failure")] == 4
