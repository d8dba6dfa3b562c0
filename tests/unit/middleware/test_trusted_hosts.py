import json
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline import ConfigurationError
from fastapi_baseline.middleware.trusted_hosts import TrustedHostsMiddleware

HOSTS = ["shop.example", "*.shop.example", "[2001:db8::1]", "127.0.0.1"]
OK: Message = {"type": "http.response.start", "status": 200, "headers": []}


async def _ask(
    *offered: bytes,
    hosts: Sequence[str] = HOSTS,
    path: str = "/orders",
    kind: str = "http",
    extensions: dict[str, Any] | None = None,
) -> list[Message]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": kind,
        "path": path,
        "headers": [(b"host", value) for value in offered],
        "extensions": extensions,
    }
    layer = TrustedHostsMiddleware(app, hosts=hosts, exempt_paths={"/livez"})
    await layer(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    "host",
    [
        b"shop.example",
        b"SHOP.example",
        b"shop.example:8443",
        b"shop.example.",
        b"a.shop.example",
        b"a.b.shop.example:80",
        b"[2001:db8::1]",
        b"[2001:db8::1]:8000",
        b"127.0.0.1:8000",
    ],
)
async def test_lets_a_trusted_host_through(host: bytes) -> None:
    assert await _ask(host) == [OK]


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"evil.example",
        b"evilshop.example",
        b"shop.example.evil",
        b"shop.example@evil",
        b"evil/shop.example",
        b"shop.example:80:evil",
        b"a b.shop.example",
        b"[2001:db8::2]",
        b".shop.example",
        "é.shop.example".encode("latin-1"),
    ],
)
async def test_refuses_any_other(host: bytes) -> None:
    start, body = await _ask(host)

    assert start["status"] == 400
    assert json.loads(body["body"])["code"] == "untrusted_host"


@pytest.mark.parametrize("offered", [(), (b"shop.example", b"shop.example")])
async def test_refuses_none_and_two(offered: Sequence[bytes]) -> None:
    assert (await _ask(*offered))[0]["status"] == 400


async def test_does_not_take_a_name_for_its_own_subdomain() -> None:
    assert (await _ask(b"shop.example", hosts=["*.shop.example"]))[0]["status"] == 400


async def test_lets_every_host_through_if_told_to() -> None:
    assert await _ask(b"evil.example", hosts=["*"]) == [OK]


async def test_answers_probes_under_any_name() -> None:
    assert await _ask(b"10.0.0.7:8000", path="/livez") == [OK]


async def test_refuses_a_websocket_with_a_problem_where_the_server_can() -> None:
    start, body = await _ask(
        b"evil.example", kind="websocket", extensions={"websocket.http.response": {}}
    )

    assert start["type"] == "websocket.http.response.start"
    assert start["status"] == 400
    assert json.loads(body["body"])["code"] == "untrusted_host"


async def test_refuses_a_websocket_where_the_server_cannot_send_a_problem() -> None:
    assert await _ask(b"evil.example", kind="websocket") == [
        {"type": "websocket.close", "code": 1008, "reason": ""}
    ]


async def test_passes_a_lifespan_through() -> None:
    assert await _ask(kind="lifespan") == [OK]


@pytest.mark.parametrize(
    "host",
    ["https://shop.example", "shop.example:80", "sh*p.example", "", "*.", "a.example.", "a,b"],
)
async def test_refuses_what_is_no_name(host: str) -> None:
    with pytest.raises(ConfigurationError, match="no trusted host"):
        await _ask(hosts=[host])


async def test_refuses_to_trust_no_host() -> None:
    with pytest.raises(ConfigurationError, match="No host"):
        await _ask(hosts=[])
