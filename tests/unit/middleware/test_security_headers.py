from datetime import timedelta

import pytest
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.middleware import SecurityHeadersMiddleware
from fastapi_baseline.settings import SecurityHeadersSettings


async def _headers(
    own: list[tuple[bytes, bytes]],
    *,
    settings: SecurityHeadersSettings | None = None,
    path: str = "/orders",
    kind: str = "http",
    start: str = "http.response.start",
) -> dict[bytes, bytes]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": start, "status": 200, "headers": own})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    layer = SecurityHeadersMiddleware(
        app,
        settings=settings or SecurityHeadersSettings(),
        pages={"/shop": "default-src 'self'"},
    )
    await layer({"type": kind, "path": path}, receive, send)
    assert len(sent[0]["headers"]) == len(dict(sent[0]["headers"]))
    return dict(sent[0]["headers"])


async def test_adds_what_owasp_advises_for_an_api() -> None:
    headers = await _headers([])

    assert headers == {
        b"x-content-type-options": b"nosniff",
        b"x-frame-options": b"DENY",
        b"referrer-policy": b"no-referrer",
        b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
        b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-resource-policy": b"same-origin",
        b"cache-control": b"no-store",
        b"strict-transport-security": b"max-age=31536000; includeSubDomains",
    }


@pytest.mark.parametrize("name", [b"cache-control", b"Cache-Control"])
async def test_leaves_what_the_application_set(name: bytes) -> None:
    headers = await _headers([(name, b"max-age=60")])

    assert headers[name] == b"max-age=60"


async def test_gives_a_page_the_policy_that_it_needs() -> None:
    headers = await _headers([], path="/shop")

    assert headers[b"content-security-policy"] == b"default-src 'self'"
    assert headers[b"x-frame-options"] == b"DENY"


async def test_leaves_https_alone_if_told() -> None:
    settings = SecurityHeadersSettings(hsts_max_age=timedelta(0))

    assert b"strict-transport-security" not in await _headers([], settings=settings)


async def test_leaves_subdomains_alone_if_told() -> None:
    settings = SecurityHeadersSettings(hsts_include_subdomains=False)

    headers = await _headers([], settings=settings)

    assert headers[b"strict-transport-security"] == b"max-age=31536000"


async def test_the_refusal_of_a_websocket_is_a_response_too() -> None:
    headers = await _headers([], kind="websocket", start="websocket.http.response.start")

    assert headers == await _headers([])


@pytest.mark.parametrize(
    ("kind", "start"), [("websocket", "websocket.accept"), ("lifespan", "http.response.start")]
)
async def test_leaves_all_else_alone(kind: str, start: str) -> None:
    assert await _headers([], kind=kind, start=start) == {}
