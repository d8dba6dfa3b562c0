import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.idempotency import (
    IdempotencyCaptureMiddleware,
    IdempotencyUnavailableError,
    Idempotent,
    MemoryIdempotencyStore,
    Record,
    StoredResponse,
)
from fastapi_baseline.idempotency.exchange import SCOPE_KEY, Claim, Exchange
from fastapi_baseline.settings import IdempotencySettings

KEY = (b"idempotency-key", b"abc")


async def nothing() -> Message:
    raise AssertionError("nobody should ask")


async def ignore(message: Message) -> None:
    pass


def http(**changes: object) -> Scope:
    return {"type": "http", "method": "POST", "headers": [KEY], **changes}


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "lifespan"},
        {"type": "websocket", "headers": [KEY]},
        http(method="GET"),
        http(method="OPTIONS"),
        http(headers=[(b"accept", b"*/*")]),
    ],
    ids=["lifespan", "websocket", "GET", "OPTIONS", "no key"],
)
async def test_passes_through_what_has_nothing_to_remember(scope: Scope) -> None:
    passed: list[tuple[Scope, Receive, Send]] = []
    before = dict(scope)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append((scope, receive, send))

    await IdempotencyCaptureMiddleware(app, store=MemoryIdempotencyStore())(scope, nothing, ignore)

    assert passed == [(scope, nothing, ignore)]
    assert scope == before


async def test_no_file_is_sent_past_it() -> None:
    scope = http(extensions={"http.response.pathsend": {}, "tls": {"version": 1}})
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["extensions"])

    await IdempotencyCaptureMiddleware(app, store=MemoryIdempotencyStore())(scope, nothing, ignore)

    assert seen == [{"tls": {"version": 1}}]


async def sent_again(response: StoredResponse) -> list[Message]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        exchange.replay = response
        await send({"type": "http.response.start", "status": 500, "headers": []})
        raise RuntimeError("an inner layer does not know the signal")

    async def send(message: Message) -> None:
        sent.append(message)

    await IdempotencyCaptureMiddleware(app, store=MemoryIdempotencyStore())(http(), nothing, send)
    return sent


async def test_a_response_that_is_given_again_takes_the_place_of_what_is_inside() -> None:
    sent = await sent_again(
        StoredResponse(
            status=201, headers=[(b"location", b"/a"), (b"content-length", b"1")], body=b"x"
        )
    )

    assert sent == [
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [
                (b"location", b"/a"),
                (b"content-length", b"1"),
                (b"idempotency-replayed", b"true"),
            ],
        },
        {"type": "http.response.body", "body": b"x"},
    ]


async def test_a_stream_is_given_again_with_its_length() -> None:
    sent = await sent_again(StoredResponse(status=200, headers=[], body=b"12345"))

    assert (b"content-length", b"5") in sent[0]["headers"]


async def test_no_length_is_added_where_none_may_be() -> None:
    sent = await sent_again(StoredResponse(status=204, headers=[], body=b""))

    assert sent[0]["headers"] == [(b"idempotency-replayed", b"true")]


MINUTE = timedelta(minutes=1)
START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"Content-Type", b"text/plain"),
        (b"set-cookie", b"session=secret"),
        (b"date", b"today"),
    ],
}


async def after(
    *messages: Message, error: BaseException | None = None, send: Send = ignore
) -> Record | None:
    """Return what is known of a key after its route has sent messages, and maybe failed."""
    store = MemoryIdempotencyStore()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        await store.claim("k", token="t", fingerprint="f", lock_timeout=MINUTE)
        exchange.claim = Claim(key="k", token="t", lifetime=MINUTE)
        for message in messages:
            await send(message)
        if error:
            raise error

    layer = IdempotencyCaptureMiddleware(
        app, store=store, settings=IdempotencySettings(max_response_size=10)
    )
    with suppress(RuntimeError, OSError, asyncio.CancelledError):
        await layer(http(), nothing, send)
    return await store.claim("k", token="other", fingerprint="f", lock_timeout=MINUTE)


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def kept(body: bytes | None) -> Record:
    headers = [(b"content-type", b"text/plain")]
    response = StoredResponse(status=200, headers=headers, body=body)
    return Record(fingerprint="f", response=response)


async def test_remembers_a_response_without_cookies_and_dates() -> None:
    assert await after(START, part(b"hello")) == kept(b"hello")


async def test_remembers_a_stream_that_is_complete() -> None:
    assert await after(START, part(b"12345", more=True), part(b"67890")) == kept(b"1234567890")


async def test_remembers_that_a_response_was_too_large() -> None:
    assert await after(START, part(b"12345", more=True), part(b"678901")) == kept(None)


async def test_remembers_that_a_stream_was_cut_off() -> None:
    record = await after(START, part(b"12345", more=True), error=RuntimeError())

    assert record == kept(None)


@pytest.mark.parametrize(
    "error", [RuntimeError(), asyncio.CancelledError(), None], ids=["fails", "cancelled", "silent"]
)
async def test_a_route_that_ends_without_a_response_may_run_again(
    error: BaseException | None,
) -> None:
    assert await after(error=error) is None


async def test_a_response_is_remembered_for_a_client_that_has_gone() -> None:
    async def send_to_nobody(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("the client has gone")

    assert await after(START, part(b"hello"), send=send_to_nobody) == kept(b"hello")


async def test_a_response_is_remembered_before_its_end_is_sent() -> None:
    store = MemoryIdempotencyStore()
    seen: list[Record | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await store.claim("k", token="t", fingerprint="f", lock_timeout=MINUTE)
        scope[SCOPE_KEY].claim = Claim(key="k", token="t", lifetime=MINUTE)
        await send(START)
        await send(part(b"hello"))

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            seen.append(await store.claim("k", token="x", fingerprint="f", lock_timeout=MINUTE))

    await IdempotencyCaptureMiddleware(app, store=store)(http(), nothing, send)

    assert seen == [kept(b"hello")]


async def test_an_error_of_a_route_reaches_the_layers_outside() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    layer = IdempotencyCaptureMiddleware(app, store=MemoryIdempotencyStore())

    with pytest.raises(RuntimeError, match="broken"):
        await layer(http(), nothing, ignore)


async def test_a_store_that_does_not_answer_is_asked_once() -> None:
    asked: list[str] = []

    class AwayStore(MemoryIdempotencyStore):
        async def claim(
            self, key: str, *, token: str, fingerprint: str, lock_timeout: timedelta
        ) -> Record | None:
            asked.append("claim")
            raise IdempotencyUnavailableError

        async def release(self, key: str, *, token: str) -> None:
            asked.append("release")

    app = FastAPI()

    @app.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> None: ...

    layer = IdempotencyCaptureMiddleware(app, store=AwayStore())
    transport = ASGITransport(app=layer, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        await client.post("/", headers={"Idempotency-Key": "abc"})

    assert asked == ["claim"]
