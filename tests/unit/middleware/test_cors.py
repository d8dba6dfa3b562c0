from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware.cors import CORSMiddleware as StarletteCORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline import Settings
from fastapi_baseline.middleware.cors import CORSMiddleware, make_cors

ORIGINS = (b"https://a.example", b"https://b.example", b"null", b"")
RawHeaders = list[tuple[bytes, bytes]]

raw_headers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b"vary",
                b"access-control-allow-origin",
                b"access-control-allow-credentials",
                b"access-control-expose-headers",
                b"content-type",
                b"set-cookie",
            ]
        ),
        st.sampled_from([b"Accept", b"Origin", b"*", b"a=b", b""]),
    ),
    max_size=5,
)
options = st.fixed_dictionaries(
    {
        "allow_origins": st.sampled_from(
            [("*",), ("https://a.example",), ("https://a.example", "null")]
        ),
        "allow_credentials": st.booleans(),
        "allow_origin_regex": st.sampled_from([None, r"https://[ab]\.example"]),
        "expose_headers": st.sampled_from([(), ("ETag", "Link")]),
    }
)


async def _answer(layer: ASGIApp, method: str, headers: RawHeaders) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await layer({"type": "http", "method": method, "path": "/", "headers": headers}, receive, send)
    return sent


def _app(*, headers: RawHeaders) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"x"})

    return app


def _unordered(messages: list[Message]) -> list[dict[str, Any]]:
    """Return messages with headers in an order that is always the same: it says nothing."""
    return [
        {**message, "headers": sorted(message["headers"])} if "headers" in message else {**message}
        for message in messages
    ]


@given(
    options=options,
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS"]),
    sent=raw_headers,
    origins=st.lists(st.sampled_from(ORIGINS), max_size=2),
    asks=st.booleans(),
)
async def test_answers_as_the_layer_of_the_framework_does(
    options: dict[str, Any],
    method: str,
    sent: RawHeaders,
    origins: list[bytes],
    asks: bool,
) -> None:
    request: RawHeaders = [(b"origin", origin) for origin in origins]
    if asks:
        request.append((b"access-control-request-method", b"GET"))
    ours = CORSMiddleware(_app(headers=sent), **options)
    theirs = StarletteCORSMiddleware(_app(headers=sent), **options)

    for _ in range(2):
        assert _unordered(await _answer(ours, method, request)) == _unordered(
            await _answer(theirs, method, request)
        )


async def test_leaves_the_headers_alone_that_the_application_goes_on_to_use() -> None:
    headers: RawHeaders = [(b"vary", b"Accept")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    await _answer(CORSMiddleware(app, allow_origins=("*",)), "GET", [(b"origin", b"null")])

    assert headers == [(b"vary", b"Accept")]


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_passes_other_scopes_on_as_they_are(kind: str) -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    scope: Scope = {"type": kind}

    await CORSMiddleware(app)(scope, receive, send)

    assert seen == [scope, receive, send]


def test_is_left_out_where_no_origin_is_allowed() -> None:
    assert make_cors(Settings()) is None


def test_takes_what_the_settings_say() -> None:
    layer = make_cors(Settings(cors_origins=("https://a.example",)))

    assert layer is not None
    assert layer.cls is CORSMiddleware
    assert layer.kwargs["allow_origins"] == ("https://a.example",)
