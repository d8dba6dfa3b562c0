import logging
from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fastapi_baseline import ConflictError
from fastapi_baseline.middleware import ErrorBoundaryMiddleware

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}
END: Message = {"type": "http.response.body", "body": b"end"}


async def _answer(
    messages: Sequence[Message], error: Exception | None, *, kind: str = "http"
) -> list[Message]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": kind, "method": "GET", "path": "/x", "query_string": b"", "headers": []}
    await ErrorBoundaryMiddleware(app)(scope, receive, send)
    return sent


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.message for line in caplog.records if line.levelno >= logging.ERROR]


async def test_answers_an_error_and_logs_it_once(caplog: pytest.LogCaptureFixture) -> None:
    sent = await _answer([], RuntimeError("secret"))

    assert sent[0]["status"] == 500
    assert b"secret" not in sent[1]["body"]
    assert _errors(caplog) == ["Unhandled RuntimeError"]


async def test_answers_an_error_of_a_layer_with_its_status(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = await _answer([], ConflictError("Taken."))

    assert sent[0]["status"] == 409
    assert _errors(caplog) == []


async def test_passes_an_error_on_when_the_response_is_cut_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RuntimeError):
        await _answer([START, PART], RuntimeError())

    assert _errors(caplog) == ["Unhandled RuntimeError"]


async def test_keeps_an_error_after_the_whole_response_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = await _answer([START, END], RuntimeError())

    assert sent == [START, END]
    assert _errors(caplog) == ["Unhandled RuntimeError"]


async def test_closes_a_websocket_as_the_standard_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = await _answer([{"type": "websocket.accept"}], RuntimeError(), kind="websocket")

    assert sent[1] == {"type": "websocket.close", "code": 1011, "reason": ""}
    assert _errors(caplog) == ["Unhandled RuntimeError"]


async def test_does_not_close_a_websocket_twice(caplog: pytest.LogCaptureFixture) -> None:
    closing: Message = {"type": "websocket.close", "code": 1000}

    sent = await _answer([closing], RuntimeError(), kind="websocket")

    assert sent == [closing]
    assert _errors(caplog) == ["Unhandled RuntimeError"]


async def test_lets_a_lifespan_fail() -> None:
    with pytest.raises(RuntimeError):
        await _answer([], RuntimeError(), kind="lifespan")


@pytest.mark.parametrize("messages", [[], [START, PART]])
async def test_takes_a_client_that_has_gone_for_no_error(
    messages: list[Message], caplog: pytest.LogCaptureFixture
) -> None:
    sent = await _answer(messages, ClientDisconnect())

    assert sent == messages
    assert caplog.records == []


async def test_takes_the_end_of_a_conversation_for_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = await _answer([{"type": "websocket.accept"}], WebSocketDisconnect(), kind="websocket")

    assert sent == [{"type": "websocket.accept"}]
    assert caplog.records == []


async def test_does_not_close_a_websocket_that_the_client_has_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise RuntimeError

    async def receive() -> Message:
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(message: Message) -> None:
        sent.append(message)

    await ErrorBoundaryMiddleware(app)({"type": "websocket", "path": "/x"}, receive, send)

    assert sent == []
    assert _errors(caplog) == ["Unhandled RuntimeError"]
