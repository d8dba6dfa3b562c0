import pytest
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, Tracer

from fastapi_baseline.observability.tracing import UntrustingTracerProvider

TRACE = 0x0AF7651916CD43DD8448EB211C80319C


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Tracer:
    provider = UntrustingTracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("somebody")


@pytest.fixture
def caller() -> Context:
    return propagate.extract({"traceparent": f"00-{TRACE:032x}-b7ad6b7169203331-01"})


def _ended(exporter: InMemorySpanExporter) -> ReadableSpan:
    return exporter.get_finished_spans()[-1]


def _context(exporter: InMemorySpanExporter) -> SpanContext:
    context = _ended(exporter).get_span_context()
    assert context is not None
    return context


def test_begins_a_trace_of_its_own_for_a_request_and_links_it_to_the_callers(
    tracer: Tracer, exporter: InMemorySpanExporter, caller: Context
) -> None:
    tracer.start_span("request", caller, SpanKind.SERVER).end()

    span = _ended(exporter)
    assert span.parent is None
    assert _context(exporter).trace_id != TRACE
    assert [link.context.trace_id for link in span.links] == [TRACE]


def test_does_so_for_a_span_that_is_made_current(
    tracer: Tracer, exporter: InMemorySpanExporter, caller: Context
) -> None:
    with tracer.start_as_current_span("request", caller, SpanKind.SERVER) as span:
        assert trace.get_current_span() is span

    assert _ended(exporter).parent is None
    assert len(_ended(exporter).links) == 1


def test_does_not_follow_the_callers_decision_to_sample(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    caller = propagate.extract({"traceparent": f"00-{TRACE:032x}-b7ad6b7169203331-00"})

    tracer.start_span("request", caller, SpanKind.SERVER).end()

    assert _context(exporter).trace_flags.sampled


def test_keeps_the_parents_of_spans_inside_of_the_service(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    with tracer.start_as_current_span("request", kind=SpanKind.SERVER) as request:
        tracer.start_span("query", kind=SpanKind.CLIENT).end()

    query = exporter.get_finished_spans()[0]
    assert query.parent == request.get_span_context()
    assert not query.links


def test_keeps_the_parents_of_what_the_service_has_stored_itself(
    tracer: Tracer, exporter: InMemorySpanExporter, caller: Context
) -> None:
    tracer.start_span("job", caller, SpanKind.CONSUMER).end()

    assert _context(exporter).trace_id == TRACE


def test_begins_a_trace_without_a_link_if_the_caller_names_none(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    tracer.start_span("request", Context(), SpanKind.SERVER).end()

    assert not _ended(exporter).links


def test_a_request_that_the_service_answers_inside_of_another_stays_there(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER) as outer:
        tracer.start_span("inner", kind=SpanKind.SERVER).end()

    assert exporter.get_finished_spans()[0].parent == outer.get_span_context()
