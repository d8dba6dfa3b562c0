"""A service whose requests can be followed into other services; the test is run by pytest."""

# <start>
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from httpx2 import AsyncBaseTransport, AsyncClient, MockTransport, Request, Response
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import TracerProvider
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_baseline import Settings, create_app
from fastapi_baseline.observability.http_client import instrument_http_client
from fastapi_baseline.observability.redis import instrument_redis
from fastapi_baseline.observability.sqlalchemy import instrument_engine, observe_pool
from fastapi_baseline.observability.tracing import make_tracer_provider
from fastapi_baseline.testing import running


def make_service(
    settings: Settings,
    *,
    exporter: SpanExporter | None = None,
    transport: AsyncBaseTransport | None = None,
) -> FastAPI:
    """Return the service; a test passes both in."""
    provider = make_tracer_provider(settings, exporter=exporter)
    tracer = trace.get_tracer("shop", tracer_provider=provider)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncClient(transport=transport, base_url="https://stock.example") as client:
            instrument_http_client(client, tracer_provider=provider, propagate_to=["stock.example"])
            app.state.stock = client
            yield

    app = create_app(settings, tracer_provider=provider, lifespan=lifespan, configure_logging=False)

    @app.get("/prices/{number}")
    async def read_price(number: int) -> int:
        """Return a price, which depends on how many are left."""
        response = await app.state.stock.get(f"/lamps/{number}")
        with tracer.start_as_current_span("work out the price") as span:
            price = 100 - int(response.text)
            span.set_attribute("shop.price", price)
        return price

    return app


# <end>
# <start-own>
def trace_reports(engine: AsyncEngine, client: Redis, provider: TracerProvider) -> None:
    """Measure and trace what the reports use."""
    instrument_engine(engine, tracer_provider=provider)
    observe_pool(engine, name="reports")
    instrument_redis(client, tracer_provider=provider)


# <end-own>
# <start-test>
async def in_stock(request: Request) -> Response:
    """Answer as the other service would."""
    assert request.headers["traceparent"]
    assert request.headers["x-request-id"] == "an-id-of-the-caller"
    return Response(200, text="7")


async def test_a_price_is_traced() -> None:
    exporter = InMemorySpanExporter()
    app = make_service(
        Settings(environment="test"), exporter=exporter, transport=MockTransport(in_stock)
    )

    async with running(app) as client:
        answer = await client.get("/prices/1", headers={"X-Request-ID": "an-id-of-the-caller"})

    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert answer.json() == 93
    assert set(spans) == {"GET", "work out the price", "GET /prices/{number}"}
    assert spans["GET"].parent == spans["GET /prices/{number}"].get_span_context()


# <end-test>
