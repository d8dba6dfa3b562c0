from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from fastapi_baseline.observability.metrics import PrometheusMeterProvider, write_metrics

Samples = dict[str, float]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def provider(registry: CollectorRegistry) -> PrometheusMeterProvider:
    return PrometheusMeterProvider(registry)


@pytest.fixture
def samples(registry: CollectorRegistry) -> Callable[[], Samples]:
    """Give what a scrape has, by series, without the buckets."""

    def read() -> Samples:
        text = write_metrics(registry).decode()
        return {
            sample.name
            + "".join(f" {key}={sample.labels[key]}" for key in sorted(sample.labels)): (
                sample.value
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.name.endswith("_bucket")
        }

    return read
