import asyncio
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.middleware.conditional_requests import ConditionalRequestsMiddleware

TAG = (b"etag", b'"1"')
TYPE = (b"content-type", b"application/json")
SAME = {"if-none-match": '"1"'}
OTHER = {"if-match": '"2"'}


async def _never() -> Message:
    raise AssertionError


async def _answer(
    messages: Iterable[Message],
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
    make_etags: bool = False,
) -> list[Message]:
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": "/x",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async def send(message: Message) -> None:
        sent.append(message)

    await ConditionalRequestsMiddleware(app, make_etags=make_etags)(scope, _never, send)
    return sent


def _start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [*headers]}


def _whole(*headers: tuple[bytes, bytes], status: int = 200, body: bytes = b"[]") -> list[Message]:
    return [_start(*headers, status=status), {"type": "http.response.body", "body": body}]


def _stream(*headers: tuple[bytes, bytes]) -> list[Message]:
    part = {"type": "http.response.body", "body": b"part", "more_body": True}
    return [_start(*headers), part, dict(part), {"type": "http.response.body"}]


def _headers(sent: Sequence[Message]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "messages", [_whole(TAG, TYPE), _stream(TAG, TYPE)], ids=["whole", "stream"]
)
async def test_sends_no_body_to_who_has_it(method: str, messages: list[Message]) -> None:
    sent = await _answer(messages, SAME, method=method)

    assert sent == [_start(TAG, status=304), {"type": "http.response.body", "body": b""}]


