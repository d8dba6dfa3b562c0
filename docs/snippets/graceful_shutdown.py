"""What has no end by itself, and ends when the process is told to stop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse

from fastapi_baseline import Settings, create_app
from fastapi_baseline.health import CurrentAvailability
from fastapi_baseline.lifecycle import Availability
from fastapi_baseline.testing import running

# <start-stream>
router = APIRouter()


@router.get("/clock")
async def tell_the_time(availability: CurrentAvailability) -> StreamingResponse:
    """Tell the time once a second, until the client or the process goes away."""

    async def ticks() -> AsyncIterator[str]:
        while not availability.is_draining:
            yield "data: tick\n\n"
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await availability.wait_until_draining()

    return StreamingResponse(ticks(), media_type="text/event-stream")


# <end-stream>
# <start-lifespan>
@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Send what is queued while the application runs, and what is left when it stops."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    app.state.queue = queue
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send_for_ever(queue))
        yield
        await queue.join()
        sending.cancel()


# <end-lifespan>
sent: list[str] = []


async def send_for_ever(queue: asyncio.Queue[str]) -> None:
    """Send what comes."""
    while True:
        sent.append(await queue.get())
        queue.task_done()


async def test_a_stream_ends_when_the_process_is_told_to_stop() -> None:
    app = create_app(Settings(environment="test"), configure_logging=False)
    app.include_router(router)
    availability: Availability = app.state.availability

    async with asyncio.timeout(10), running(app) as client, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.get("/clock"))
        await asyncio.sleep(0)
        availability.begin_draining()

    assert asking.result().headers["connection"] == "close"


async def test_what_is_queued_is_sent_before_the_end() -> None:
    app = create_app(Settings(environment="test"), lifespan=lifespan, configure_logging=False)

    async with running(app):
        app.state.queue.put_nowait("hello")

    assert sent == ["hello"]
