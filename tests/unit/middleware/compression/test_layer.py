import asyncio
import hashlib
import importlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.middleware.compression import CompressionMiddleware
from fastapi_baseline.settings import CompressionSettings

BROTLI: Any = importlib.import_module("brotli")  # It has no types.
JSON = (b"content-type", b"application/json")
LONG = b'{"name": "ann"}, ' * 200
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "br": BROTLI.decompress,
    "gzip": lambda data: zlib.decompress(data, 31),
    "identity": bytes,
}


class Answer:
    def __init__(self, sent: Sequence[Message], scope: Scope) -> None:
        self.sent = sent
        self.scope = scope
        [self.start] = [one for one in sent if one["type"] == "http.response.start"]
        self.headers: dict[str, str] = {
            name.decode(): value.decode("latin-1") for name, value in self.start["headers"]
        }
        assert len(self.headers) == len(self.start["headers"]), "a header is there twice"
        self.encoding = self.headers.get("content-encoding", "identity")
        self.raw = b"".join(one.get("body", b"") for one in sent)

    @property
    def body(self) -> bytes:
        return DECODE[self.encoding](self.raw)


def _scope(accept: str | None = "gzip", *, method: str = "GET", **headers: str) -> Scope:
    sent = {"accept-encoding": accept, **headers} if accept is not None else headers
    return {
        "type": "http",
        "method": method,
        "path": "/x",
        "headers": [
            (name.replace("_", "-").encode(), (value or "").encode())
            for name, value in sent.items()
        ],
    }


async def _answer(
    messages: Iterable[Message], scope: Scope | None = None, **settings: Any
) -> Answer:
    sent: list[Message] = []
    seen: Scope = scope or _scope()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    layer = CompressionMiddleware(app, settings=CompressionSettings(**settings))
    await layer(seen, receive, send)
    return Answer(sent, seen)


def _whole(body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> list[Message]:
    length = (b"content-length", str(len(body)).encode())
    return [
        {"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]},
        {"type": "http.response.body", "body": body},
    ]


def _stream(*parts: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> list[Message]:
    return [
        {"type": "http.response.start", "status": 200, "headers": [JSON, *headers]},
        *({"type": "http.response.body", "body": part, "more_body": True} for part in parts),
        {"type": "http.response.body"},
    ]


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
async def test_sends_a_body_encoded(coding: str) -> None:
    answer = await _answer(_whole(LONG), _scope(coding))

    assert answer.body == LONG
    assert answer.headers == {
        "content-type": "application/json",
        "vary": "Accept-Encoding",
        "content-encoding": coding,
        "content-length": str(len(answer.raw)),
    }
    assert len(answer.raw) < len(LONG) / 10


@pytest.mark.parametrize("accept", [None, "", "gzip;q=0", "deflate", "gzip;q=two", "*;q=0"])
async def test_sends_a_body_as_it_is_to_who_takes_no_coding(accept: str | None) -> None:
    answer = await _answer(_whole(LONG), _scope(accept))

    assert answer.raw == LONG
    assert answer.headers["content-length"] == str(len(LONG))
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(("size", "encoding"), [(1_023, "identity"), (1_024, "gzip")])
async def test_sends_a_small_body_as_it_is(size: int, encoding: str) -> None:
    body = (LONG * 2)[:size]

    declared = await _answer(_whole(body))
    undeclared = await _answer([{**_stream()[0]}, {"type": "http.response.body", "body": body}])

    assert declared.encoding == undeclared.encoding == encoding
    assert declared.body == undeclared.body == body
    assert declared.headers["vary"] == undeclared.headers["vary"] == "Accept-Encoding"


async def test_encodes_a_small_body_for_who_refuses_it_as_it_is() -> None:
    answer = await _answer(_whole(b"[]"), _scope("gzip, identity;q=0"))

    assert answer.encoding == "gzip"
    assert answer.body == b"[]"


async def test_encodes_a_dense_body_for_who_refuses_it_as_it_is() -> None:
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"a/b+zip")],
    }

    answer = await _answer([start, *_whole(LONG)[1:]], _scope("gzip, *;q=0"))

    assert answer.encoding == "gzip"
    assert answer.body == LONG


