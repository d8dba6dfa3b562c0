"""What the tests of bodies ask for over a socket."""

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.middleware import Middleware

from fastapi_baseline.middleware import ErrorBoundaryMiddleware, make_exception_handlers
from fastapi_baseline.middleware.compression import CompressionMiddleware
from fastapi_baseline.middleware.conditional_requests import ConditionalRequestsMiddleware
from fastapi_baseline.settings import CompressionSettings

FOLDER = tempfile.TemporaryDirectory()
FILE = Path(FOLDER.name) / "numbers.json"
FILE.write_text(json.dumps([{"number": number} for number in range(20_000)]), encoding="utf-8")

app = FastAPI(
    middleware=[
        Middleware(ErrorBoundaryMiddleware),
        Middleware(CompressionMiddleware, settings=CompressionSettings()),
        Middleware(ConditionalRequestsMiddleware, make_etags=True),
    ],
    exception_handlers={**make_exception_handlers(validation_status=422)},
)
released = asyncio.Event()


@app.get("/lamps")
@app.head("/lamps")
async def list_lamps(response: Response) -> list[str]:
    response.headers["ETag"] = '"7"'
    return ["blue", "red"] * 500


@app.get("/untagged")
async def list_untagged() -> list[str]:
    return ["blue", "red"] * 500


@app.get("/file")
async def get_file() -> FileResponse:
    return FileResponse(FILE, media_type="application/json")


@app.get("/parts")
async def get_parts() -> StreamingResponse:
    async def parts() -> AsyncGenerator[str]:
        yield "first"
        await released.wait()
        yield "second"

    return StreamingResponse(parts(), media_type="text/plain")


@app.post("/release", status_code=204)
async def release() -> None:
    released.set()


@app.get("/events")
async def get_events() -> StreamingResponse:
    async def events() -> AsyncGenerator[str]:
        yield "data: 1\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/endless")
async def get_endless() -> StreamingResponse:
    async def parts() -> AsyncGenerator[str]:
        try:
            while True:
                yield "again and again"
                await asyncio.sleep(0)
        finally:
            print("The endless stream has ended.", flush=True)  # noqa: T201 -- the test waits for it

    return StreamingResponse(parts(), headers={"ETag": '"e"'}, media_type="text/plain")


@app.get("/broken")
async def get_broken() -> None:
    raise RuntimeError("x" * 5_000)
