from collections.abc import Callable, Iterable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

Points = Callable[[str], dict[tuple[object, ...], Any]]
Spans = Callable[[], list[ReadableSpan]]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer_provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Spans:
    """Give what lists the spans that have ended, but for those that tests begin themselves."""

    def ended() -> list[ReadableSpan]:
        return [span for span in exporter.get_finished_spans() if span.name != "request"]

    return ended


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def meter_provider(reader: InMemoryMetricReader) -> MeterProvider:
    return MeterProvider(metric_readers=[reader], shutdown_on_exit=False)


@pytest.fixture
def points(reader: InMemoryMetricReader) -> Points:
    """Give what reads a metric: what was measured, by the values of its attributes."""

    def read(name: str) -> dict[tuple[object, ...], Any]:
        data: Any = reader.get_metrics_data()
        resources: list[Any] = data.resource_metrics if data else []
        metrics: Iterable[Any] = [
            metric
            for resource in resources
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return {
            tuple(sorted(point.attributes.values(), key=str)): getattr(
                point, "value", getattr(point, "count", None)
            )
            for metric in metrics
            for point in metric.data.data_points
        }

    return read