async def test_encodes_nothing_that_is_empty() -> None:
    answer = await _answer(_whole(b""), _scope("gzip, identity;q=0"))

    assert answer.encoding == "identity"
    assert answer.headers["content-length"] == "0"


async def test_sends_a_body_as_it_is_if_it_would_not_get_smaller() -> None:
    noise = hashlib.shake_128(b"noise").digest(5_000)

    answer = await _answer(_whole(noise, (b"etag", b'"1"'), (b"accept-ranges", b"bytes")))

    assert answer.raw == noise
    assert answer.encoding == "identity"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == "5000"


@pytest.mark.parametrize("status", [204, 205, 206, 304])
async def test_leaves_statuses_without_a_whole_body_alone(status: int) -> None:
    answer = await _answer(_whole(LONG, (b"etag", b'"1"'), status=status))

    assert answer.encoding == "identity"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"content-encoding", b"br"),
        (b"cache-control", b"private, no-transform"),
        (b"content-type", b"text/event-stream"),
        (b"content-type", b"image/png"),
    ],
)
async def test_leaves_what_is_not_to_be_encoded_as_it_is(name: bytes, value: bytes) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [(name, value)]}

    answer = await _answer([start, *_whole(LONG)[1:]])

    assert answer.raw == LONG
    assert answer.headers[name.decode()] == value.decode()
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_passes_events_on_when_they_are_sent() -> None:
    events = [b"data: 1\n\n", b"data: 2\n\n"]
    messages = _stream(*events)
    messages[0]["headers"] = [(b"content-type", b"text/event-stream")]

    answer = await _answer(messages)

    assert answer.sent[1:] == messages[1:]


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
async def test_encodes_a_stream_part_by_part(coding: str) -> None:
    parts = [b"first " * 10, b"second " * 10, b"", b"third"]

    answer = await _answer(
        _stream(*parts, headers=[(b"content-length", b"2000"), (b"accept-ranges", b"bytes")]),
        _scope(coding),
    )

    assert answer.body == b"".join(parts)
    assert len(answer.sent) == 6
    assert "content-length" not in answer.headers
    assert "accept-ranges" not in answer.headers
    assert [bool(one["body"]) for one in answer.sent[1:]] == [True, True, False, True, True]


async def test_what_is_sent_can_be_read_before_the_next_part_is_there() -> None:
    read = zlib.decompressobj(31)
    received: list[bytes] = []
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        received.append(read.decompress(message.get("body", b"")))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in _stream(b"one", b"two"):
            await send(message)
            if message["type"] == "http.response.body" and message.get("more_body"):
                assert received[-1] == message["body"]

    layer = CompressionMiddleware(app, settings=CompressionSettings())
    await layer(_scope(), _never, send)

    assert received == [b"", b"one", b"two", b""]
    assert sent[0]["type"] == "http.response.start"


async def _never() -> Message:
    raise AssertionError


async def test_a_stream_that_says_that_it_is_small_stays_as_it_is() -> None:
    answer = await _answer(_stream(b"a", b"b", headers=[(b"content-length", b"2")]))

    assert answer.encoding == "identity"
    assert answer.headers["content-length"] == "2"


@given(
    st.lists(st.binary(max_size=3_000), max_size=6),
    st.sampled_from(["zstd", "br", "gzip", "*", "identity", "br;q=0.5, gzip;q=0.4"]),
    st.sampled_from([0, 500]),
)
def test_what_was_sent_arrives_however_it_is_cut(
    parts: list[bytes], accept: str, thread_size: int
) -> None:
    messages = _stream(*parts)
    last = parts[-1] if parts else b""
    cut = [*messages[: 1 + len(parts[:-1])], {"type": "http.response.body", "body": last}]

    for variant in (messages, cut):
        answer = asyncio.run(_answer(variant, _scope(accept), thread_size=thread_size))
        assert answer.body == b"".join(parts)


class _CountingExecutor(ThreadPoolExecutor):
    submitted = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        self.submitted += 1
        return super().submit(*args, **kwargs)


@pytest.mark.parametrize(("size", "threads"), [(19_999, 0), (20_000, 2)])
async def test_encodes_large_bodies_and_parts_in_a_thread(size: int, threads: int) -> None:
    executor = _CountingExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    body = (LONG * 20)[:size]

    whole = await _answer(_whole(body), thread_size=20_000)
    stream = await _answer(_stream(body), thread_size=20_000)

    assert whole.body == stream.body == body
    assert executor.submitted == threads


