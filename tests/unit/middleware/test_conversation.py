import json
from typing import Any

import pytest
from fastapi import Depends, FastAPI, WebSocket

from fastapi_baseline import NotFoundError, Settings, UnauthenticatedError, create_app


async def _enter() -> None:
    raise UnauthenticatedError(challenge="Bearer")


@pytest.fixture
def app() -> FastAPI:
    app = create_app(Settings(), configure_logging=False)

    @app.websocket("/closed")
    async def close(socket: WebSocket) -> None:
        await socket.close(code=1008)

    @app.websocket("/guarded", dependencies=[Depends(_enter)])
    async def guarded(socket: WebSocket) -> None:
        await socket.accept()

    @app.websocket("/lost")
    async def lose(socket: WebSocket) -> None:
        await socket.accept()
        raise NotFoundError("No such room.")

    @app.websocket("/broken")
    async def break_down(socket: WebSocket) -> None:
        raise RuntimeError("broken")

    return app


async def _knock(app: FastAPI, path: str, *, can_respond: bool = True) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": path,
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}} if can_respond else {},
    }
    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/closed", 403, "forbidden"),
        ("/guarded", 401, "unauthenticated"),
        ("/broken", 500, "internal_error"),
        ("/nowhere", 403, "forbidden"),
    ],
)
async def test_answers_a_handshake_that_fails_with_a_problem(
    app: FastAPI, path: str, status: int, code: str
) -> None:
    start, body = await _knock(app, path)

    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert json.loads(body["body"])["code"] == code


async def test_keeps_the_challenge_of_a_handshake_without_credentials(app: FastAPI) -> None:
    start, _ = await _knock(app, "/guarded")

    assert dict(start["headers"])[b"www-authenticate"] == b"Bearer"


@pytest.mark.parametrize(
    ("path", "code"), [("/closed", 1008), ("/guarded", 1008), ("/broken", 1011)]
)
async def test_closes_a_handshake_where_the_server_knows_no_response(
    app: FastAPI, path: str, code: int
) -> None:
    (close,) = await _knock(app, path, can_respond=False)

    assert (close["type"], close["code"]) == ("websocket.close", code)


async def test_closes_a_conversation_that_an_error_has_ended(app: FastAPI) -> None:
    accept, close = await _knock(app, "/lost")

    assert accept["type"] == "websocket.accept"
    assert (close["type"], close["code"]) == ("websocket.close", 1008)
