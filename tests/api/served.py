"""An application for tests that need a real socket."""

from collections.abc import AsyncIterator

from fastapi import WebSocket
from fastapi.responses import StreamingResponse

from fastapi_baseline import Settings, create_app

app = create_app(Settings(cors_origins=("https://a.example",)))


@app.get("/crash")
async def crash() -> None:
    raise RuntimeError("broken")


@app.get("/half")
async def send_half() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first half"
        raise RuntimeError("broken")

    return StreamingResponse(parts())


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    text = await socket.receive_text()
    if text == "crash":
        raise RuntimeError("broken")
    await socket.send_text(text)
    await socket.close()
