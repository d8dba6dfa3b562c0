from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from redis.exceptions import ResponseError

from fastapi_baseline.observability.redis import instrument_redis
from fastapi_baseline.redis import create_redis

DURATION = "db.client.operation.duration"
Values = Callable[[], dict[tuple[object, ...], int]]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer_provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def tracer(tracer_provider: TracerProvider) -> Tracer:
    return tracer_provider.get_tracer("test")


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def values(reader: InMemoryMetricReader) -> Values:
    def read() -> dict[tuple[object, ...], int]:
        data: Any = reader.get_metrics_data()
        return {
            tuple(sorted(point.attributes.values())): point.count
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }

    return read


@pytest.fixture
async def client(
    redis_url: str, tracer_provider: TracerProvider, reader: InMemoryMetricReader
) -> AsyncGenerator[Any]:
    client = create_redis(redis_url)
    meter_provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    instrument_redis(client, tracer_provider=tracer_provider, meter_provider=meter_provider)
    yield client
    await client.aclose()


def _commands(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name != "request"]


async def test_a_command_is_a_span_without_keys_and_values(
    client: Any, tracer: Tracer, exporter: InMemorySpanExporter, redis_url: str
) -> None:
    with tracer.start_as_current_span("request") as request:
        await client.set("hush", "hush")
        answer = await client.get("hush")

    stored, read = _commands(exporter)
    assert answer == b"hush"
    assert (stored.name, read.name) == ("SET", "GET")
    assert read.kind is SpanKind.CLIENT
    assert read.parent == request.get_span_context()
    assert "hush" not in stored.to_json() + read.to_json()
    attributes = read.attributes or {}
    assert attributes["db.system.name"] == "redis"
    assert attributes["db.namespace"] == redis_url.rpartition("/")[2]
    assert attributes["server.address"] == "127.0.0.1"


async def test_commands_outside_of_a_trace_are_only_measured(
    client: Any, exporter: InMemorySpanExporter, values: Values
) -> None:
    await client.set("a", "b")
    await client.get("a")
    await client.get("a")

    assert _commands(exporter) == []
    assert values() == {("SET", "redis"): 1, ("GET", "redis"): 2}


@pytest.mark.parametrize(("is_transaction", "name"), [(True, "MULTI"), (False, "PIPELINE")])
async def test_a_pipeline_is_one_operation(
    client: Any,
    tracer: Tracer,
    exporter: InMemorySpanExporter,
    values: Values,
    is_transaction: bool,
    name: str,
) -> None:
    with tracer.start_as_current_span("request"):
        async with client.pipeline(transaction=is_transaction) as pipeline:
            answers = await pipeline.set("a", "1").get("a").execute()

    (span,) = _commands(exporter)
    assert answers == [True, b"1"]
    assert span.name == name
    assert (span.attributes or {})["db.operation.batch.size"] == 2
    assert values() == {(name, "redis"): 1}


async def test_an_empty_pipeline_is_none(
    client: Any, tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    with tracer.start_as_current_span("request"):
        async with client.pipeline() as pipeline:
            answers = await pipeline.execute()

    assert answers == []
    assert _commands(exporter) == []


async def test_what_a_pipeline_sends_at_once_is_a_command(client: Any, values: Values) -> None:
    async def raise_it(pipeline: Any) -> None:
        current = await pipeline.get("a")
        pipeline.multi()
        pipeline.set("a", int(current or 0) + 1)

    await client.transaction(raise_it, "a")

    assert await client.get("a") == b"1"
    assert values() == {
        ("WATCH", "redis"): 1,
        ("GET", "redis"): 2,
        ("MULTI", "redis"): 1,
    }


async def test_scripts_and_locks_are_commands(client: Any, values: Values) -> None:
    script = client.register_script("return 7")
    async with client.lock("a-lock", timeout=5):
        answer = await script()

    assert answer == 7
    assert {"EVALSHA", "SET"} <= {name for key in values() for name in key}


async def test_a_command_that_is_refused_says_so_without_its_values(
    client: Any, tracer: Tracer, exporter: InMemorySpanExporter, values: Values
) -> None:
    await client.set("hush", "hush")
    with tracer.start_as_current_span("request"), pytest.raises(ResponseError):
        await client.lpush("hush", "hush")

    (span,) = _commands(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ResponseError"
    assert "hush" not in span.to_json()
    assert values()["LPUSH", "ResponseError", "redis"] == 1
