"""An application of any kind behind a proxy that writes the standard header."""

from httpx2 import ASGITransport, AsyncClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from fastapi_baseline.middleware import TrustedProxiesMiddleware


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Say who asks, and for what."""
    request = Request(scope, receive)
    client = request.client.host if request.client else "?"
    await PlainTextResponse(f"{client} {request.url}")(scope, receive, send)


# <start>
app = TrustedProxiesMiddleware(app, trusted=["10.0.0.0/8", "unix"], headers=["forwarded"])
# <end>


async def test_believes_the_proxy() -> None:
    transport = ASGITransport(app, client=("10.0.0.1", 4000))
    async with AsyncClient(transport=transport, base_url="http://internal") as client:
        answer = await client.get(
            "/x", headers={"Forwarded": "for=203.0.113.7;proto=https;host=shop.example"}
        )

    assert answer.text == "203.0.113.7 https://shop.example/x"
