from collections.abc import Mapping

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from fastapi_baseline.observability.tracing import RedactingSpanExporter

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def redacting_provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(RedactingSpanExporter(exporter)))
    return provider


def _only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


@pytest.mark.parametrize(
    ("name", "value", "redacted"),
    [
        ("url.query", "page=1&code=x", "page=1&code=[redacted]"),
        (
            "url.full",
            "https://a:b@c.example/?sig=x",
            "https://[redacted]@c.example/?sig=[redacted]",
        ),
        ("url.path", f"/reset/{TOKEN}", "/reset/[redacted]"),
        ("user.password", "hush", "[redacted]"),
        ("http.request.header.authorization", ("Bearer x",), ("[redacted]",)),
        ("note", "password=hush", "password=[redacted]"),
        ("gen_ai.usage.input_tokens", 7, 7),
        ("tokens.left", True, True),
        ("sizes", (1, 2), (1, 2)),
    ],
)
def test_takes_secrets_out_of_attributes_of_any_span(
    redacting_provider: TracerProvider,
    exporter: InMemorySpanExporter,
    name: str,
    value: AttributeValue,
    redacted: AttributeValue,
) -> None:
    tracer = redacting_provider.get_tracer("somebody")

    with tracer.start_as_current_span("work", attributes={"http.route": "/x", name: value}):
        pass

    attributes = _only(exporter).attributes
    assert attributes is not None
    assert attributes[name] == redacted
    assert attributes["http.route"] == "/x"


def test_takes_secrets_out_of_exceptions(
    redacting_provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    tracer = redacting_provider.get_tracer("somebody")

    with pytest.raises(ValueError, match="hush"), tracer.start_as_current_span("work"):
        raise ValueError("password=hush")

    span = _only(exporter)
    (event,) = span.events
    assert "hush" not in str(dict(event.attributes or {}))
    assert "hush" not in str(span.status.description)
    assert (event.attributes or {})["exception.type"] == "ValueError"


def test_keeps_everything_else_of_a_span(
    redacting_provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    tracer = redacting_provider.get_tracer("somebody", "1.2")

    with tracer.start_as_current_span("outer") as outer:
        span = tracer.start_span("work", kind=SpanKind.CLIENT, attributes={"password": "x"})
        span.add_event("seen", {"count": 1})
        span.set_status(Status(StatusCode.ERROR, "no luck"))
        span.end()

    exported = exporter.get_finished_spans()[0]
    assert exported.get_span_context() == span.get_span_context()
    assert exported.parent == outer.get_span_context()
    assert exported.kind is SpanKind.CLIENT
    assert exported.status.description == "no luck"
    assert [event.name for event in exported.events] == ["seen"]
    assert exported.instrumentation_scope is not None
    assert exported.instrumentation_scope.name == "somebody"
    assert exported.start_time is not None
    assert exported.end_time is not None
    assert exported.resource == redacting_provider.resource


def test_passes_a_span_without_secrets_on_as_it_is(exporter: InMemorySpanExporter) -> None:
    plain: Mapping[str, AttributeValue] = {"http.route": "/x", "url.query": "page=1"}
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("somebody")
    span = tracer.start_span("work", attributes=plain)
    assert isinstance(span, ReadableSpan)

    RedactingSpanExporter(exporter).export([span])

    assert exporter.get_finished_spans()[0] is span


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        ("fastapi_baseline.sqlalchemy", "UPDATE users SET password = $1"),
        ("somebody", "UPDATE users SET password = [redacted]"),
    ],
)
def test_leaves_the_statements_that_have_no_values_any_more(
    redacting_provider: TracerProvider, exporter: InMemorySpanExporter, scope: str, text: str
) -> None:
    tracer = redacting_provider.get_tracer(scope)
    statement = {"db.query.text": "UPDATE users SET password = $1"}

    tracer.start_span("UPDATE users", attributes=statement).end()

    assert (_only(exporter).attributes or {})["db.query.text"] == text
