from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.caching import Cache, Flight, Lifetime
from fastapi_baseline.caching.capture import Capture
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.plan import Plan
from fastapi_baseline.caching.policy import ResponsePolicy
from fastapi_baseline.caching.site import Site
from fastapi_baseline.settings import CacheSettings
from fastapi_baseline.testing import ManualClock

KEY = ":key"
START = "http.response.start"
BODY = "http.response.body"


class Captured:
    """One response that came by a capture, and what became of it."""

    def __init__(self, *, flight: Flight | None, cache: Cache) -> None:
        self.cache = cache
        self.flight = flight
        self.sent: list[Message] = []
        settings = cache.settings
        site = Site(
            app=_nobody,
            cache=cache,
            credentials=Credentials(settings),
            answers_conditions=False,
        )
        plan = Plan(
            key=KEY,
            policy=ResponsePolicy(function=_nobody, identity="nobody"),
            lifetime=Lifetime(expire=timedelta(minutes=1)),
            tags=(),
            reason="miss",
            started_at=0.0,
            flight=flight,
        )
        self.scope: Scope = {"type": "http", "method": "GET", "headers": []}
        self.capture = Capture(site, self.scope, self._send, plan=plan)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    async def take(self, *messages: Message) -> Sequence[Message]:
        for message in messages:
            await self.capture.send(message)
        return self.sent

    @property
    def is_kept(self) -> bool:
        return self.cache.find_fresh_local(KEY) is not None


async def _nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody should ask")


@pytest.fixture
async def captured() -> Captured:
    cache = Cache(clock=ManualClock(), settings=CacheSettings(max_entry_size=1_000))
    return Captured(flight=await cache.flight(KEY), cache=cache)


def start(*headers: tuple[bytes, bytes], **more: Any) -> Message:
    return {"type": START, "status": 200, "headers": list(headers), **more}


def body(text: bytes, *, more: bool = False) -> Message:
    return {"type": BODY, "body": text, "more_body": more}


def joined(messages: Sequence[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in messages)


async def test_a_head_waits_for_the_body(captured: Captured) -> None:
    assert await captured.take(start()) == []

    messages = await captured.take(body(b"a"))

    assert [message["type"] for message in messages] == [START, BODY]
    assert captured.is_kept


async def test_what_comes_beside_the_response_does_not_wait(captured: Captured) -> None:
    hint: Message = {"type": "http.response.early_hint", "links": []}

    assert await captured.take(start(), hint) == [hint]


async def test_parts_are_kept_if_they_are_as_long_as_they_should_be(captured: Captured) -> None:
    messages = await captured.take(
        start((b"Content-Length", b"3")), body(b"a", more=True), body(b"bc")
    )

    assert (joined(messages), len(messages), captured.is_kept) == (b"abc", 2, True)


@pytest.mark.parametrize(
    "messages",
    [
        [start(), body(b"a", more=True), body(b"bc")],
        [start((b"content-length", b"2")), body(b"a", more=True), body(b"bc")],
        [start((b"content-length", b"9")), body(b"a", more=True), body(b"bc")],
        [start((b"content-length", b"9")), body(b"abc")],
        [start((b"content-length", b"1001")), body(b"abc")],
        [start(trailers=True), body(b"abc")],
        [start(), body(b"abc" * 330)],
    ],
    ids=[
        "a stream",
        "longer than it says",
        "shorter than it says",
        "shorter at once",
        "too long by its header",
        "with trailers",
        "too long",
    ],
)
async def test_some_bodies_are_sent_and_not_kept(
    messages: list[Message], captured: Captured
) -> None:
    sent = await captured.take(*messages)

    assert joined(sent) == joined(messages)
    assert [message["type"] for message in sent].count(START) == 1
    assert sent[-1].get("more_body", False) is False
    assert (b"cache-status", b"baseline; fwd=miss") in sent[0]["headers"]
    assert not captured.is_kept


async def test_a_file_that_the_server_sends_is_not_kept(captured: Captured) -> None:
    path: Message = {"type": "http.response.pathsend", "path": "/file"}

    sent = await captured.take(start(), path)

    assert ([message["type"] for message in sent], sent[1]) == ([START, path["type"]], path)
    assert not captured.is_kept


async def test_others_are_let_go_as_soon_as_it_is_known_that_nothing_is_kept(
    captured: Captured,
) -> None:
    assert captured.flight is not None
    assert captured.flight.landed is not None

    await captured.take({"type": START, "status": 500, "headers": []})

    assert captured.flight.landed.done()


async def test_others_are_let_go_if_there_is_no_response(captured: Captured) -> None:
    assert captured.flight is not None
    assert captured.flight.landed is not None

    captured.capture.end()

    assert captured.flight.landed.done()


async def test_what_somebody_else_keeps_is_not_sent() -> None:
    captured = Captured(flight=None, cache=Cache(clock=ManualClock()))

    sent = await captured.take(start(), body(b"a"))

    assert (sent, captured.is_kept) == ([], False)
    assert captured.capture.entry is not None
    assert captured.capture.entry.body == b"a"


async def test_without_something_to_fall_back_on_a_failure_is_one(captured: Captured) -> None:
    assert not await captured.capture.fall_back()

    sent = await captured.take({"type": START, "status": 503, "headers": []}, body(b"x"))

    assert (sent[0]["status"], joined(sent)) == (503, b"x")


async def test_what_changes_while_it_is_made_is_not_kept(captured: Captured) -> None:
    await captured.cache.delete(KEY)

    sent = await captured.take(start(), body(b"a"))

    assert (joined(sent), captured.is_kept) == (b"a", False)
