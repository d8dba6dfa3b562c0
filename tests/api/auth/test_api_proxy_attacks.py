import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Request, Response

from fastapi_baseline import ConfigurationError, Settings, create_app
from fastapi_baseline.auth import Authentication
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login import (
    MemoryLoginStore,
    make_api_proxy_router,
    make_login,
    make_login_router,
)
from fastapi_baseline.auth.pages import make_pages
from fastapi_baseline.auth.route_decisions import find_undecided
from fastapi_baseline.auth.sessions import (
    FORM_FIELD,
    MemorySessionStore,
    SessionAuthenticator,
    Sessions,
    make_form_token,
)
from fastapi_baseline.settings import AuthSettings, SessionSettings
from fastapi_baseline.settings.auth import LoginSettings
from fastapi_baseline.testing import ManualClock, make_signing_key, running
from fastapi_baseline.testing.login_provider import LoginProvider

ORIGIN = "https://shop.test"
ORDERS = "https://orders.internal/v1"
FILES = "https://files.internal"
OWN_PAGE = {"Origin": ORIGIN, "X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"}
SIGNER = make_signing_key("ES256")


class Parts(httpx2.AsyncByteStream):
    """A body that comes in parts."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part
            await asyncio.sleep(0)


PARTS = (b"part 0;", b"part 1;", b"part 2;")


@dataclass
class Upstream:
    """The services behind: what they were asked, and what they answer."""

    asked: list[Request] = field(default_factory=list[Request])
    bodies: list[bytes] = field(default_factory=list[bytes])
    answer: Callable[[Request], Response] = lambda _: Response(200, json={"id": 7})

    async def handle(self, request: Request) -> Response:
        self.bodies.append(await request.aread())
        self.asked.append(request)
        made = self.answer(request)
        if not made.is_stream_consumed:
            return made
        # As it comes from a network: nobody has read it yet.
        headers = [pair for pair in made.headers.raw if pair[0].lower() != b"content-length"]
        return Response(made.status_code, headers=headers, stream=Parts(made.content))

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.asked]


UPSTREAM = Upstream()


@cache
def make_app() -> FastAPI:
    settings = Settings(environment="test")
    app = create_app(settings)
    app.state.pages = make_pages(settings)
    app.include_router(make_login_router())
    app.include_router(
        make_api_proxy_router(
            upstreams={"/orders": ORDERS, "/orders/old": "https://old.internal/", "/files": FILES},
            request_headers=["X-Tenant"],
            make_transport=lambda: httpx2.MockTransport(UPSTREAM.handle),
        )
    )
    return app


@dataclass
class Shop:
    """A service whose pages ask other services."""

    app: FastAPI
    provider: LoginProvider
    clock: ManualClock
    upstream: Upstream

    @asynccontextmanager
    async def browser(self, subject: str | None = "ann") -> AsyncGenerator[AsyncClient]:
        transport = ASGITransport(app=self.app)
        async with AsyncClient(transport=transport, base_url=ORIGIN) as client:
            if subject is not None:
                begun = await client.get("/auth/login")
                await client.get(self.provider.sign_in(begun.headers["location"], subject=subject))
            yield client

    async def get_raw(self, client: AsyncClient, path: bytes, query: bytes = b"") -> int:
        """Ask for a path to the byte, as no client would; return the status."""
        statuses: list[int] = []
        headers = {"host": "shop.test", "cookie": _cookies_of(client)}

        received = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict[str, Any]:
            message = next(received, None)
            # Else it goes away before it is answered.
            return await asyncio.get_running_loop().create_future() if message is None else message

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("shop.test", 443),
            "state": {},
        }
        await self.app(scope, receive, send)
        return statuses[0]


def _cookies_of(client: AsyncClient) -> str:
    return "; ".join(f"{one.name}={one.value}" for one in client.cookies.jar)


@pytest.fixture
async def shop() -> AsyncGenerator[Shop]:
    app, clock = make_app(), ManualClock()
    UPSTREAM.asked.clear()
    UPSTREAM.bodies.clear()
    UPSTREAM.answer = Upstream().answer
    sessions = Sessions(
        MemorySessionStore(clock=clock), settings=SessionSettings(enabled=True), clock=clock
    )
    provider = LoginProvider(clock=clock, key=SIGNER)
    settings = AuthSettings.model_validate(
        {
            "public_url": ORIGIN,
            "login": LoginSettings.model_validate(
                {
                    "issuer": provider.url,
                    "client_id": provider.client_id,
                    "client_secret": provider.client_secret,
                }
            ),
        }
    )
    app.state.sessions = sessions
    app.state.authentication = Authentication([SessionAuthenticator(sessions)], clock=clock)
    app.state.login = make_login(
        settings,
        sessions=sessions,
        store=MemoryLoginStore(clock=clock),
        keys=KeyRing(["a-secret-of-32-characters-or-more"]),
        clock=clock,
        make_transport=provider.make_transport,
    )
    async with app.state.login.lifespan(app):
        yield Shop(app, provider, clock, UPSTREAM)


@pytest.fixture
async def ann(shop: Shop) -> AsyncGenerator[AsyncClient]:
    async with shop.browser() as browser:
        yield browser


async def test_asks_with_the_token_of_whoever_has_signed_in(shop: Shop, ann: AsyncClient) -> None:
    answer = await ann.get("/api/orders/7?expand=items&q=a%20b%2F%26")

    [asked] = shop.upstream.asked
    scheme, _, token = asked.headers["authorization"].partition(" ")
    assert (answer.status_code, answer.json()) == (200, {"id": 7})
    assert str(asked.url) == f"{ORDERS}/7?expand=items&q=a%20b%2F%26"
    assert scheme == "Bearer"
    assert shop.provider.access_tokens[token]["subject"] == "ann"


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/api/orders", ORDERS),
        ("/api/orders?a=1", f"{ORDERS}?a=1"),
        ("/api/orders/", f"{ORDERS}/"),
        ("/api/orders/7/items/", f"{ORDERS}/7/items/"),
        ("/api/orders/a%20b%C3%A9;v=1,2@3:4", f"{ORDERS}/a%20b%C3%A9;v=1,2@3:4"),
        ("/api/orders/100%25", f"{ORDERS}/100%25"),
        ("/api/orders/...", f"{ORDERS}/..."),
        ("/api/orders/.well-known", f"{ORDERS}/.well-known"),
        ("/api/orders/old/7", "https://old.internal/7"),
        ("/api/orders/older", f"{ORDERS}/older"),
        ("/api/files", FILES),
        ("/api/files/7", f"{FILES}/7"),
        ("/api/files/https://evil.test", None),
        ("/api/orders/@evil.test", f"{ORDERS}/@evil.test"),
        ("/api/orders/:443", f"{ORDERS}/:443"),
    ],
)
async def test_asks_for_what_stands_for_a_path(
    shop: Shop, ann: AsyncClient, path: str, url: str | None
) -> None:
    await ann.get(path)

    assert shop.upstream.urls == ([] if url is None else [url])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_sends_on_what_changes_something(shop: Shop, ann: AsyncClient, method: str) -> None:
    shop.upstream.answer = lambda _: Response(201, headers={"Location": f"{ORDERS}/8?a=1"})

    answer = await ann.request(method, "/api/orders", json={"item": "é"}, headers=OWN_PAGE)

    [asked] = shop.upstream.asked
    assert asked.method == method
    assert shop.upstream.bodies == ['{"item":"é"}'.encode()]
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["content-length"] == "13"
    assert (answer.status_code, answer.headers["location"]) == (201, "/api/orders/8?a=1")


async def test_refreshes_the_token_first(shop: Shop, ann: AsyncClient) -> None:
    await ann.get("/api/orders")
    shop.clock.advance(timedelta(minutes=5))
    await ann.get("/api/orders")

    first, second = (asked.headers["authorization"] for asked in shop.upstream.asked)
    assert first != second


async def test_b26_nobody_without_a_session_gets_through(shop: Shop) -> None:
    async with shop.browser(None) as nobody:
        bare = await nobody.get("/api/orders")
        bearer = await nobody.get("/api/orders", headers={"Authorization": "Bearer a.b.c"})

    assert (bare.status_code, bearer.status_code) == (401, 401)
    assert shop.upstream.asked == []


async def test_b26_a_session_with_a_token_of_another_gets_through_nowhere(
    shop: Shop, ann: AsyncClient
) -> None:
    answer = await ann.get("/api/orders", headers={"Authorization": "Bearer a.b.c"})

    assert answer.status_code == 400
    assert shop.upstream.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ORIGIN},
        {"Origin": "https://evil.test", "X-Requested-With": "fetch"},
        {"Sec-Fetch-Site": "cross-site", "X-Requested-With": "fetch"},
    ],
    ids=str,
)
async def test_b26_another_site_changes_nothing(
    shop: Shop, ann: AsyncClient, headers: dict[str, str]
) -> None:
    answer = await ann.post("/api/orders", json={}, headers=headers)

    assert answer.status_code == 403
    assert shop.upstream.asked == []


async def test_b26_a_form_is_not_sent_on(shop: Shop, ann: AsyncClient) -> None:
    token = make_form_token(ann.cookies["__Host-session"])

    answer = await ann.post("/api/orders", data={FORM_FIELD: token}, headers={"Origin": ORIGIN})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_refused")
    assert shop.upstream.asked == []


@pytest.mark.parametrize(
    "path",
    [
        b"/api/orders/../admin",
        b"/api/orders/..",
        b"/api/orders/.",
        b"/api/orders/7/../../admin",
        b"/api/orders/%2e%2e/admin",
        b"/api/orders/.%2E/admin",
        b"/api/orders/%2e",
        b"/api/orders/..%2fadmin",
        b"/api/orders/a%2Fb",
        b"/api/orders%2fadmin",
        b"/api/orders/..;/admin",
        b"/api/orders/..;a=1/admin",
        b"/api/orders/%5c..%5cadmin",
        b"/api/orders/..\\admin",
        b"/api/orders/%252e%252e/admin",
        b"/api/orders/%252fadmin",
        b"/api/orders//evil.test/x",
        b"/api/orders//",
        b"/api/orders/a//b",
        b"/api/orders/%00",
        b"/api/orders/a%0d%0aX-Evil:1",
        b"/api/orders/a\r\nX-Evil: 1",
        b"/api/orders/a b",
        b"/api/orders/a#b",
        b"/api/orders/a\xc3\xa9",
        b"/api/orders/%zz",
        b"/api/orders/<script>",
        b"/api/orders/%7f",
        b"/api/files//evil.test",
        b"/api/files/\\evil.test",
        b"/api//orders/7",
        b"/api/admin",
        b"/api/https://evil.test/",
        b"/api/orders.evil.test/",
        b"/api/orders@evil.test/",
    ],
    ids=repr,
)
async def test_b26_no_path_leads_anywhere_else(shop: Shop, ann: AsyncClient, path: bytes) -> None:
    status = await shop.get_raw(ann, path)

    assert status in {400, 404}
    assert shop.upstream.asked == []


@pytest.mark.parametrize(
    "query", [b"a=\r\nX-Evil: 1", b"a=\x00", b"a= b", b"a#b", b"\xff", b"a=\x7f"], ids=repr
)
async def test_b26_no_query_is_more_than_that(shop: Shop, ann: AsyncClient, query: bytes) -> None:
    assert await shop.get_raw(ann, b"/api/orders", query) == 400

    assert shop.upstream.asked == []


async def test_b26_no_header_leads_anywhere_else(shop: Shop, ann: AsyncClient) -> None:
    evil = {
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-For": "1.2.3.4",
        "X-Original-URL": "/admin",
        "X-HTTP-Method-Override": "DELETE",
        "X-User": "admin",
        "Forwarded": "host=evil.test",
        "Connection": "keep-alive, X-Tenant",
        "Upgrade": "h2c",
        "TE": "trailers",
        "Proxy-Authorization": "Basic YTpi",
        "Referer": "https://shop.test/secret",
    }
    wanted = {"Accept": "text/plain", "If-None-Match": '"1"', "X-Tenant": "7"}

    await ann.get("/api/orders", headers={**evil, **wanted})

    [asked] = shop.upstream.asked
    assert asked.headers["host"] == "orders.internal"
    assert {name: asked.headers[name] for name in wanted} == wanted
    sent = {name.lower() for name in asked.headers}
    assert not sent & ({name.lower() for name in evil} - {"connection"} | {"cookie", "origin"})
    assert asked.headers.get("connection", "keep-alive") == "keep-alive"


async def test_b26_no_cookie_gets_out_or_in_or_to_others(shop: Shop, ann: AsyncClient) -> None:
    shop.upstream.answer = lambda _: Response(
        200, headers=[("Set-Cookie", "__Host-session=evil; Path=/"), ("Set-Cookie", "a=b")]
    )
    before = dict(ann.cookies)

    answer = await ann.get("/api/orders")
    async with shop.browser("otto") as otto:
        await otto.get("/api/orders")

    assert "set-cookie" not in answer.headers
    assert dict(ann.cookies) == before
    assert all("cookie" not in asked.headers for asked in shop.upstream.asked)


async def test_b26_follows_no_redirect_and_names_no_other_place(
    shop: Shop, ann: AsyncClient
) -> None:
    places = {
        "https://evil.test/": None,
        "//evil.test/": None,
        "https://orders.internal/v2/8": None,
        "https://orders.internal/v1evil/8": None,
        "/v1/8": "/api/orders/8",
        "/v1//evil.test": None,
        "/admin": None,
        "javascript:alert(1)": None,
    }
    found: dict[str, str | None] = {}
    for place in places:
        shop.upstream.answer = lambda _, place=place: Response(302, headers={"Location": place})
        answer = await ann.get("/api/orders/7")
        found[place] = answer.headers.get("location")

        assert answer.status_code == 302
    assert found == places
    assert len(shop.upstream.asked) == len(places)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (None, "no-store"),
        ("no-store", "no-store"),
        ("public, max-age=600", "private, no-cache"),
        ("max-age=600", "private, no-cache"),
        ("s-maxage=600", "private, no-cache"),
        ("Private, max-age=60", "private, max-age=60"),
        ("public, no-store", "no-store"),
        ("x-private=1", "private, no-cache"),
    ],
)
async def test_b26_no_cache_gives_an_answer_to_others(
    shop: Shop, ann: AsyncClient, said: str | None, kept: str
) -> None:
    headers = {"ETag": '"1"'} if said is None else {"ETag": '"1"', "Cache-Control": said}
    shop.upstream.answer = lambda _: Response(200, headers=headers, text="a")

    answer = await ann.get("/api/orders")

    assert answer.headers.get_list("cache-control") == [kept]
    assert answer.headers["etag"].startswith('"1')


async def test_b26_an_answer_is_no_page_of_the_service(shop: Shop, ann: AsyncClient) -> None:
    said = {
        "Content-Type": "text/html",
        "Content-Security-Policy": "default-src *",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Credentials": "true",
        "Clear-Site-Data": '"*"',
        "Strict-Transport-Security": "max-age=0",
        "WWW-Authenticate": "Basic",
        "Server": "orders/1.0",
        "X-Powered-By": "orders",
        "Refresh": "0;url=https://evil.test",
        "Service-Worker-Allowed": "/",
    }
    shop.upstream.answer = lambda _: Response(401, headers=said, text="<script>alert(1)</script>")

    answer = await ann.get("/api/orders")

    policies = answer.headers.get_list("content-security-policy")
    assert any("sandbox" in policy for policy in policies)
    assert all("*" not in policy for policy in policies)
    assert "nosniff" in answer.headers["x-content-type-options"]
    for name in [*said][2:]:
        assert answer.headers.get(name) != said[name]


async def test_streams_what_comes_and_goes(shop: Shop, ann: AsyncClient) -> None:
    shop.upstream.answer = lambda _: Response(
        200, headers={"Content-Encoding": "br"}, stream=Parts(*PARTS)
    )
    headers = {**OWN_PAGE, "Accept-Encoding": "br"}
    request = ann.build_request(
        "POST", "/api/files/7", content=aiter(Parts(*PARTS)), headers=headers
    )
    answer = await ann.send(request, stream=True)
    came = [part async for part in answer.aiter_raw()]

    assert shop.upstream.bodies == [b"".join(PARTS)]
    assert b"".join(came) == b"".join(PARTS)
    assert answer.headers["content-encoding"] == "br"
    assert shop.upstream.asked[0].headers["accept-encoding"] == "br"


@pytest.mark.parametrize(
    ("error", "status"),
    [(httpx2.ConnectError("no"), 503), (httpx2.ReadTimeout("slow"), 504)],
    ids=["down", "slow"],
)
async def test_says_that_a_service_behind_does_not_answer(
    shop: Shop, ann: AsyncClient, error: Exception, status: int
) -> None:
    def fail(_: Request) -> Response:
        raise error

    shop.upstream.answer = fail

    answer = await ann.get("/api/orders")

    assert answer.status_code == status
    assert "orders.internal" not in answer.text


@pytest.mark.parametrize(
    ("upstreams", "headers"),
    [
        ({"/orders": "http://orders.internal"}, ()),
        ({"/orders": "https://user:secret@orders.internal"}, ()),
        ({"/orders": "https://orders.internal/?a=1"}, ()),
        ({"/orders": "https://orders.internal/?"}, ()),
        ({"/orders": "https://orders.internal/#a"}, ()),
        ({"/orders": "https://örders.internal"}, ()),
        ({"orders": ORDERS}, ()),
        ({"/": ORDERS}, ()),
        ({"": ORDERS}, ()),
        ({"/orders/": ORDERS}, ()),
        ({"/a/../b": ORDERS}, ()),
        ({"/{name}": ORDERS}, ()),
        ({"/orders": ORDERS}, ("Cookie",)),
        ({"/orders": ORDERS}, ("authorization",)),
        ({"/orders": ORDERS}, ("Host",)),
        ({"/orders": ORDERS}, ("Transfer-Encoding",)),
        ({"/orders": ORDERS}, ("a b",)),
    ],
    ids=str,
)
def test_b26_refuses_a_list_that_is_not_safe(
    upstreams: dict[str, str], headers: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError):
        make_api_proxy_router(upstreams=upstreams, request_headers=headers)


def test_every_route_decides_who_may_use_it() -> None:
    assert find_undecided(make_app()) == []


async def test_closes_its_connections_when_the_service_stops(shop: Shop) -> None:
    closed: list[bool] = []

    class Transport(httpx2.MockTransport):
        async def aclose(self) -> None:
            closed.append(True)

    app = create_app(Settings(environment="test"))
    app.include_router(
        make_api_proxy_router(
            upstreams={"/orders": ORDERS}, make_transport=lambda: Transport(shop.upstream.handle)
        )
    )
    for name in ("sessions", "authentication", "login"):
        setattr(app.state, name, getattr(shop.app.state, name))

    async with shop.browser() as ann, running(app, base_url=ORIGIN) as client:
        answer = await client.get("/api/orders", headers={"Cookie": _cookies_of(ann)})
        assert (answer.status_code, closed) == (200, [])

    assert closed == [True]
