import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient
from opentelemetry.sdk.metrics import MeterProvider
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_baseline.middleware.route_templates import route_of

ROUTES = {
    "/plain/1": "/plain/{x}",
    "/v1/orders/1": "/v1/orders/{number}",
    "/v1/shops/eu/orders/1": "/v1/shops/{shop}/orders/{number}",
    "/v1/orders/1/old": "/v1/orders/{number}/old",
    "/v1/orders/none": "/v1/orders/{number}",
    "/sub/plain/1": "/sub/plain/{x}",
    "/sub/v1/orders/1": "/sub/v1/orders/{number}",
    "/sub/unknown": "/sub/{path}",
    "/tenants/acme/plain/1": "/tenants/{tenant}/plain/{x}",
    "/tenants/acme/plain/acme": "/tenants/{tenant}/plain/{x}",
    "/shadowed/acme/plain/1": "/shadowed/{x}/plain/{x}",
    "/numbers/042/plain/1": "/numbers/{tenant}/plain/{x}",
    "/v2/eu/numbers/042/plain/1": "/v2/{region}/numbers/{tenant}/plain/{x}",
    "/nested/acme/deeper/1/plain/1": "/nested/{a}/deeper/{b}/plain/{x}",
    "/old/1": "/old/{y}",
    "/older/1": "/older/{z}",
    "/sub/old/1": "/sub/old/{y}",
    "/openapi.json": "/openapi.json",
    "/nothing": None,
}
# What the framework's telemetry knows, and what is left in the scope otherwise.
OF_STARLETTE = {"/starlette/old/1": ("/starlette/{path}", "/starlette/old/{x}")}


class Peek:
    def __init__(self, app: ASGIApp, *, found: dict[str, str | None]) -> None:
        self._app = app
        self._found = found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        await self._app(scope, receive, send)
        self._found[path] = route_of(scope)


async def answer(request: object) -> PlainTextResponse:
    return PlainTextResponse("old")


def add_routes(app: FastAPI) -> None:
    orders = APIRouter(prefix="/orders")

    @orders.get("/{number}")
    async def get_order(number: int) -> int:
        return number

    orders.routes.append(Route("/orders/{number}/old", answer))
    shops = APIRouter(prefix="/shops/{shop}")
    shops.include_router(orders)
    app.include_router(orders, prefix="/v1")
    app.include_router(shops, prefix="/v1")

    app.add_route("/old/{y}", answer)
    app.add_route("/older/{z}", answer)

    @app.get("/plain/{x}")
    async def get_plain(x: str) -> str:
        return x


async def templates_of(app: FastAPI, *paths: str, root_path: str = "") -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    add_routes(app)
    inner = FastAPI()
    add_routes(inner)
    app.mount("/sub", inner)
    app.mount("/tenants/{tenant}", inner)
    app.mount("/shadowed/{x}", inner)
    app.mount("/numbers/{tenant:int}", inner)
    included = APIRouter()
    included.mount("/numbers/{tenant:int}", inner)
    app.include_router(included, prefix="/v2/{region}")
    outer = FastAPI()
    outer.mount("/deeper/{b}", inner)
    app.mount("/nested/{a}", outer)
    app.mount("/starlette", Starlette(routes=[Route("/old/{x}", answer)]))
    app.add_middleware(Peek, found=found)
    transport = ASGITransport(app, root_path=root_path)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        for path in paths:
            await client.get(path)
    return found


async def test_agrees_with_the_telemetry_of_the_framework() -> None:
    with_telemetry = FastAPI(telemetry={"meter_provider": MeterProvider()})

    found = await templates_of(with_telemetry, *ROUTES, *OF_STARLETTE)

    assert found == ROUTES | {path: known for path, (known, _) in OF_STARLETTE.items()}


async def test_knows_the_template_without_telemetry() -> None:
    found = await templates_of(FastAPI(), *ROUTES, *OF_STARLETTE)

    assert found == ROUTES | {path: guessed for path, (_, guessed) in OF_STARLETTE.items()}


async def test_leaves_out_what_a_proxy_has_put_before() -> None:
    found = await templates_of(
        FastAPI(), "/behind/v1/orders/1", "/behind/sub/plain/1", root_path="/behind"
    )

    assert found == {
        "/behind/v1/orders/1": "/v1/orders/{number}",
        "/behind/sub/plain/1": "/sub/plain/{x}",
    }


async def test_has_nothing_in_it_that_a_client_has_sent() -> None:
    scope: Scope = {"type": "http", "app_root_path": "", "root_path": "/made/up", "route": None}

    assert route_of(scope) is None


@pytest.mark.parametrize("path_format", ["/plain/{x}", None])
def test_falls_back_to_the_route_itself(path_format: str | None) -> None:
    class Route:
        pass

    route = Route()
    vars(route)["path_format"] = path_format

    assert route_of({"type": "http", "route": route}) == path_format
