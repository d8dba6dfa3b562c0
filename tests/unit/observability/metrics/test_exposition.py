from prometheus_client import CollectorRegistry, Counter

from fastapi_baseline.observability.metrics import PrometheusMeterProvider, write_metrics


def test_shows_the_metrics_of_others_in_the_same_registry(
    registry: CollectorRegistry, provider: PrometheusMeterProvider
) -> None:
    Counter("theirs", "Of a library that uses the client itself.", registry=registry).inc()
    provider.get_meter("shop").create_counter("ours").add(1)

    text = write_metrics(registry).decode()

    assert "\ntheirs_total 1.0\n" in text
    assert "\nours_total 1.0\n" in text


def test_leaves_out_when_each_series_was_made(
    registry: CollectorRegistry, provider: PrometheusMeterProvider
) -> None:
    Counter("theirs", "Of a library that uses the client itself.", registry=registry).inc()
    provider.get_meter("shop").create_histogram("ours").record(1)

    written = write_metrics(registry) + write_metrics(registry, is_openmetrics=True)

    assert b"_created" not in written
