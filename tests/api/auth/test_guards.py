from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from httpx2 import AsyncClient
from starlette.requests import HTTPConnection
from starlette.types import Message, Scope

from fastapi_baseline import Settings, context, create_app, install
from fastapi_baseline.auth import (
    Authentication,
    CurrentPrincipal,
    OptionalPrincipal,
    Principal,
    RequireRoles,
    RequireScopes,
    public,
    require_recent_auth,
)
from fastapi_baseline.auth.route_decisions import prepare_mounted_apps
from fastapi_baseline.errors import UnauthenticatedError, UnavailableError
from fastapi_baseline.testing import ManualClock, running

SCOPES = {
    "reader": frozenset({"orders:read"}),
    "writer": frozenset({"orders:read", "orders:write"}),
    "admin": frozenset({"readonly"}),
}
ROLES = {"admin": frozenset({"admin"})}


class Tokens:
    """Knows the people above by their names, as tokens."""

    scheme_name = "bearer"
    scheme: dict[str, Any] = {"type": "http", "scheme": "bearer"}  # noqa: RUF012 -- never changed
    challenge = 'Bearer realm="shop"'

    def __init__(self, clock: ManualClock) -> None:
        self.asked = 0
        self.auth_time = clock.now()

    def is_offered(self, connection: HTTPConnection) -> bool:
        return connection.headers.get("authorization", "").startswith("Bearer ")

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        self.asked += 1
        subject = connection.headers["authorization"].removeprefix("Bearer ")
        if subject == "away":
            raise UnavailableError("The issuer does not answer.", retry_after=timedelta(seconds=5))
        if subject not in SCOPES:
            raise UnauthenticatedError(
                "The token is not valid.", challenge='Bearer realm="shop", error="invalid_token"'
            )
        return Principal(
            issuer="https://id.example",
            subject=subject,
            transport="bearer",
            auth_time=self.auth_time,
            scopes=SCOPES[subject],
            roles=ROLES.get(subject, frozenset()),
        )


class Cookies:
    scheme_name = "session"
    scheme: dict[str, Any] = {"type": "apiKey", "in": "cookie", "name": "session"}  # noqa: RUF012 -- never changed
    challenge = None

    def is_offered(self, connection: HTTPConnection) -> bool:
        return "session" in connection.cookies

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        return Principal(issuer="self", subject="browser", transport="session")


class Keys:
    scheme_name = "key"
    scheme: dict[str, Any] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}  # noqa: RUF012 -- never changed
    challenge = "ApiKey"

    def is_offered(self, connection: HTTPConnection) -> bool:
        return "x-api-key" in connection.headers

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        return Principal(issuer="self", subject="job", transport="api_key")


def add_routes(app: FastAPI) -> None:
    orders = APIRouter(prefix="/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])

    @orders.get("")
    async def list_orders(principal: CurrentPrincipal) -> str:
        current = context.current()
        assert current is not None
        assert current.principal is principal
        return str(principal)

    @orders.post("", dependencies=[Depends(RequireScopes(all=["orders:write"]))])
    async def add_order(body: dict[str, int]) -> int:
        return body["amount"]

    @orders.delete("/{number}")
    async def drop_order(
        number: int, principal: Annotated[Principal, Depends(RequireRoles(any=["admin", "boss"]))]
    ) -> str:
        return principal.subject

    app.include_router(orders, prefix="/v1")

    @app.get("/me")
    async def show_me(principal: CurrentPrincipal) -> str:
        return principal.subject

    @app.get("/audit")
    async def show_audit(
        principal: Annotated[Principal, Depends(RequireRoles(all=["admin"]))],
    ) -> str:
        return principal.subject

    @app.get("/page")
    @public
    async def show_page(principal: OptionalPrincipal) -> str | None:
        return None if principal is None else principal.subject

    @app.post("/transfer", dependencies=[Depends(require_recent_auth(timedelta(minutes=5)))])
    async def transfer() -> str:
        return "done"

    @app.websocket("/feed")
    async def feed(
        websocket: WebSocket,
        principal: Annotated[Principal, Depends(RequireScopes(all=["orders:read"]))],
    ) -> None:
        await websocket.accept()
        await websocket.send_text(principal.subject)
        await websocket.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock: ManualClock) -> Tokens:
    return Tokens(clock)


