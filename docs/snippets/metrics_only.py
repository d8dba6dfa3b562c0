"""Metrics, without the rest."""

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

# <start>
from fastapi_baseline.observability.metrics import (
    EventLoopMonitor,
    PrometheusMeterProvider,
    make_metrics_router,
)

provider = PrometheusMeterProvider()
app = FastAPI(
    lifespan=EventLoopMonitor(provider).lifespan,
    telemetry={
        "meter_provider": provider,
        "exclude": lambda scope: scope["path"] == "/metrics",
    },
)
app.include_router(make_metrics_router())
# <end>


@app.get("/lamps/{number}")
async def get_lamp(number: int) -> int:
    """Return a lamp."""
    return number


async def test_metrics_work_without_the_rest() -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/lamps/1")
        text = (await client.get("/metrics")).text

    assert 'http_route="/lamps/{number}"' in text
    assert 'http_route="/metrics"' not in text
    assert "event_loop_lag_seconds_count" in text
