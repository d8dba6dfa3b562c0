"""An application whose metrics are scraped, alone or by several processes."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry.metrics import Observation
from opentelemetry.sdk.trace import TracerProvider

from fastapi_baseline import Settings, create_app
from fastapi_baseline.observability.metrics import HealthMetrics, PrometheusMeterProvider
from fastapi_baseline.settings import BuildSettings, MetricsSettings

settings = Settings(
    environment="test",
    build=BuildSettings(version="1.2.3", commit="abc"),
    metrics=MetricsSettings(body_sizes=True),
)
app = create_app(settings, tracer_provider=TracerProvider())
provider = PrometheusMeterProvider()


class _Outcome:
    name = "database"
    fault = None
    duration = timedelta(milliseconds=3)


def _measure_all() -> None:
    """Use every instrument that the library has a name for."""
    meter = provider.get_meter("everything")
    pool: dict[str, Any] = {"db.client.connection.pool.name": "main"}
    HealthMetrics(provider).record(_Outcome())
    meter.create_histogram("http.client.request.duration", unit="s").record(
        0.2, {"http.request.method": "GET", "server.address": "other.example", "server.port": 443}
    )
    meter.create_histogram("db.client.operation.duration", unit="s").record(
        0.01, {"db.system.name": "postgresql", "db.operation.name": "SELECT"}
    )
    for state in ("idle", "used"):
        meter.create_up_down_counter("db.client.connection.count", unit="{connection}").add(
            1, {**pool, "db.client.connection.state": state}
        )
    meter.create_observable_up_down_counter(
        "db.client.connection.max", [lambda _: [Observation(10, pool)]], unit="{connection}"
    )
    meter.create_up_down_counter("db.client.connection.pending_requests", unit="{request}").add(
        1, pool
    )
    meter.create_counter("db.client.connection.timeouts", unit="{timeout}").add(1, pool)
    for name in ("wait_time", "use_time", "create_time"):
        meter.create_histogram(f"db.client.connection.{name}", unit="s").record(0.02, pool)
    meter.create_counter("orders.placed", unit="{order}").add(1, {"channel": "web"})
    meter.create_gauge("cache.fill", unit="1").set(0.5)


_measure_all()
router = APIRouter(prefix="/api")


@router.get("/tasks/{name}")
async def work(name: str) -> int:
    """Say which process has done it."""
    return os.getpid()


@router.get("/hold")
async def hold() -> StreamingResponse:
    """Say which process does it, and never end."""

    async def parts() -> AsyncIterator[str]:
        yield f"{os.getpid()}\n"
        await asyncio.Event().wait()

    return StreamingResponse(parts())


mounted = FastAPI()


@mounted.get("/thing/{name}")
async def show_thing(name: str) -> str:
    """Show it."""
    return name


app.include_router(router)
app.mount("/mounted", mounted)
