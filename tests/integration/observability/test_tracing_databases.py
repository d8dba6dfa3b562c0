import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer
from sqlalchemy import event, insert, select, text
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.context import RequestContext, StatementCounts, request_context
from fastapi_baseline.errors import ConflictError, UnavailableError
from fastapi_baseline.observability.sqlalchemy import instrument_engine, observe_pool
from fastapi_baseline.persistence import Base, Database
from fastapi_baseline.settings import DatabaseSettings

Values = Callable[[str], dict[tuple[object, ...], Any]]
_POOL = DatabaseSettings(pool_size=3, pool_timeout=timedelta(milliseconds=50))


class TracedLamp(Base):
    """A table of these tests."""

    __tablename__ = "traced_lamp"

    name: Mapped[str] = mapped_column(primary_key=True)


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
    def read(name: str) -> dict[tuple[object, ...], Any]:
        data: Any = reader.get_metrics_data()
        return {
            tuple(sorted(point.attributes.values())): getattr(
                point, "value", getattr(point, "count", None)
            )
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    return read


@pytest.fixture
async def database(
    any_database_url: str, tracer_provider: TracerProvider, reader: InMemoryMetricReader
) -> AsyncGenerator[Database]:
    database = Database(any_database_url, settings=_POOL)
    tables: Any = [TracedLamp.__table__]
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all, tables=tables)
    meter_provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    for name, engine in database.engines.items():
        instrument_engine(engine, tracer_provider=tracer_provider, meter_provider=meter_provider)
        observe_pool(engine, name=name, meter_provider=meter_provider)
    yield database
    await database.dispose()


def _queries(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    spans = exporter.get_finished_spans()
    return [span for span in spans if span.name not in {"request", "BEGIN"}]


async def test_what_writes_and_what_reads_is_traced_once(
    database: Database, tracer: Tracer, exporter: InMemorySpanExporter, values: Values
) -> None:
    with tracer.start_as_current_span("request") as request:
        async with database.transaction() as session:
            await session.execute(insert(TracedLamp).values(name="blue"))
        async with database.read_transaction() as session:
            await session.execute(select(TracedLamp).where(TracedLamp.name == "blue"))

    system = database.engine.dialect.name
    queries = _queries(exporter)
    assert [span.name for span in queries] == ["INSERT traced_lamp", "SELECT traced_lamp"]
    assert [span.parent for span in queries] == [request.get_span_context()] * 2
    assert "blue" not in "".join(span.to_json() for span in queries)
    duration = values("db.client.operation.duration")
    assert duration["INSERT", system] == 1
    assert duration["SELECT", system] == 1


async def test_a_span_says_where_the_database_is(
    database: Database, tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    with tracer.start_as_current_span("request"):
        await database.ping()

    attributes = dict(_queries(exporter)[0].attributes or {})
    url = database.url
    assert attributes["db.system.name"] == url.get_backend_name()
    assert attributes["db.namespace"] == (url.database or "").rpartition("/")[2]
    assert attributes.get("server.address") == url.host
    assert attributes.get("server.port") == url.port
    assert url.username is None or url.username not in attributes.values()


async def test_a_statement_that_is_refused_says_why_without_its_values(
    database: Database, tracer: Tracer, exporter: InMemorySpanExporter, values: Values
) -> None:
    async def add() -> None:
        async with database.transaction() as session:
            await session.execute(insert(TracedLamp).values(name="hush"))

    await add()
    with tracer.start_as_current_span("request"), pytest.raises(ConflictError):
        await add()

    (failed,) = _queries(exporter)
    attributes = failed.attributes or {}
    is_sqlite = database.engine.dialect.name == "sqlite"
    code = "SQLITE_CONSTRAINT_PRIMARYKEY" if is_sqlite else "23505"
    assert attributes["db.response.status_code"] == code
    assert attributes["error.type"] == "IntegrityError"
    assert "hush" not in failed.to_json()
    duration = values("db.client.operation.duration")
    assert duration["INSERT", "IntegrityError", database.engine.dialect.name] == 1


async def test_requests_at_the_same_time_count_their_own_statements(database: Database) -> None:
    async def answer(number: int) -> StatementCounts:
        request = RequestContext(request_id=f"request-{number}")
        request_context.set(request)
        for _ in range(number):
            async with database.read_transaction() as session:
                await session.execute(text(f"SELECT {number}").columns())
                await asyncio.sleep(0)
        return request.statements

    tasks = [asyncio.ensure_future(answer(number)) for number in range(1, 4)]
    counts = await asyncio.gather(*tasks)

    assert [count.by_text.get("SELECT ?") for count in counts] == [1, 2, 3]


async def test_a_statement_that_is_cancelled_is_measured_and_ends_its_span(
    postgres_url: str,
    tracer_provider: TracerProvider,
    exporter: InMemorySpanExporter,
    reader: InMemoryMetricReader,
    values: Values,
) -> None:
    database = Database(postgres_url)
    meter_provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    instrument_engine(
        database.engine, tracer_provider=tracer_provider, meter_provider=meter_provider
    )

    has_started = asyncio.Event()
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *_: has_started.set())

    async def wait_for_long() -> None:
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_sleep(30)"))

    with tracer_provider.get_tracer("test").start_as_current_span("request"):
        task = asyncio.ensure_future(wait_for_long())
        await has_started.wait()
        task.cancel()
        await asyncio.wait([task])
    await database.dispose()

    (query,) = _queries(exporter)
    assert (query.attributes or {})["error.type"] == "CancelledError"
    duration = values("db.client.operation.duration")
    assert duration["CancelledError", "SELECT", "postgresql"] == 1


async def test_the_pool_tells_how_it_is_used(database: Database, values: Values) -> None:
    async with database.transaction() as session:
        await session.execute(text("SELECT 1"))
        busy = values("db.client.connection.count")

    idle = values("db.client.connection.count")
    assert busy["database", "used"] == 1
    assert idle["database", "used"] == 0
    assert idle["database", "idle"] == 1
    assert values("db.client.connection.wait_time")[("database",)] == 1
    most = 1 if database.engine.dialect.name == "sqlite" else 3
    assert values("db.client.connection.max")[("database",)] == most


async def test_the_pool_tells_who_waits_and_who_has_waited_in_vain(
    any_postgres_url: str, reader: InMemoryMetricReader, values: Values
) -> None:
    settings = DatabaseSettings(pool_size=1, pool_timeout=timedelta(milliseconds=200))
    database = Database(any_postgres_url, settings=settings)
    meter_provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    observe_pool(database.engine, name="database", meter_provider=meter_provider)

    async with database.transaction() as session:
        await session.execute(text("SELECT 1"))
        waiting = asyncio.ensure_future(database.ping())
        while not values("db.client.connection.pending_requests")[("database",)]:  # noqa: ASYNC110 -- nobody is told
            await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await waiting

    assert values("db.client.connection.pending_requests")[("database",)] == 0
    assert values("db.client.connection.timeouts")[("database",)] == 1
    await database.dispose()


@pytest.fixture(params=["asyncpg", "psycopg"])
def any_postgres_url(request: pytest.FixtureRequest, postgres_url: str) -> str:
    return postgres_url.replace("://", f"+{request.param}://", 1)
