import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.lifecycle import Availability
from fastapi_baseline.middleware.draining import DrainingMiddleware


@pytest.fixture
def availability() -> Availability:
    return Availability()


async def _get(availability: Availability, path: str = "/") -> Response:
    async def answer(request: Request) -> PlainTextResponse:
        if request.url.path == "/last":
            availability.begin_draining()
        return PlainTextResponse("hello", headers={"Connection": "keep-alive"})

    app = Starlette(routes=[Route("/{path:path}", answer)])
    served = DrainingMiddleware(app, availability=availability)
    async with AsyncClient(transport=ASGITransport(served), base_url="http://test") as client:
        return await client.get(path)


async def test_leaves_responses_alone_before(availability: Availability) -> None:
    response = await _get(availability)

    assert response.headers["connection"] == "keep-alive"


async def test_closes_connections_while_the_process_drains(availability: Availability) -> None:
    availability.begin_draining()

    response = await _get(availability)

    assert response.headers.get_list("connection") == ["close"]


async def test_closes_the_connection_of_a_request_that_came_before(
    availability: Availability,
) -> None:
    response = await _get(availability, "/last")

    assert response.headers.get_list("connection") == ["close"]


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "http", "http_version": "2", "path": "/"},
        {"type": "websocket", "http_version": "1.1", "path": "/"},
        {"type": "lifespan"},
    ],
    ids=["http2", "websocket", "lifespan"],
)
async def test_passes_on_what_has_no_such_header(availability: Availability, scope: Scope) -> None:
    availability.begin_draining()
    seen: list[tuple[Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((receive, send))

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None: ...

    await DrainingMiddleware(app, availability=availability)(scope, receive, send)

    assert seen == [(receive, send)]
