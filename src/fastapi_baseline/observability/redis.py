"""Commands of a Redis client, measured and traced.

The duration is `db.client.operation.duration`, with the attributes `db.system.name`,
`db.operation.name` and, if it failed, `error.type`. Spans show neither keys nor values.
"""

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from time import perf_counter
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from fastapi_baseline._extras import optional

with optional("redis", extra="redis"):
    from redis.asyncio import Redis

_SCOPE = "fastapi_baseline.redis"
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
_OBSERVED = "_fastapi_baseline_observed"
_OTHER = "_OTHER"
# Redis has fewer commands; what a program makes up beyond them has no name of its own.
_MOST_OPERATIONS = 500
_LONGEST_NAME = 40

_Execute = Callable[..., Awaitable[Any]]


def instrument_redis(
    client: Redis,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Measure and trace the commands of a client, those of its scripts and locks, and pipelines.

    A pipeline is one operation: `PIPELINE`, or `MULTI` if it is a transaction. What a subscriber
    receives is not measured. Doing it twice counts nothing twice. Without providers, the global
    ones are used.
    """
    target: Any = client
    if getattr(client, _OBSERVED, False):
        return
    setattr(client, _OBSERVED, True)
    observer = _CommandObserver(
        client,
        tracer=trace.get_tracer(_SCOPE, tracer_provider=tracer_provider),
        meter=metrics.get_meter(_SCOPE, meter_provider=meter_provider),
    )
    make_pipeline: Callable[..., Any] = target.pipeline

    @wraps(make_pipeline)
    def pipeline(*args: Any, **options: Any) -> Any:
        return observer.watch_pipeline(make_pipeline(*args, **options))

    target.execute_command = observer.watch_commands(target.execute_command)
    target.pipeline = pipeline


class _CommandObserver:
    def __init__(self, client: Redis, *, tracer: trace.Tracer, meter: metrics.Meter) -> None:
        self._tracer = tracer
        self._metric_attributes: dict[str, AttributeValue] = {"db.system.name": "redis"}
        self._span_attributes = {**self._metric_attributes, **_place_of(client)}
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._operations: dict[object, str] = {}
        self._attributes: dict[tuple[str, str | None], dict[str, AttributeValue]] = {}

    def watch_commands(self, execute: _Execute) -> _Execute:
        # Not `wraps`, which would cost a pipeline more than all the rest.
        return partial(self._execute, execute)

    def watch_pipeline(self, pipeline: Any) -> Any:
        pipeline.execute = partial(self._execute_pipeline, pipeline, pipeline.execute)
        # What is sent at once: WATCH, and what is read before MULTI.
        pipeline.immediate_execute_command = self.watch_commands(pipeline.immediate_execute_command)
        return pipeline

    async def _execute(self, execute: _Execute, /, *args: Any, **options: Any) -> Any:
        operation = self._operation_of(args[0])
        span = self._start_span(operation) if _is_traced() else None
        return await self._observe(execute(*args, **options), operation, span)

    async def _execute_pipeline(
        self, pipeline: Any, execute: _Execute, /, *args: Any, **options: Any
    ) -> Any:
        size = len(pipeline)
        if not size:
            return await execute(*args, **options)
        is_transaction = pipeline.is_transaction or pipeline.explicit_transaction
        operation = "MULTI" if is_transaction else "PIPELINE"
        span = self._start_span(operation, batch=size) if _is_traced() else None
        return await self._observe(execute(*args, **options), operation, span)

    async def _observe(self, answer: Awaitable[Any], operation: str, span: Span | None) -> Any:
        started = perf_counter()
        error = None
        try:
            return await answer
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            elapsed = perf_counter() - started
            self._duration.record(elapsed, self._attributes_of(operation, error))
            if span is not None:
                _end(span, error)

    def _operation_of(self, name: object) -> str:
        operation = self._operations.get(name)
        if operation is None:
            operation = _spell(name)
            if len(self._operations) >= _MOST_OPERATIONS:
                return _OTHER
            self._operations[name] = operation
        return operation

    def _attributes_of(self, operation: str, error: str | None) -> dict[str, AttributeValue]:
        attributes = self._attributes.get((operation, error))
        if attributes is None:
            attributes = {**self._metric_attributes, "db.operation.name": operation}
            if error is not None:
                attributes["error.type"] = error
            self._attributes[operation, error] = attributes
        return attributes

    def _start_span(self, operation: str, *, batch: int = 1) -> Span:
        attributes = {**self._span_attributes, "db.operation.name": operation}
        if batch > 1:
            attributes["db.operation.batch.size"] = batch
        return self._tracer.start_span(operation, kind=SpanKind.CLIENT, attributes=attributes)


def _is_traced() -> bool:
    return trace.get_current_span().is_recording()


def _end(span: Span, error: str | None) -> None:
    if error is not None:
        # Without its message, which quotes keys.
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)
    span.end()


def _spell(name: object) -> str:
    text = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    is_name = text.isascii() and text.isprintable() and 0 < len(text) <= _LONGEST_NAME
    return text.upper() if is_name else _OTHER


def _place_of(client: Redis) -> dict[str, AttributeValue]:
    keywords: dict[str, Any] = client.connection_pool.connection_kwargs
    attributes: dict[str, AttributeValue] = {}
    host, port = keywords.get("host"), keywords.get("port")
    if isinstance(host, str):
        attributes["server.address"] = host
    if isinstance(port, int):
        attributes["server.port"] = port
    attributes["db.namespace"] = str(keywords.get("db") or 0)
    return attributes
