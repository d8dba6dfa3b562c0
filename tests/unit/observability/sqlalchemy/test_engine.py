from collections.abc import Callable, Generator
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.observability.sqlalchemy import instrument_engine

DURATION = "db.client.operation.duration"
Points = Callable[[str], dict[tuple[object, ...], Any]]
Spans = Callable[[], list[ReadableSpan]]


@pytest.fixture
def engine(tracer_provider: TracerProvider, meter_provider: MeterProvider) -> Generator[Engine]:
    engine = create_engine("sqlite://")
    instrument_engine(engine, tracer_provider=tracer_provider, meter_provider=meter_provider)
    yield engine
    engine.dispose()


@pytest.fixture
def request_in_progress() -> Generator[RequestContext]:
    request = RequestContext(request_id="an-id-for-tests")
    token = request_context.set(request)
    yield request
    request_context.reset(token)


def test_measures_each_statement_by_what_it_does(engine: Engine, points: Points) -> None:
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE a (b INTEGER)"))
        connection.execute(text("SELECT b FROM a"))
        connection.execute(text("SELECT 1"))

    assert points(DURATION) == {("CREATE", "sqlite"): 1, ("SELECT", "sqlite"): 2}


def test_makes_a_span_inside_of_one_that_is_recording(
    engine: Engine, tracer_provider: TracerProvider, spans: Spans
) -> None:
    tracer = tracer_provider.get_tracer("test")

    with tracer.start_as_current_span("request") as request, engine.connect() as connection:
        connection.execute(text("SELECT 1 WHERE 'x' = :value"), {"value": "hush"})

    (span,) = spans()
    assert span.kind is SpanKind.CLIENT
    assert span.parent == request.get_span_context()
    assert span.attributes == {
        "db.system.name": "sqlite",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT",
        "db.query.text": "SELECT ? WHERE ? = ?",
    }


def test_makes_no_span_outside_of_one(engine: Engine, spans: Spans) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))

    assert spans() == []


class CountingTracer:
    """Counts the spans that it is asked for, and makes none."""

    def __init__(self) -> None:
        self.asked = 0

    def get_tracer(self, *names: object, **options: object) -> Any:
        return self

    def start_span(self, *args: object, **options: object) -> None:
        self.asked += 1


def test_asks_for_no_span_in_a_request_that_is_not_sampled(meter_provider: MeterProvider) -> None:
    tracer: Any = CountingTracer()
    engine = create_engine("sqlite://")
    instrument_engine(engine, tracer_provider=tracer, meter_provider=meter_provider)
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("test")

    with unsampled.start_as_current_span("request"), engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()

    assert tracer.asked == 0


def test_counts_the_statements_of_a_request(
    engine: Engine, request_in_progress: RequestContext
) -> None:
    with engine.begin() as connection:
        for number in range(3):
            connection.execute(text(f"SELECT {number}"))
        with connection.begin_nested():
            connection.execute(text("VALUES (1)"))
        connection.execute(text("PRAGMA query_only"))

    statements = request_in_progress.statements
    assert statements.count == 4
    assert statements.seconds > 0
    assert statements.by_text == {"SELECT ?": 3, "VALUES (?)": 1}
    assert statements.find_most_repeated() == ("SELECT ?", 3)


def test_says_that_a_statement_failed_without_what_was_in_it(
    engine: Engine,
    tracer_provider: TracerProvider,
    spans: Spans,
    points: Points,
    request_in_progress: RequestContext,
) -> None:
    tracer = tracer_provider.get_tracer("test")
    insert = text("INSERT INTO a (b) VALUES (:b)")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE a (b TEXT UNIQUE)"))
        connection.execute(insert, {"b": "hush"})
        with tracer.start_as_current_span("request"), pytest.raises(IntegrityError):
            connection.execute(insert, {"b": "hush"})

    (span,) = spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "IntegrityError"
    assert (span.attributes or {})["db.response.status_code"] == "SQLITE_CONSTRAINT_UNIQUE"
    assert "hush" not in span.to_json()
    assert points(DURATION)["INSERT", "IntegrityError", "sqlite"] == 1
    assert request_in_progress.statements.count == 3


def test_an_error_of_the_connection_is_no_statement(
    meter_provider: MeterProvider, points: Points
) -> None:
    engine = create_engine("sqlite:////nowhere/to/be/found.db")
    instrument_engine(engine, meter_provider=meter_provider)

    with pytest.raises(OperationalError):
        engine.connect()

    assert points(DURATION) == {}


def test_many_rows_are_one_operation(
    engine: Engine, tracer_provider: TracerProvider, spans: Spans, points: Points
) -> None:
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE a (b INTEGER)"))
        with tracer_provider.get_tracer("test").start_as_current_span("request"):
            connection.execute(text("INSERT INTO a VALUES (:b)"), [{"b": 1}, {"b": 2}])

    (span,) = spans()
    assert (span.attributes or {})["db.operation.batch.size"] == 2
    assert points(DURATION)["INSERT", "sqlite"] == 1


def test_covers_the_engines_that_are_derived_from_it(engine: Engine, points: Points) -> None:
    derived = engine.execution_options(isolation_level="AUTOCOMMIT")

    with derived.connect() as connection:
        connection.execute(text("SELECT 1"))

    assert points(DURATION) == {("SELECT", "sqlite"): 1}


@pytest.mark.parametrize("again", ["the same", "derived"])
def test_counts_nothing_twice(
    engine: Engine,
    meter_provider: MeterProvider,
    points: Points,
    request_in_progress: RequestContext,
    again: str,
) -> None:
    another = engine if again == "the same" else engine.execution_options(logging_token="x")
    instrument_engine(another, meter_provider=meter_provider)

    with another.connect() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT nothing"))

    assert sum(points(DURATION).values()) == 2
    assert request_in_progress.statements.count == 2


class StartedSpans(SpanProcessor):
    """Counts the spans that were started, whether they end or not."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.count += 1


def test_starts_no_span_twice(engine: Engine, tracer_provider: TracerProvider) -> None:
    started = StartedSpans()
    tracer_provider.add_span_processor(started)
    instrument_engine(engine, tracer_provider=tracer_provider)
    tracer = tracer_provider.get_tracer("test")

    with tracer.start_as_current_span("request"), engine.connect() as connection:
        connection.execute(text("SELECT 1"))

    assert started.count == 2
