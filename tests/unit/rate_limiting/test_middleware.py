import asyncio
import json
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.rate_limiting import RateLimitMiddleware, make_rate_limits
from fastapi_baseline.rate_limiting.exchange import SCOPE_KEY, LimitedExchange
from fastapi_baseline.settings import RateLimitSettings
from fastapi_baseline.testing import ManualClock

CAN_RESPOND: dict[str, Any] = {"websocket.http.response": {}}


class Layer:
    """The layer around an application, and what it sends."""

    def __init__(self, app: ASGIApp | None = None, **settings: Any) -> None:
        self.limits = make_rate_limits(RateLimitSettings(**settings), clock=ManualClock())
        self.limits.is_prepared = True
        self.app = RateLimitMiddleware(
            app or PlainTextResponse("done"), limits=self.limits, exempt_paths=["/livez"]
        )

    async def ask(self, path: str = "/", **scope: Any) -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return await asyncio.Future[Message]()

        whole: Scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "headers": [],
            "client": ("192.0.2.1", 1),
            **scope,
        }
        await self.app(whole, receive, send)
        return sent

    async def statuses(self, *paths: str, **scope: Any) -> list[int]:
        return [(await self.ask(path, **scope))[0]["status"] for path in paths]


async def accept(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})


async def test_refuses_an_address_that_asks_too_often_with_a_problem() -> None:
    layer = Layer(per_address=("2/minute",))

    allowed = await layer.statuses("/a", "/b")
    start, body = await layer.ask("/c")
    other = await layer.statuses("/a", client=("192.0.2.2", 1))

    assert (allowed, start["status"], other) == ([200, 200], 429, [200])
    problem = json.loads(body["body"])
    assert problem["violated-policies"] == ["address"]
    assert dict(start["headers"])[b"retry-after"] == b"30"


async def test_addresses_of_one_network_are_one_caller() -> None:
    layer = Layer(per_address=("1/minute",))

    first = await layer.statuses("/", client=("2001:db8::1", 1))
    second = await layer.statuses("/", client=("2001:db8::2", 1))

    assert (first, second) == ([200], [429])


async def test_probes_are_not_counted() -> None:
    layer = Layer(per_address=("1/minute",))

    assert await layer.statuses("/livez", "/livez", "/", "/livez") == [200] * 4


async def test_an_api_key_is_read_from_the_header_of_the_settings() -> None:
    layer = Layer(per_api_key=("1/minute",), api_key_header="X-Token")

    seen = [
        await layer.statuses("/", headers=[(name, value)])
        for name, value in ((b"x-token", b"a"), (b"x-token", b"a"), (b"x-api-key", b"a"))
    ]

    assert seen == [[200], [429], [200]]


async def test_what_is_no_request_passes_through() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await Layer(app, per_address=("1/minute",)).ask(type="lifespan")

    assert SCOPE_KEY not in seen[0]


async def test_without_limits_a_response_stays_as_it_is() -> None:
    response = PlainTextResponse("done")
    before = list(response.raw_headers)

    start, _ = await Layer(response).ask()

    assert start["headers"] is response.raw_headers
    assert before == response.raw_headers


async def test_a_response_that_is_sent_twice_is_told_anew() -> None:
    response: Response = PlainTextResponse("done")
    layer = Layer(response, per_address=("9/minute",))

    await layer.ask()
    start, _ = await layer.ask()

    assert [name for name, _ in start["headers"]].count(b"ratelimit") == 1
    assert dict(start["headers"])[b"ratelimit"] == b'"address";r=7;t=14'


async def test_switched_off_limits_leave_a_mark_and_no_more() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await Layer(app, enabled=False, per_address=("0/minute",)).ask()

    exchange = seen[0][SCOPE_KEY]
    assert isinstance(exchange, LimitedExchange)
    assert exchange.engine is None


@pytest.mark.parametrize(
    ("extensions", "kind"),
    [(CAN_RESPOND, "websocket.http.response.start"), (None, "websocket.close")],
)
async def test_a_websocket_is_refused_before_it_is_accepted(
    extensions: dict[str, Any] | None, kind: str
) -> None:
    layer = Layer(accept, per_address=("1/minute",))

    first = await layer.ask(type="websocket", extensions=extensions)
    second = await layer.ask(type="websocket", extensions=extensions)

    assert [message["type"] for message in first] == ["websocket.accept"]
    assert dict(first[0]["headers"])[b"ratelimit"] == b'"address";r=0;t=60'
    assert second[0]["type"] == kind
    assert second[0].get("status", 429) == 429
    assert second[0].get("code", 1013) == 1013
