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
) -> dict[bytes, bytes]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": own})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    layer = SecurityHeadersMiddleware(
        app, settings=settings or SecurityHeadersSettings(), pages={"/docs"}
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


async def test_lets_a_page_for_people_load_scripts_but_not_be_framed() -> None:
    headers = await _headers([], path="/docs")

    assert b"default-src" not in headers[b"content-security-policy"]
    assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]


async def test_leaves_https_alone_if_told() -> None:
    settings = SecurityHeadersSettings(hsts_max_age=timedelta(0))

    assert b"strict-transport-security" not in await _headers([], settings=settings)


async def test_leaves_subdomains_alone_if_told() -> None:
    settings = SecurityHeadersSettings(hsts_include_subdomains=False)

    headers = await _headers([], settings=settings)

    assert headers[b"strict-transport-security"] == b"max-age=31536000"


async def test_passes_other_scopes_through() -> None:
    assert await _headers([], kind="websocket") == {}
