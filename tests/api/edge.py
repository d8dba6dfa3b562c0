"""An application for tests of its edge, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, UploadFile, WebSocket
from fastapi.responses import StreamingResponse

from fastapi_baseline import Settings, create_app, install
from fastapi_baseline.middleware.deadline import deadline

LIMIT = 100_000
settings = Settings.model_validate(
    {
        "trusted_proxies": ("loopback",),
        "trusted_hosts": ("127.0.0.1", "shop.example"),
        "requests": {"max_body_size": LIMIT, "timeout": 1, "max_in_flight": 5},
    }
)
app = create_app(settings)
installed = FastAPI()
mounted = FastAPI()
router = APIRouter(prefix="/included")
ended: list[str] = []
may_end = asyncio.Event()


@app.post("/bytes")
@app.post("/roomy", max_body_size=10 * LIMIT)
@mounted.post("/bytes")
@router.post("/bytes")
@installed.post("/bytes")
async def take_bytes(request: Request) -> int:
    return len(await request.body())


@app.post("/upload", dependencies=[Depends(deadline(timedelta(minutes=5)))])
async def upload(file: UploadFile) -> int:
    return len(await file.read())


@app.get("/client")
async def show_client(request: Request) -> list[str]:
    host = request.client.host if request.client else ""
    return [host, str(request.url), request.headers.get("x-forwarded-user", "")]


@app.websocket("/client")
async def show_client_of_websocket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json([socket.client.host if socket.client else "", str(socket.url)])
    await socket.receive_text()


@app.get("/hang")
async def hang() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("hang")


@app.get("/ended")
async def show_ended() -> list[str]:
    return ended


@app.get("/wait", dependencies=[Depends(deadline(None))])
async def wait() -> str:
    await may_end.wait()
    return "waited"


@app.websocket("/release")
async def release(socket: WebSocket) -> None:
    await socket.accept()
    may_end.set()
    await socket.close()


@app.get("/patient")
async def be_patient(allowed: Annotated[None, Depends(deadline(timedelta(minutes=5)))]) -> str:
    await asyncio.sleep(1.5)
    return "done"


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(1.5)
        yield b"b"

    return StreamingResponse(parts())


app.include_router(router)
app.mount("/mounted", mounted)
app.mount("/installed", install(installed, settings))
