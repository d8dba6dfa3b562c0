from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline.auth.server.cors import MAX_AGE, METHODS, ClientCorsMiddleware, find_origins
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.testing import ManualClock

PAGE = "https://app.example.com"
PATHS = sorted(METHODS)


def public(*redirect_uris: str) -> OAuthClient:
    return OAuthClient(client_id="app", auth_method="none", redirect_uris=list(redirect_uris))


class Clients:
    def __init__(self) -> None:
        self.found: list[OAuthClient] = [public(f"{PAGE}/callback")]
        self.reads = 0
        self.are_down = False

    async def list(self) -> Sequence[OAuthClient]:
        self.reads += 1
        if self.are_down:
            raise UnavailableError
        return self.found


class Service:
    """Something with the layer around it."""

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        self.clients, self.clock = Clients(), ManualClock()
        self.state: Any = SimpleNamespace(
            authorization_server=SimpleNamespace(clients=self.clients, clock=self.clock)
        )
        self._headers = headers or {}
        self._layer: ASGIApp = ClientCorsMiddleware(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self._layer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("inside", headers=self._headers)(scope, receive, send)

    async def ask(
        self, path: str, *, method: str = "GET", root_path: str = "", **headers: str
    ) -> Any:
        transport = ASGITransport(app=self, root_path=root_path)
        async with AsyncClient(transport=transport, base_url="https://shop.example.com") as client:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=sent)

    async def preflight(self, path: str, method: str, *, origin: str = PAGE, asks: str = "") -> Any:
        headers = {"Access_Control_Request_Method": method}
        if asks:
            headers["Access_Control_Request_Headers"] = asks
        return await self.ask(path, method="OPTIONS", origin=origin, **headers)


def allowed(response: Any) -> str | None:
    return response.headers.get("access-control-allow-origin")


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_a_public_client_may_call_what_is_for_it(path: str) -> None:
    response = await Service().ask(path, origin=PAGE)

    assert response.text == "inside"
    assert allowed(response) == PAGE
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "https://app.example.com.evil.com",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://APP.example.com",
        "null",
        "*",
        "",
    ],
)
async def test_other_pages_may_not(origin: str) -> None:
    service = Service()

    response = await service.ask("/oauth2/token", origin=origin)
    preflight = await service.preflight("/oauth2/token", "POST", origin=origin)

    assert allowed(response) is None
    assert response.headers["vary"] == "Origin"
    assert not any(name.startswith("access-control") for name in preflight.headers)
    assert preflight.headers["vary"].startswith("Origin")


@pytest.mark.parametrize(
    "path", ["/oauth2/authorize", "/oauth2/introspect", "/oauth2/end-session", "/auth/grants", "/"]
)
async def test_what_is_not_for_them_is_not_touched(path: str) -> None:
    service = Service()

    response = await service.ask(path, origin=PAGE)
    preflight = await service.preflight(path, "GET")

    assert allowed(response) is None
    assert "vary" not in response.headers
    assert preflight.text == "inside"
    assert service.clients.reads == 0


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_names_what_may_be_sent(path: str) -> None:
    response = await Service().preflight(path, METHODS[path][0], asks="Authorization,content-type")

    assert response.status_code == 204
    assert allowed(response) == PAGE
    assert response.headers["access-control-allow-methods"] == ", ".join(METHODS[path])
    assert response.headers["access-control-allow-headers"] == "authorization, content-type"
    assert response.headers["access-control-max-age"] == "600"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(("method", "asks"), [("DELETE", ""), ("post", ""), ("POST", "x-evil")])
async def test_a_preflight_for_more_is_refused(method: str, asks: str) -> None:
    response = await Service().preflight("/oauth2/token", method, asks=asks)

    assert response.status_code == 204
    assert allowed(response) is None


async def test_options_that_are_no_preflight_go_through() -> None:
    response = await Service().ask("/oauth2/token", method="OPTIONS", origin=PAGE)

    assert response.text == "inside"


async def test_another_layer_has_no_say() -> None:
    service = Service(
        {
            "Access-Control-Allow-Origin": "https://other.example.com",
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Accept-Encoding, Origin",
        }
    )

    own = await service.ask("/oauth2/token", origin=PAGE)
    other = await service.ask("/oauth2/token", origin="https://other.example.com")

    assert own.headers.get_list("access-control-allow-origin") == [PAGE]
    assert "access-control-allow-credentials" not in own.headers
    assert own.headers["vary"] == "Accept-Encoding, Origin"
    assert not any(name.startswith("access-control") for name in other.headers)


async def test_clients_are_read_once_a_minute() -> None:
    service = Service()
    await service.ask("/oauth2/token", origin=PAGE)
    service.clients.found = []
    await service.ask("/oauth2/token", origin=PAGE)
    assert service.clients.reads == 1
    service.clock.advance(MAX_AGE)

    response = await service.ask("/oauth2/token", origin=PAGE)

    assert allowed(response) is None
    assert service.clients.reads == 2


async def test_requests_without_an_origin_need_no_clients() -> None:
    service = Service()

    response = await service.ask("/oauth2/jwks")

    assert response.headers["vary"] == "Origin"
    assert service.clients.reads == 0


async def test_what_was_known_is_believed_while_clients_cannot_be_read() -> None:
    service = Service()
    await service.ask("/oauth2/token", origin=PAGE)
    service.clients.are_down = True
    service.clock.advance(MAX_AGE)

    responses = [await service.ask("/oauth2/token", origin=PAGE) for _ in range(2)]

    assert [allowed(response) for response in responses] == [PAGE, PAGE]
    assert service.clients.reads == 2


async def test_it_works_below_a_prefix() -> None:
    response = await Service().ask("/shop/oauth2/token", root_path="/shop", origin=PAGE)

    assert allowed(response) == PAGE


async def test_an_application_without_a_server_is_not_touched() -> None:
    service = Service()
    service.state = SimpleNamespace()

    response = await service.ask("/oauth2/token", origin=PAGE)

    assert response.text == "inside"
    assert allowed(response) is None


async def test_websockets_and_lifespans_go_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    for kind in ("lifespan", "websocket"):
        await ClientCorsMiddleware(app)({"type": kind, "path": "/oauth2/token"}, nothing, nothing)

    assert seen == ["lifespan", "websocket"]


def test_origins_are_those_of_public_clients_that_have_pages() -> None:
    confidential = OAuthClient(
        client_id="web",
        auth_method="client_secret_basic",
        redirect_uris=["https://web.example.com/callback"],
    )
    clients = [
        public("https://app.example.com/callback", "https://app.example.com/silent"),
        public("http://localhost:3000/callback", "com.example.app:/callback", "http://[::1]/x"),
        confidential,
    ]

    assert find_origins(clients) == {PAGE, "http://localhost:3000", "http://[::1]"}
