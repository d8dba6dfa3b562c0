"""Statements, measured and traced by the events of an engine.

The duration is `db.client.operation.duration`, with the attributes `db.system.name`,
`db.operation.name` and, if it failed, `error.type`. A span is made only inside of one that is
recording, so a request that is not sampled costs no spans.
"""

from time import perf_counter
from typing import Any, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from fastapi_baseline import context
from fastapi_baseline._extras import optional
from fastapi_baseline.observability.sqlalchemy.statements import TRANSACTION_CONTROL, describe

with optional("sqlalchemy", "greenlet", extra="persistence"):
    from sqlalchemy import URL, Connection, Engine, event
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

_SCOPE = "fastapi_baseline.sqlalchemy"
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
# SQLite has some for each transaction; no request asks for them.
_NOT_COUNTED = TRANSACTION_CONTROL | {"PRAGMA"}
# What SQLAlchemy's names are called in the semantic conventions; others are the same.
_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}
# Where an execution keeps what is known of it while it runs. SQLAlchemy has no place for this.
_RUNNING = "_fastapi_baseline_running"


class _Running(NamedTuple):
    started: float
    span: Span | None


def instrument_engine(
    engine: AsyncEngine | Engine,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Measure and trace what is sent through an engine, and count it for the request.

    Engines that are derived from it by `execution_options()` are covered by it. Instrumenting one
    of them as well, or the same one twice, counts nothing twice. Without providers, the global ones
    are used.

    What begins and ends transactions is measured, but not counted for the request; nor are the
    pragmas of SQLite.
    """
    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    observer = _StatementObserver(
        target.url,
        system=_SYSTEMS.get(target.dialect.name, target.dialect.name),
        tracer=trace.get_tracer(_SCOPE, tracer_provider=tracer_provider),
        meter=metrics.get_meter(_SCOPE, meter_provider=meter_provider),
    )
    event.listen(target, "before_cursor_execute", observer.before)
    event.listen(target, "after_cursor_execute", observer.after)
    event.listen(target, "handle_error", observer.failed)


class _StatementObserver:
    def __init__(
        self, url: URL, *, system: str, tracer: trace.Tracer, meter: metrics.Meter
    ) -> None:
        self._system = system
        self._tracer = tracer
        self._span_attributes = _place_of(url, system)
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._attributes: dict[tuple[str, str | None], dict[str, AttributeValue]] = {}

    def before(  # noqa: PLR0917 -- SQLAlchemy passes them by position
        self,
        connection: Connection,
        cursor: object,
        text: str,
        parameters: Any,
        execution: Any,
        is_many: bool,  # noqa: FBT001 -- likewise
    ) -> None:
        """Note when a statement starts."""
        del connection, cursor
        if execution is None or getattr(execution, _RUNNING, None) is not None:
            return
        span = None
        if trace.get_current_span().is_recording():
            span = self._start_span(text, batch=len(parameters) if is_many else None)
        setattr(execution, _RUNNING, _Running(perf_counter(), span))

    def after(  # noqa: PLR0917 -- SQLAlchemy passes them by position
        self,
        connection: Connection,
        cursor: object,
        text: str,
        parameters: object,
        execution: Any,
        is_many: bool,  # noqa: FBT001 -- likewise
    ) -> None:
        """Note that a statement has ended well."""
        del connection, cursor, parameters, is_many
        running: _Running | None = getattr(execution, _RUNNING, None)
        if running is not None:
            setattr(execution, _RUNNING, None)
            self._record(text, running, error=None)

    def failed(self, failure: ExceptionContext) -> None:
        """Note that a statement has failed, was cancelled or ran into a timeout."""
        execution = failure.execution_context
        running: _Running | None = getattr(execution, _RUNNING, None)
        if running is None:
            return
        setattr(execution, _RUNNING, None)
        original = failure.original_exception
        # SQLAlchemy's names are the same for all drivers.
        error = type(failure.sqlalchemy_exception or original).__name__
        if running.span is not None:
            status = getattr(original, "sqlstate", None) or getattr(
                original, "sqlite_errorname", None
            )
            if isinstance(status, str):
                running.span.set_attribute("db.response.status_code", status)
            # Without its message, which quotes values.
            running.span.set_attribute("error.type", error)
            running.span.set_status(StatusCode.ERROR)
        self._record(failure.statement or "", running, error=error)

    def _record(self, text: str, running: _Running, *, error: str | None) -> None:
        elapsed = perf_counter() - running.started
        statement = describe(text)
        operation = statement.operation
        attributes = self._attributes.get((operation, error))
        if attributes is None:
            attributes = self._describe(operation, error)
        self._duration.record(elapsed, attributes)
        if running.span is not None:
            running.span.end()
        request = context.current()
        if request is not None and operation not in _NOT_COUNTED:
            request.statements.record(statement.text, elapsed)

    def _describe(self, operation: str, error: str | None) -> dict[str, AttributeValue]:
        attributes: dict[str, AttributeValue] = {
            "db.system.name": self._system,
            "db.operation.name": operation,
        }
        if error is not None:
            attributes["error.type"] = error
        self._attributes[operation, error] = attributes
        return attributes

    def _start_span(self, text: str, *, batch: int | None) -> Span:
        statement = describe(text)
        attributes = {
            **self._span_attributes,
            "db.operation.name": statement.operation,
            "db.query.summary": statement.summary,
            "db.query.text": statement.text,
        }
        if batch is not None and batch > 1:
            attributes["db.operation.batch.size"] = batch
        return self._tracer.start_span(
            statement.summary, kind=SpanKind.CLIENT, attributes=attributes
        )


def _place_of(url: URL, system: str) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {"db.system.name": system}
    if url.host is not None:
        attributes["server.address"] = url.host
        if url.port is not None:
            attributes["server.port"] = url.port
    if url.database:
        # Of a file, only its name: its folder is of no use to who reads a trace.
        attributes["db.namespace"] = url.database.rpartition("/")[2] or url.database
    return attributes
