import re

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline import context
from fastapi_baseline.middleware import RequestContextMiddleware
from fastapi_baseline.middleware.request_context import make_request_id


async def _seen_by(
    headers: list[tuple[bytes, bytes]], *, kind: str = "http", answer: Message | None = None
) -> tuple[str | None, list[Message]]:
    seen: str | None = None
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal seen
        current = context.current()
        seen = current.request_id if current else None
        await send(answer or {"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await RequestContextMiddleware(app, make_id=lambda: "made-by-us")(
        {"type": kind, "headers": headers}, receive, send
    )
    return seen, sent


async def test_keeps_a_plain_identifier_and_returns_it() -> None:
    seen, sent = await _seen_by([(b"x-request-id", b"abc-DEF_1.2")])

    assert seen == "abc-DEF_1.2"
    assert sent[0]["headers"] == [(b"x-request-id", b"abc-DEF_1.2")]


@pytest.mark.parametrize(
    "offered",
    [
        b"",
        b"short",
        b"a" * 65,
        b"a" * 10_240,
        b"abcdefgh\n",
        b"abcd\r\nefgh",
        b"abcd efgh",
        "abcdefgé".encode(),
        b"\xff" * 10,
        b'abcdefgh"',
    ],
)
async def test_replaces_an_identifier_that_is_not_plain(offered: bytes) -> None:
    seen, sent = await _seen_by([(b"x-request-id", offered)])

    assert seen == "made-by-us"
    assert sent[0]["headers"] == [(b"x-request-id", b"made-by-us")]


async def test_trusts_neither_of_two_identifiers() -> None:
    pairs = [(b"x-request-id", b"abcdefgh"), (b"x-request-id", b"ijklmnop")]

    seen, _ = await _seen_by(pairs)

    assert seen == "made-by-us"


async def test_overrules_an_identifier_that_the_application_set() -> None:
    answer = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"X-Request-ID", b"other"), (b"etag", b'"1"')],
    }

    _, sent = await _seen_by([], answer=answer)

    assert sent[0]["headers"] == [(b"etag", b'"1"'), (b"x-request-id", b"made-by-us")]


@pytest.mark.parametrize("message", ["websocket.accept", "websocket.http.response.start"])
async def test_identifies_what_answers_a_websocket(message: str) -> None:
    _, sent = await _seen_by([], kind="websocket", answer={"type": message})

    assert sent[0]["headers"] == [(b"x-request-id", b"made-by-us")]


async def test_passes_a_lifespan_through() -> None:
    seen, sent = await _seen_by([], kind="lifespan", answer={"type": "lifespan.startup.complete"})

    assert seen is None
    assert sent == [{"type": "lifespan.startup.complete"}]


async def test_leaves_no_context_behind() -> None:
    await _seen_by([])

    assert context.current() is None


async def test_makes_identifiers_of_its_own_that_it_would_accept() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await RequestContextMiddleware(app)({"type": "http", "headers": []}, receive, send)

    assert re.fullmatch(rb"[0-9a-f]{32}", dict(sent[0]["headers"])[b"x-request-id"])


@pytest.mark.parametrize("flags", [TraceFlags.DEFAULT, TraceFlags.SAMPLED])
def test_takes_the_identifier_of_the_trace_whether_it_is_sampled_or_not(flags: int) -> None:
    span = SpanContext(
        trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=TraceFlags(flags)
    )

    with trace.use_span(NonRecordingSpan(span)):
        request_id = make_request_id()

    assert request_id == "00000000000000000000000000000abc"


async def test_prefers_the_identifier_of_the_client_to_that_of_the_trace() -> None:
    span = SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False)

    with trace.use_span(NonRecordingSpan(span)):
        seen, _ = await _seen_by([(b"x-request-id", b"order-2026")])

    assert seen == "order-2026"


async def test_keeps_the_request_in_an_application_that_is_mounted() -> None:
    seen: list[str | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        current = context.current()
        seen.append(current.request_id if current else None)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    inner = RequestContextMiddleware(app, make_id=lambda: "inner")
    outer = RequestContextMiddleware(inner, make_id=lambda: "outer")
    await outer({"type": "http", "headers": []}, receive, send)

    assert seen == ["outer"]
