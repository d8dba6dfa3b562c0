import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fastapi_baseline.middleware import AccessLogMiddleware

SCOPE: Scope = {"type": "websocket", "path": "/ws", "client": ("127.0.0.1", 1)}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="fastapi_baseline.access")
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(line)["fields"] for line in log.records if line.name == "fastapi_baseline.access"]


async def converse(
    *sent: Message, received: tuple[Message, ...] = (), then: Callable[[], None] = lambda: None
) -> None:
    messages = iter(received)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in sent:
            await send(message)
        for _ in received:
            await receive()
        then()

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        pass

    await AccessLogMiddleware(app)(SCOPE, receive, send)


async def test_notes_the_beginning_and_the_end(log: pytest.LogCaptureFixture) -> None:
    await converse(
        {"type": "websocket.accept"},
        {"type": "websocket.send", "text": "a"},
        {"type": "websocket.send", "text": "b"},
        received=(
            {"type": "websocket.receive", "text": "c"},
            {"type": "websocket.disconnect", "code": 1001},
        ),
    )

    opened, closed = lines(log)
    assert (opened["event"], opened["path"], opened["client"]) == ("opened", "/ws", "127.0.0.1")
    assert (closed["event"], closed["code"]) == ("closed", 1001)
    assert (closed["received_messages"], closed["sent_messages"]) == (1, 2)
    assert closed["duration_ms"] >= 0


async def test_takes_the_code_of_whoever_was_first(log: pytest.LogCaptureFixture) -> None:
    await converse(
        {"type": "websocket.accept"},
        {"type": "websocket.close", "code": 4000},
        received=({"type": "websocket.disconnect", "code": 1006},),
    )

    assert lines(log)[1]["code"] == 4000


async def test_notes_a_refusal(log: pytest.LogCaptureFixture) -> None:
    await converse({"type": "websocket.close"})

    (fields,) = lines(log)
    assert (fields["event"], fields["status"]) == ("refused", 403)


async def test_notes_with_which_status_it_was_refused(log: pytest.LogCaptureFixture) -> None:
    await converse({"type": "websocket.http.response.start", "status": 401, "headers": []})

    assert lines(log)[0]["status"] == 401


async def test_warns_about_a_handshake_that_is_left_open(log: pytest.LogCaptureFixture) -> None:
    await converse()

    assert lines(log)[0]["status"] == 500
    assert log.records[0].levelname == "WARNING"


async def test_warns_about_defects(log: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await converse({"type": "websocket.accept"}, then=fail)

    assert lines(log)[1]["code"] == 1011
    assert [record.levelname for record in log.records] == ["INFO", "WARNING"]


def test_knows_the_route(log: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    router = APIRouter()

    @router.websocket("/rooms/{name}")
    async def talk(socket: WebSocket, name: str) -> None:
        await socket.accept()
        await socket.close()

    app.include_router(router, prefix="/v1")
    app.add_middleware(AccessLogMiddleware)

    client = TestClient(app)
    with client.websocket_connect("/v1/rooms/lobby") as socket, pytest.raises(WebSocketDisconnect):
        socket.receive_text()

    assert [fields["route"] for fields in lines(log)] == ["/v1/rooms/{name}"] * 2