async def test_a_304_keeps_what_a_cache_updates_and_drops_what_describes_the_body() -> None:
    kept = [
        (b"cache-control", b"private, max-age=60"),
        (b"content-location", b"/x.json"),
        (b"date", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        TAG,
        (b"expires", b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (b"vary", b"Accept"),
        (b"set-cookie", b"a=b"),
        (b"access-control-allow-origin", b"*"),
        (b"content-security-policy", b"default-src 'none'"),
        (b"x-own", b"1"),
    ]
    dropped = [
        TYPE,
        (b"Content-Length", b"2"),
        (b"content-encoding", b"br"),
        (b"content-language", b"en"),
        (b"content-range", b"bytes 0-1/2"),
        (b"content-disposition", b"attachment"),
        (b"accept-ranges", b"bytes"),
        (b"repr-digest", b"sha-256=:AAAA:"),
        (b"last-modified", b"Sun, 06 Nov 1994 08:49:37 GMT"),
    ]

    sent = await _answer(_whole(*dropped, *kept), SAME)

    assert sent[0] == _start(*kept, status=304)


async def test_a_304_without_a_tag_keeps_the_date() -> None:
    date = (b"last-modified", b"Sun, 06 Nov 1994 08:49:37 GMT")

    sent = await _answer(_whole(date, TYPE), {"if-modified-since": date[1].decode()})

    assert sent[0] == _start(date, status=304)


async def test_a_304_drops_trailers() -> None:
    start, body = _whole(TAG)
    trailers = {"type": "http.response.trailers", "headers": [(b"x", b"y")]}

    sent = await _answer([{**start, "trailers": True}, body, trailers], SAME)

    assert sent == [_start(TAG, status=304), {"type": "http.response.body", "body": b""}]


async def test_answers_without_headers_too() -> None:
    start = {"type": "http.response.start", "status": 200}

    sent = await _answer([start, {"type": "http.response.body"}], {"if-none-match": "*"})

    assert sent[0] == _start(status=304)


@pytest.mark.parametrize(
    "messages", [_whole(TAG, TYPE), _stream(TAG, TYPE)], ids=["whole", "stream"]
)
async def test_refuses_what_the_client_does_not_want(messages: list[Message]) -> None:
    sent = await _answer(messages, OTHER)

    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 412
    assert _headers(sent)["content-type"] == "application/problem+json"
    assert json.loads(sent[1]["body"])["code"] == "precondition_failed"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_answers_a_part_like_the_whole(method: str) -> None:
    part = _whole(TAG, (b"content-range", b"bytes 0-1/9"), status=206)

    known = await _answer(part, SAME, method=method)
    refused = await _answer(part, OTHER, method=method)

    assert known[0] == _start(TAG, status=304)
    assert refused[0]["status"] == 412


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
@pytest.mark.parametrize("asked", [SAME, OTHER, {"if-none-match": "*"}])
async def test_never_touches_other_methods(method: str, asked: dict[str, str]) -> None:
    messages = _whole(TAG, TYPE)

    assert await _answer(messages, asked, method=method, make_etags=True) == messages


@pytest.mark.parametrize("status", [201, 202, 203, 204, 301, 304, 400, 401, 404, 412, 416, 500])
@pytest.mark.parametrize("asked", [SAME, OTHER, {"if-none-match": "*"}])
async def test_never_touches_other_answers(status: int, asked: dict[str, str]) -> None:
    messages = _whole(TAG, TYPE, status=status)

    assert await _answer(messages, asked, make_etags=True) == messages


@pytest.mark.parametrize(
    "asked",
    [{}, {"if-none-match": '"2"'}, {"if-match": '"1"'}, {"if-none-match": "malformed"}],
    ids=["nothing", "another", "this", "malformed"],
)
@pytest.mark.parametrize(
    "messages", [_whole(TAG, TYPE), _stream(TAG, TYPE)], ids=["whole", "stream"]
)
async def test_passes_on_what_the_client_wants(
    asked: dict[str, str], messages: list[Message]
) -> None:
    assert await _answer(messages, asked) == messages


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_passes_other_scopes_through(kind: str) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    async def send(message: Message) -> None:
        raise AssertionError

    scope = {"type": kind}
    await ConditionalRequestsMiddleware(app, make_etags=True)(scope, _never, send)

    assert seen == [scope, _never, send]


async def test_adds_nothing_between_if_there_is_no_condition() -> None:
    seen: list[Send] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(send)

    async def send(message: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "GET", "headers": [(b"accept", b"*/*")]}
    await ConditionalRequestsMiddleware(app)(scope, _never, send)

    assert seen == [send]


async def test_tells_the_handler_of_a_stream_nothing_wrong() -> None:
    sent_parts = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent_parts
        for message in _stream(TAG):
            await send(message)
            sent_parts += 1

    async def send(message: Message) -> None:
        assert message["type"] in {"http.response.start", "http.response.body"}

    scope = {"type": "http", "method": "GET", "headers": [(b"if-none-match", b'"1"')]}
    await ConditionalRequestsMiddleware(app)(scope, _never, send)

    assert sent_parts == 4


async def test_makes_a_strong_tag_of_the_bytes() -> None:
    first = await _answer(_whole(TYPE, body=b"one"), make_etags=True)
    again = await _answer(_whole(TYPE, body=b"one"), make_etags=True)
    other = await _answer(_whole(TYPE, body=b"two"), make_etags=True)

    assert _headers(first)["etag"] == _headers(again)["etag"] != _headers(other)["etag"]
    assert _headers(first)["etag"].startswith('"')
    assert _headers(first)["content-type"] == "application/json"
    assert first[1:] == _whole(TYPE, body=b"one")[1:]


@given(st.binary(max_size=200))
def test_knows_the_tag_that_it_has_made(body: bytes) -> None:
    made = asyncio.run(_answer(_whole(TYPE, body=body), make_etags=True))
    tag = _headers(made)["etag"]

    again = asyncio.run(_answer(_whole(TYPE, body=body), {"if-none-match": tag}, make_etags=True))
    other = asyncio.run(
        _answer(_whole(TYPE, body=body + b"x"), {"if-none-match": tag}, make_etags=True)
    )

    assert again[0] == _start((b"etag", tag.encode()), status=304)
    assert other[0]["status"] == 200


@pytest.mark.parametrize(
    ("messages", "method"),
    [
        (_whole(TAG), "GET"),
        (_whole((b"ETag", b'W/"1"')), "GET"),
        (_whole((b"cache-control", b"private, No-Store")), "GET"),
        (_whole(status=404), "GET"),
        (_whole(status=206), "GET"),
        (_whole(body=b""), "HEAD"),
        (_stream(TYPE), "GET"),
        ([_start(TYPE), {"type": "http.response.pathsend", "path": "/x"}], "GET"),
    ],
    ids=["tag", "weak tag", "no-store", "404", "206", "HEAD", "stream", "file"],
)
async def test_makes_no_tag_where_there_is_one_or_can_be_none(
    messages: list[Message], method: str
) -> None:
    assert await _answer(messages, make_etags=True, method=method) == messages


async def test_lets_hints_go_while_it_waits_for_the_body() -> None:
    hint = {"type": "http.response.early_hint", "links": [b"</a>"]}
    start, body = _whole(TYPE)

    sent = await _answer([start, hint, body], make_etags=True)

    assert [one["type"] for one in sent] == [
        "http.response.early_hint",
        "http.response.start",
        "http.response.body",
    ]


class _CountingExecutor(ThreadPoolExecutor):
    submitted = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        self.submitted += 1
        return super().submit(*args, **kwargs)


@pytest.mark.parametrize(("size", "threads"), [(1024 * 1024 - 1, 0), (1024 * 1024, 1)])
async def test_makes_tags_of_large_bodies_in_a_thread(size: int, threads: int) -> None:
    executor = _CountingExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)

    sent = await _answer(_whole(body=bytes(size)), make_etags=True)

    assert "etag" in _headers(sent)
    assert executor.submitted == threads
