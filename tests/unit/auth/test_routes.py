from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Security, WebSocket
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from fastapi_baseline.access import anybody, deciding, public
from fastapi_baseline.auth import (
    CurrentPrincipal,
    OptionalPrincipal,
    Principal,
    RequireRoles,
    RequireScopes,
    get_principal,
    require_recent_auth,
)
from fastapi_baseline.auth.routes import AccessRoute, access_routes_of, mounted_apps_of


async def plain(request: StarletteRequest) -> Response:
    return PlainTextResponse("ok")


def the_route_of(app: FastAPI) -> AccessRoute:
    [route] = access_routes_of(app)
    return route


def paths_of(app: Any) -> list[str]:
    return [route.name.path for route in access_routes_of(app)]


def test_an_empty_application_has_no_routes_of_its_own() -> None:
    assert list(access_routes_of(FastAPI())) == []


def test_a_route_is_named_by_methods_path_and_function() -> None:
    app = FastAPI()

    @app.api_route("/orders/{number:int}", methods=["PUT", "GET"])
    async def change(number: int) -> int:
        return number

    assert str(the_route_of(app).name) == (
        f"GET,PUT /orders/{{number}} ({__name__}."
        "test_a_route_is_named_by_methods_path_and_function.<locals>.change)"
    )


def test_a_websocket_is_a_route() -> None:
    app = FastAPI()

    @app.websocket("/feed")
    async def feed(websocket: WebSocket) -> None: ...

    assert str(the_route_of(app).name).startswith("WEBSOCKET /feed (")


@pytest.mark.parametrize(
    "dependency",
    [
        get_principal,
        RequireScopes(all=["a"]),
        RequireRoles(any=["a"]),
        require_recent_auth(acr="gold"),
    ],
    ids=["principal", "scopes", "roles", "recent"],
)
@pytest.mark.parametrize("place", ["application", "router", "inclusion", "route", "parameter"])
def test_a_guard_is_seen_wherever_it_is(dependency: Any, place: str) -> None:
    guards = [Depends(dependency)]
    none: list[Any] = []
    app = FastAPI(dependencies=guards if place == "application" else none)
    router = APIRouter(dependencies=guards if place == "router" else none)
    if place == "parameter":

        @router.get("/x")
        async def with_parameter(found: Annotated[Principal, Depends(dependency)]) -> None: ...

    else:

        @router.get("/x", dependencies=guards if place == "route" else none)
        async def without_parameter() -> None: ...

    app.include_router(router, dependencies=guards if place == "inclusion" else none)

    route = the_route_of(app)
    assert route.is_guarded
    assert route.asks_who
    assert not route.is_public


def test_a_guard_is_seen_below_other_dependencies() -> None:
    async def find_customer(principal: CurrentPrincipal) -> str:
        return principal.subject

    async def find_orders(customer: Annotated[str, Depends(find_customer)]) -> list[str]:
        return [customer]

    app = FastAPI()

    @app.websocket("/feed")
    async def feed(
        websocket: WebSocket, orders: Annotated[list[str], Depends(find_orders)]
    ) -> None: ...

    assert the_route_of(app).is_guarded


def test_a_guard_of_ones_own_decides_and_does_not_ask_who() -> None:
    @deciding
    async def check_signature(request: Request) -> None: ...

    app = FastAPI()
    app.post("/hook", dependencies=[Depends(check_signature)])(partial(print, "x"))

    assert the_route_of(app).is_guarded
    assert not the_route_of(app).asks_who


def test_to_ask_who_it_is_and_take_no_for_an_answer_decides_nothing() -> None:
    app = FastAPI()

    @app.get("/x")
    async def show(principal: OptionalPrincipal) -> None: ...

    assert not the_route_of(app).is_guarded
    assert not the_route_of(app).asks_who


def test_a_guard_that_was_not_made_decides_nothing() -> None:
    app = FastAPI()

    @app.get("/x", dependencies=[Depends(require_recent_auth)])
    async def show() -> None: ...

    assert not the_route_of(app).is_guarded


@pytest.mark.parametrize("order", ["inside", "outside"])
def test_a_mark_is_seen_on_either_side_of_the_route(order: str) -> None:
    app = FastAPI()

    async def show() -> None: ...

    if order == "inside":
        app.get("/x")(public(show))
    else:
        public(app.get("/x")(show))

    assert the_route_of(app).is_public
    assert not the_route_of(app).is_guarded


def test_a_router_may_be_public() -> None:
    router = APIRouter()

    @router.get("/x")
    async def show() -> None: ...

    app = FastAPI()
    app.include_router(router, dependencies=[Depends(anybody)])

    assert the_route_of(app).is_public
    assert not the_route_of(app).is_guarded


