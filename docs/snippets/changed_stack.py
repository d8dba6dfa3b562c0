"""A service that leaves a layer out of its stack, and puts one of its own into it."""

from httpx2 import AsyncClient
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline import Settings, create_app
from fastapi_baseline.middleware import CompressionMiddleware, SecurityHeadersMiddleware, Stack
from fastapi_baseline.testing import running


class ServerTimingMiddleware:
    """A layer of the service: it adds one header."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"server-timing", b"edge")]
            await send(message)

        await self._app(scope, receive, send_timed)


# <start>
def change(stack: Stack) -> Stack:
    """Leave compression to the proxy, and add a layer outside of the security headers."""
    stack.without(CompressionMiddleware)
    return stack.before(SecurityHeadersMiddleware, Middleware(ServerTimingMiddleware))


app = create_app(Settings(service_name="shop"), stack=change)
# <end>


async def _ask(client: AsyncClient) -> dict[str, str]:
    answer = await client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    return dict(answer.headers)


async def test_has_the_layers_that_it_wants() -> None:
    async with running(app) as client:
        headers = await _ask(client)

    assert headers["server-timing"] == "edge"
    assert "content-encoding" not in headers
    assert "vary" not in headers