@pytest.fixture(params=["created", "installed"])
def app(request: pytest.FixtureRequest, tokens: Tokens, clock: ManualClock) -> FastAPI:
    settings = Settings(environment="test")
    if request.param == "created":
        app = create_app(settings, configure_logging=False)
    else:
        app = FastAPI()
        install(app, settings)
    app.state.authentication = Authentication([tokens, Keys(), Cookies()], clock=clock)
    add_routes(app)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncGenerator[AsyncClient]:
    async with running(app) as client:
        yield client


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


async def test_lets_in_who_may(client: AsyncClient, tokens: Tokens) -> None:
    listed = await client.get("/v1/orders", headers=bearer("reader"))
    added = await client.post("/v1/orders", json={"amount": 3}, headers=bearer("writer"))

    assert (listed.status_code, listed.json()) == (200, "https://id.example|reader")
    assert (added.status_code, added.json()) == (200, 3)
    assert tokens.asked == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/orders"),
        ("POST", "/v1/orders"),
        ("DELETE", "/v1/orders/1"),
        ("GET", "/me"),
        ("POST", "/transfer"),
    ],
)
async def test_offers_all_ways_to_who_is_nobody(
    client: AsyncClient, method: str, path: str
) -> None:
    response = await client.request(method, path)

    problem = response.json()
    assert (response.status_code, problem["code"]) == (401, "unauthenticated")
    assert response.headers.get_list("www-authenticate") == ['Bearer realm="shop", ApiKey']
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == response.headers["x-request-id"]


async def test_a_bad_token_is_told_so(client: AsyncClient) -> None:
    response = await client.get("/v1/orders", headers=bearer("eve"))

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="shop", error="invalid_token"'
    assert "eve" not in response.text


async def test_a_token_without_the_scope_is_told_which(client: AsyncClient) -> None:
    response = await client.post("/v1/orders", json={"amount": 3}, headers=bearer("reader"))

    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    assert response.headers["www-authenticate"] == (
        'Bearer realm="shop", error="insufficient_scope", scope="orders:write"'
    )


async def test_a_scope_is_not_part_of_another(client: AsyncClient) -> None:
    response = await client.get("/v1/orders", headers=bearer("admin"))

    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")


async def test_a_role_is_needed(client: AsyncClient) -> None:
    admin = await client.get("/audit", headers=bearer("admin"))
    writer = await client.get("/audit", headers=bearer("writer"))

    assert (admin.status_code, admin.json()) == (200, "admin")
    assert (writer.status_code, writer.json()["code"]) == (403, "insufficient_role")
    assert "www-authenticate" not in writer.headers
    assert "admin" not in writer.text


async def test_all_guards_on_the_way_hold(client: AsyncClient) -> None:
    # One of the router, and one of the route.
    admin = await client.delete("/v1/orders/1", headers=bearer("admin"))
    writer = await client.delete("/v1/orders/1", headers=bearer("writer"))

    assert (admin.status_code, admin.json()["code"]) == (403, "insufficient_scope")
    assert (writer.status_code, writer.json()["code"]) == (403, "insufficient_role")


@pytest.mark.parametrize("path", ["/me", "/page"])
@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer reader"), ("Authorization", "Bearer reader")],
        [("Authorization", "Bearer reader"), ("Authorization", "Basic YTpi")],
        [("Authorization", "Bearer reader"), ("X-API-Key", "1")],
        [("Authorization", "Bearer reader"), ("Cookie", "session=1")],
        [("Authorization", "Basic YTpi"), ("Cookie", "session=1")],
        [("X-API-Key", "1"), ("Cookie", "session=1")],
    ],
)
async def test_refuses_to_choose_among_credentials(
    client: AsyncClient, tokens: Tokens, path: str, headers: list[tuple[str, str]]
) -> None:
    response = await client.get(path, headers=headers)

    assert (response.status_code, response.json()["code"]) == (400, "ambiguous_credentials")
    assert tokens.asked == 0


