import pytest
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.caching import Cache, ResponseCacheMiddleware
from fastapi_baseline.caching.exchange import current_exchange
from fastapi_baseline.testing import ManualClock


async def nothing() -> Message:
    raise AssertionError("nobody should ask")


async def ignore(message: Message) -> None:
    pass


def http(method: str) -> Scope:
    return {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "headers": [],
    }


@pytest.mark.parametrize(
    "scope",
    [{"type": "lifespan"}, {"type": "websocket", "path": "/"}, http("POST"), http("OPTIONS")],
    ids=["lifespan", "websocket", "POST", "OPTIONS"],
)
async def test_passes_through_what_has_nothing_to_keep(scope: Scope) -> None:
    passed: list[tuple[Scope, Receive, Send]] = []
    before = dict(scope)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append((scope, receive, send))
        assert current_exchange.get() is None

    await ResponseCacheMiddleware(app, cache=Cache(clock=ManualClock()))(scope, nothing, ignore)

    assert passed == [(scope, nothing, ignore)]
    assert scope == before


async def test_a_response_that_nobody_wants_kept_passes_as_it_is() -> None:
    messages: list[Message] = [
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]},
        {"type": "http.response.body", "body": b"1", "more_body": True},
        {"type": "http.response.pathsend", "path": "/file"},
    ]
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = http("GET")
    await ResponseCacheMiddleware(app, cache=Cache(clock=ManualClock()))(scope, nothing, send)

    assert [one is other for one, other in zip(sent, messages, strict=True)] == [True] * 3
    assert current_exchange.get() is None
