import json
import logging
from datetime import timedelta

import pytest
from starlette.types import Message

from fastapi_baseline import UnavailableError, context
from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.middleware.refusal import refuse


async def _refuse() -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    error = UnavailableError(retry_after=timedelta(seconds=1.5))
    await refuse(error, scope={"type": "http", "path": "/ä"}, receive=receive, send=send)
    return sent


async def test_answers_with_a_problem() -> None:
    request_context.set(RequestContext(request_id="abcdefgh"))

    start, body = await _refuse()

    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"2"
    assert json.loads(body["body"])["request_id"] == "abcdefgh"
    assert json.loads(body["body"])["instance"] == "/%C3%A4"


async def test_leaves_the_code_to_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request_context.set(RequestContext(request_id="abcdefgh"))

    await _refuse()

    current = context.current()
    assert current is not None
    assert current.fields == {"code": "unavailable"}
    assert caplog.records == []


async def test_needs_no_context() -> None:
    _, body = await _refuse()

    assert json.loads(body["body"])["request_id"] is None