async def test_a_page_for_everybody_knows_who_is_there(client: AsyncClient) -> None:
    nobody = await client.get("/page")
    somebody = await client.get("/page", headers=bearer("reader"))
    impostor = await client.get("/page", headers=bearer("eve"))

    assert (nobody.json(), somebody.json()) == (None, "reader")
    assert impostor.status_code == 401


async def test_is_closed_while_nobody_can_tell_who_it_is(client: AsyncClient) -> None:
    responses = [await client.get(path, headers=bearer("away")) for path in ("/me", "/page")]

    assert [response.status_code for response in responses] == [503, 503]
    assert all(response.headers["retry-after"] == "5" for response in responses)


async def test_a_step_up_says_what_it_wants(client: AsyncClient, clock: ManualClock) -> None:
    before = await client.post("/transfer", headers=bearer("reader"))
    clock.advance(timedelta(minutes=5, seconds=1))
    after = await client.post("/transfer", headers=bearer("reader"))
    by_cookie = await client.post("/transfer", headers={"Cookie": "session=1"})

    assert before.status_code == 200
    assert (after.status_code, after.json()["code"]) == (401, "insufficient_user_authentication")
    assert 'error="insufficient_user_authentication"' in after.headers["www-authenticate"]
    assert after.headers["www-authenticate"].endswith('max_age="300"')
    assert by_cookie.headers["www-authenticate"].startswith('Cookie error="insufficient_user')


async def test_nobody_learns_what_a_request_should_look_like(client: AsyncClient) -> None:
    # Which fields are missing or wrong is said to who may send them.
    response = await client.post("/v1/orders", json=["no", "object"])
    number = await client.delete("/v1/orders/none")

    assert (response.status_code, number.status_code) == (401, 401)


async def exchange(app: FastAPI, *, headers: dict[str, str], extension: bool) -> list[Message]:
    """Open a WebSocket, and return what the server would have been told."""
    sent: list[Message] = []
    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": "/feed",
        "raw_path": b"/feed",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}} if extension else {},
    }

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_a_websocket_is_accepted_from_who_may(app: FastAPI) -> None:
    sent = await exchange(app, headers=bearer("reader"), extension=True)

    assert [message["type"] for message in sent] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert sent[1]["text"] == "reader"


@pytest.mark.parametrize(
    ("name", "status", "challenge"),
    [
        (None, 401, b'Bearer realm="shop", ApiKey'),
        ("eve", 401, b'Bearer realm="shop", error="invalid_token"'),
        ("admin", 403, b'Bearer realm="shop", error="insufficient_scope", scope="orders:read"'),
    ],
)
@pytest.mark.parametrize("app", ["created"], indirect=True)
async def test_a_websocket_is_refused_before_it_is_accepted(
    app: FastAPI, name: str | None, status: int, challenge: bytes
) -> None:
    headers = bearer(name) if name else {}
    answered = await exchange(app, headers=headers, extension=True)
    closed = await exchange(app, headers=headers, extension=False)

    start = answered[0]
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert dict(start["headers"])[b"www-authenticate"] == challenge
    assert [message["type"] for message in closed] == ["websocket.close"]


@asynccontextmanager
async def mounting(tokens: Tokens, clock: ManualClock) -> AsyncGenerator[AsyncClient]:
    """Run an application with guards that is mounted in another, and was made without us."""
    inner = FastAPI()
    add_routes(inner)
    app = create_app(Settings(environment="test"), configure_logging=False)
    app.state.authentication = Authentication([tokens], clock=clock)
    app.mount("/inner", inner)
    prepare_mounted_apps(app)
    async with running(app) as client:
        yield client


async def test_guards_hold_in_mounted_applications(tokens: Tokens, clock: ManualClock) -> None:
    async with mounting(tokens, clock) as client:
        known = await client.get("/inner/me", headers=bearer("reader"))
        nobody = await client.get("/inner/me")
        refused = await client.get("/inner/audit", headers=bearer("reader"))

    assert known.json() == "reader"
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
    assert nobody.headers["www-authenticate"] == 'Bearer realm="shop"'
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_role")
    assert refused.headers["x-request-id"] == refused.json()["request_id"]