@given(st.lists(st.binary(max_size=30), max_size=3), st.binary(max_size=30))
def test_any_headers_get_an_answer_that_can_be_read(accepted: list[bytes], asked: bytes) -> None:
    scope: Scope = {
        **_scope(None),
        "headers": [
            *((b"accept-encoding", value) for value in accepted),
            (b"if-none-match", asked),
            (b"if-match", asked + b'-gzip"'),
        ],
    }

    answer = asyncio.run(_answer(_whole(LONG, (b"etag", asked)), scope))

    assert answer.body == LONG


@pytest.mark.parametrize(
    ("tag", "encoded"), [(b'"1"', '"1-gzip"'), (b'W/"1"', 'W/"1"'), (b"1", "1")]
)
async def test_gives_each_encoding_a_strong_tag_of_its_own(tag: bytes, encoded: str) -> None:
    whole = await _answer(_whole(LONG, (b"ETag", tag)))
    stream = await _answer(_stream(LONG, headers=[(b"ETag", tag)]))
    plain = await _answer(_whole(LONG, (b"ETag", tag)), _scope(None))

    assert whole.headers["ETag"] == stream.headers["ETag"] == encoded
    assert plain.headers["ETag"] == tag.decode()


@pytest.mark.parametrize("name", ["if_match", "if_none_match"])
async def test_the_application_is_asked_with_the_tags_that_it_made(name: str) -> None:
    scope = _scope("gzip", host="test", **{name: '"1-gzip"'})

    answer = await _answer(_whole(b""), scope)

    assert answer.scope is scope
    assert dict(scope["headers"]) == {
        b"accept-encoding": b"gzip",
        b"host": b"test",
        name.replace("_", "-").encode(): b'"1", "1-gzip"',
    }


@pytest.mark.parametrize(
    ("accept", "asked", "confirmed"),
    [
        ("gzip", '"1-gzip"', '"1-gzip"'),
        ("gzip", '"1"', '"1"'),
        ("br, gzip", '"1-gzip"', '"1-gzip"'),
        ("br, gzip", '"1-gzip", "1"', '"1"'),
        ("br, gzip", '"1-gzip", "1", "1-br"', '"1-br"'),
        (None, '"1-gzip"', '"1-gzip"'),
        (None, '"1-gzip", "1"', '"1"'),
        ("gzip", "*", '"1"'),
    ],
)
async def test_a_304_names_the_variant_that_the_client_has(
    accept: str | None, asked: str, confirmed: str
) -> None:
    unchanged = [
        {"type": "http.response.start", "status": 304, "headers": [(b"etag", b'"1"')]},
        {"type": "http.response.body"},
    ]

    answer = await _answer(unchanged, _scope(accept, if_none_match=asked))

    assert answer.headers == {"etag": confirmed, "vary": "Accept-Encoding"}
    assert answer.raw == b""


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (
            b"5000",
            {"vary": "Accept-Encoding", "etag": '"1-gzip"', "content-encoding": "gzip"},
        ),
        (b"10", {"vary": "Accept-Encoding", "etag": '"1"', "content-length": "10"}),
    ],
)
async def test_head_has_the_headers_of_get(length: bytes, expected: Mapping[str, str]) -> None:
    headers = [JSON, (b"content-length", length), (b"etag", b'"1"')]
    messages = [
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": b""},
    ]

    answer = await _answer(messages, _scope(method="HEAD"))

    assert answer.headers == {"content-type": "application/json", **expected}
    assert answer.raw == b""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["Accept-Encoding"]),
        ([b"Origin"], ["Origin, Accept-Encoding"]),
        ([b"Origin, accept-encoding"], ["Origin, accept-encoding"]),
        ([b"*"], ["*"]),
        ([b"Origin", b"Cookie"], ["Origin, Accept-Encoding", "Cookie"]),
        ([b"Cookie", b"Accept-Encoding"], ["Cookie", "Accept-Encoding"]),
        ([b"Accept-Encoding", b"Cookie"], ["Accept-Encoding", "Cookie"]),
        ([b"Accept-Encoding-Not"], ["Accept-Encoding-Not, Accept-Encoding"]),
    ],
)
@pytest.mark.parametrize("status", [200, 304])
async def test_says_that_the_response_depends_on_what_the_client_takes(
    before: list[bytes], after: list[str], status: int
) -> None:
    sent: list[Message] = []
    headers = [(b"Vary", value) for value in before]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    async def send(message: Message) -> None:
        sent.append(message)

    await CompressionMiddleware(app, settings=CompressionSettings())(_scope(), _never, send)

    values = [value.decode() for name, value in sent[0]["headers"] if name.lower() == b"vary"]
    assert values == after
    assert headers == [(b"Vary", value) for value in before]