def test_the_guards_of_a_router_do_not_reach_routes_of_another_kind() -> None:
    router = APIRouter(dependencies=[Depends(get_principal)])
    router.add_route("/plain", plain)
    app = FastAPI()
    app.include_router(router)

    assert the_route_of(app).name.path == "/plain"
    assert not the_route_of(app).is_guarded


def test_a_class_that_answers_can_be_marked() -> None:
    @public
    class Page(HTTPEndpoint): ...

    app = FastAPI(
        routes=[Route("/page", Page), Route("/other", type("Other", (HTTPEndpoint,), {}))]
    )

    assert [route.is_public for route in access_routes_of(app)] == [True, False]


def test_routes_of_mounted_applications_are_found() -> None:
    inner, middle, app = FastAPI(), FastAPI(), FastAPI()

    @inner.get("/{number}")
    async def show(number: int, principal: CurrentPrincipal) -> None: ...

    middle.mount("/inner", inner)
    router = APIRouter()
    router.mount("/middle", middle)
    app.include_router(router, prefix="/api")
    app.router.routes.append(Host("{tenant}.example.com", Router([Route("/page", plain)])))

    assert paths_of(app) == ["/api/middle/inner/{number}", "/page"]
    assert [route.is_guarded for route in access_routes_of(app)] == [True, False]
    assert all(route.is_mounted for route in access_routes_of(app))
    assert list(mounted_apps_of(app))[:2] == [middle, inner]


def test_routes_are_found_behind_the_layers_of_a_mount() -> None:
    app = FastAPI(
        routes=[
            Mount("/a", routes=[Route("/x", plain)], middleware=[Middleware(GZipMiddleware)]),
        ]
    )

    assert paths_of(app) == ["/a/x"]


def test_an_application_without_routes_is_one_route() -> None:
    app = FastAPI()
    app.mount("/files", StaticFiles(directory=".", check_dir=False))
    app.mount("/open", public(StaticFiles(directory=".", check_dir=False)))

    routes = list(access_routes_of(app))
    assert [str(route.name) for route in routes] == [
        "* /files/* (starlette.staticfiles.StaticFiles)",
        "* /open/* (starlette.staticfiles.StaticFiles)",
    ]
    assert [route.is_public for route in routes] == [False, True]
    assert [route.is_guarded for route in routes] == [False, False]
    assert list(mounted_apps_of(app)) == []


def test_what_holds_for_a_mounted_application_holds_for_its_routes() -> None:
    open_one, guarded = FastAPI(), FastAPI()
    open_one.add_route("/x", plain)
    guarded.add_route("/y", plain)
    app = FastAPI()
    app.mount("/a", public(open_one))
    app.mount("/b", deciding(guarded))

    assert [route.is_public for route in access_routes_of(app)] == [True, False]
    assert [route.is_guarded for route in access_routes_of(app)] == [False, True]


@pytest.mark.parametrize("dependency", [None, anybody, get_principal])
def test_frontends_are_routes(tmp_path: Path, dependency: Any) -> None:
    router = APIRouter(dependencies=[Depends(dependency)] if dependency else None)
    router.frontend("/ui", directory=tmp_path, check_dir=False)
    router.frontend("/help", directory=tmp_path, check_dir=False)
    included, direct = FastAPI(), FastAPI(dependencies=router.dependencies)
    included.include_router(router, prefix="/v1")
    direct.frontend("/ui", directory=tmp_path, check_dir=False)

    for app, path in ((included, "/v1/ui /help"), (direct, "/ui")):
        [route] = access_routes_of(app)
        assert route.name.path == path
        assert route.is_guarded is (dependency is get_principal)
        assert route.is_public is (dependency is anybody)


def test_scopes_that_nobody_reads_are_found() -> None:
    async def read_scopes(principal: CurrentPrincipal) -> Principal:
        return principal

    app = FastAPI()

    @app.get("/a")
    async def a(principal: Annotated[Principal, Security(get_principal, scopes=["a"])]) -> None: ...

    @app.get("/b", dependencies=[Security(read_scopes, scopes=["b", "c"])])
    async def b() -> None: ...

    assert [route.unread_scopes for route in access_routes_of(app)] == [("a",), ("b", "c")]


def test_scopes_of_somebody_elses_schemes_are_theirs() -> None:
    from fastapi.security import OAuth2PasswordBearer, SecurityScopes  # noqa: PLC0415 -- only here

    scheme = OAuth2PasswordBearer("/token")

    async def check(scopes: SecurityScopes, principal: CurrentPrincipal) -> None: ...

    app = FastAPI()

    @app.get("/a", dependencies=[Security(check, scopes=["a"]), Security(scheme, scopes=["b"])])
    async def a() -> None: ...

    assert the_route_of(app).unread_scopes == ()
