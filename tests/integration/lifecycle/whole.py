"""The same requests in a service that `create_app` has built."""

import asyncio
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

from fastapi_baseline import Settings, create_app
from fastapi_baseline.health import CurrentAvailability

app = create_app(Settings.load())


@app.get("/")
async def answer() -> str:
    return "hello"


@app.get("/until-after")
async def answer_late(seconds: float, availability: CurrentAvailability) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        yield "begun\n"
        await availability.wait_until_draining()
        await asyncio.sleep(seconds)
        yield "done\n"

    return StreamingResponse(body())