async def test_finds_a_directive_in_any_of_several_headers() -> None:
    values = [b"no-transform", b"max-age=60"]
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"Cache-Control", value) for value in values]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": LONG})

    async def send(message: Message) -> None:
        sent.append(message)

    await CompressionMiddleware(app, settings=CompressionSettings())(_scope(), _never, send)

    assert sent[1]["body"] == LONG


async def test_does_not_change_the_messages_of_the_application() -> None:
    messages = _whole(LONG, (b"etag", b'"1"'))
    copy = [{**one} for one in messages]
    headers = list(messages[0]["headers"])

    await _answer(messages)
    again = await _answer(messages)

    assert messages == copy
    assert messages[0]["headers"] == headers
    assert again.body == LONG


@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend"])
async def test_leaves_a_body_that_the_server_reads_itself(kind: str) -> None:
    messages = [_whole(LONG)[0], {"type": kind, "path": "/a"}]

    answer = await _answer(messages)

    assert answer.encoding == "identity"
    assert answer.headers["content-length"] == str(len(LONG))
    assert answer.sent[1] == messages[1]


async def test_keeps_trailers_after_the_body() -> None:
    start, body = _whole(LONG)
    trailers = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}

    answer = await _answer([{**start, "trailers": True}, body, trailers])

    assert answer.body == LONG
    assert answer.start["trailers"] is True
    assert "content-length" not in answer.headers
    assert answer.sent[-1] == trailers


async def test_lets_hints_go_before_the_response() -> None:
    hint = {"type": "http.response.early_hint", "links": [b"</a>"]}
    start, body = _whole(LONG)

    answer = await _answer([start, hint, body])

    assert [one["type"] for one in answer.sent] == [
        "http.response.early_hint",
        "http.response.start",
        "http.response.body",
    ]


async def test_an_error_before_the_body_is_one_before_the_response() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(_whole(LONG)[0])
        raise RuntimeError

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError):
        await CompressionMiddleware(app, settings=CompressionSettings())(_scope(), _never, send)

    assert sent == []


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "lifespan"},
        {"type": "websocket", "path": "/x", "headers": [(b"accept-encoding", b"gzip")]},
        {**_scope("gzip", if_match='"1-gzip"'), "path": "/livez"},
    ],
    ids=["lifespan", "websocket", "exempt path"],
)
async def test_passes_other_scopes_through_untouched(scope: Scope) -> None:
    seen: list[tuple[Scope, Receive, Send]] = []
    before = dict(scope)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def send(message: Message) -> None:
        raise AssertionError

    layer = CompressionMiddleware(
        app, settings=CompressionSettings(), exempt_paths=["/livez", "/readyz"]
    )
    await layer(scope, _never, send)

    assert seen == [(before, _never, send)]


async def test_offers_only_what_the_settings_name() -> None:
    answer = await _answer(_whole(LONG), _scope("zstd, br, gzip"), encodings=("gzip", "br"))
    none = await _answer(_whole(LONG), _scope("zstd, br, gzip"), encodings=())

    assert answer.encoding == "gzip"
    assert none.raw == LONG


def test_refuses_an_encoding_that_there_is_not() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    with pytest.raises(ConfigurationError, match="deflate"):
        CompressionMiddleware(app, settings=CompressionSettings(encodings=("deflate",)))


async def test_requests_at_the_same_time_do_not_meet() -> None:
    bodies = [str(number).encode() * 5_000 for number in range(20)]

    answers = await asyncio.gather(
        *(
            _answer(_stream(body, body), _scope(coding), thread_size=4_000)
            for body in bodies
            for coding in ("zstd", "br", "gzip")
        )
    )

    assert [answer.body for answer in answers] == [body * 2 for body in bodies for _ in range(3)]
