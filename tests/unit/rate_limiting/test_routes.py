from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route

from fastapi_baseline.rate_limiting.dependency import RouteLimits
from fastapi_baseline.rate_limiting.routes import LimitedApp, attach, endpoints_of, is_attached


def make_handler() -> Callable[..., Any]:
    async def made() -> str:
        return "done"

    return made


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("plain")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()


def application() -> FastAPI:
    app, mounted = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")
    inner.get("/{item_id}")(make_handler())
    inner.websocket("/ws")(talk)
    inner.add_route("/plain", plain)
    outer.include_router(inner)
    app.include_router(outer)
    app.include_router(inner, prefix="/again")
    app.api_route("/direct", methods=["GET", "POST"])(make_handler())
    mounted.get("/{item_id}")(make_handler())
    app.mount("/mounts/{tenant}", mounted)
    app.router.routes.append(Host("a.example", app=Starlette(routes=[Route("/host", plain)])))
    app.router.routes.append(Mount("/nothing", app=PlainTextResponse("")))
    return app


def test_finds_all_routes_with_their_prefixes() -> None:
    places = [endpoint.place for endpoint in endpoints_of(application().routes)]

    assert places == [
        "GET /outer/inner/{item_id}",
        "WEBSOCKET /outer/inner/ws",
        "GET,HEAD /outer/plain",
        "GET /again/inner/{item_id}",
        "WEBSOCKET /again/inner/ws",
        "GET,HEAD /again/plain",
        "GET,POST /direct",
        "GET /mounts/{tenant}/{item_id}",
        "GET,HEAD /host",
    ]


def test_what_is_attached_again_takes_the_place_of_what_was() -> None:
    first, second = RouteLimits(()), RouteLimits(())

    for endpoint in endpoints_of(application().routes):
        endpoint.attach(first)
        endpoint.attach(second)

        if endpoint.dependant is None:
            assert isinstance(endpoint.route.app, LimitedApp)
            assert endpoint.route.app.limits is second
            assert not isinstance(endpoint.route.app.app, LimitedApp)
        else:
            assert is_attached(endpoint.dependant)
            calls = [one.call for one in endpoint.dependant.dependencies]
            assert calls == [second]


def test_limits_come_after_all_other_dependencies() -> None:
    endpoint = next(endpoints_of(application().routes))
    assert endpoint.dependant is not None
    attach(endpoint.dependant, RouteLimits(()))
    limits = RouteLimits(())

    attach(endpoint.dependant, limits)

    assert endpoint.dependant.dependencies[-1].call is limits
