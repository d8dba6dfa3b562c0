"""A service whose requests and parts take as long as a test says."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from fastapi_baseline import Settings
from fastapi_baseline.health import HealthMonitor, make_health_router
from fastapi_baseline.lifecycle import (
    Availability,
    GracefulShutdown,
    Lifespan,
    chain_lifespans,
)
from fastapi_baseline.middleware.draining import DrainingMiddleware

logging.basicConfig(level="INFO", format="%(message)s")


class ServedSettings(Settings):
    hangs: str = ""


settings = ServedSettings()
availability = Availability()
monitor = HealthMonitor(settings=settings.health, availability=availability)
shutdown = GracefulShutdown(
    availability,
    drain_delay=settings.drain_delay,
    limit=settings.drain_delay + settings.shutdown.grace + settings.shutdown.cleanup,
)


def _part(name: str) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: object) -> AsyncGenerator[None]:
        del app
        yield
        if settings.hangs == name:
            await asyncio.Event().wait()
        if settings.hangs == f"{name} with the loop":
            time.sleep(600)  # noqa: ASYNC251 -- that is the point
        print(f"stopped {name} in {os.getpid()}", flush=True)  # noqa: T201 -- for the test

    lifespan.__qualname__ = name
    return lifespan


app = FastAPI(
    lifespan=chain_lifespans(
        shutdown.lifespan,
        monitor.lifespan,
        _part("pool"),
        _part("consumer"),
        _part("cache"),
        budget=settings.shutdown.cleanup,
    )
)
app.state.baseline_settings = settings
app.include_router(make_health_router(monitor, details=True))
app.add_middleware(DrainingMiddleware, availability=availability)


@app.get("/")
async def answer() -> str:
    return "hello"


@app.get("/until-after")
async def answer_late(seconds: float) -> StreamingResponse:
    """Begin at once, and end some time after the process was told to stop."""

    async def body() -> AsyncIterator[str]:
        yield "begun\n"
        await availability.wait_until_draining()
        await asyncio.sleep(timedelta(seconds=seconds).total_seconds())
        yield "done\n"

    return StreamingResponse(body())


@app.get("/for-ever")
async def answer_never() -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        yield "begun\n"
        await asyncio.Event().wait()

    return StreamingResponse(body())
