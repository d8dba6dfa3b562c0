import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.requests import HTTPConnection, Request

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting import Limiter
from fastapi_baseline.rate_limiting.requirement import place_of


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/direct/1", "GET /direct/{item_id}"),
        ("/included/1", "GET /included/{item_id}"),
        ("/mounted/included/1", "GET /mounted/included/{item_id}"),
    ],
)
async def test_a_route_is_the_same_place_whatever_stands_in_its_path(path: str, place: str) -> None:
    async def show(request: Request, item_id: int) -> str:
        return place_of(request.scope)

    app, mounted, router = FastAPI(), FastAPI(), APIRouter(prefix="/included")
    app.get("/direct/{item_id}")(show)
    router.get("/{item_id}")(show)
    app.include_router(router)
    mounted.include_router(router)
    app.mount("/mounted", mounted)

    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        response = await client.get(path)

    assert response.json() == place


def test_an_endpoint_without_a_route_is_a_place_by_its_name() -> None:
    place = place_of({"type": "http", "endpoint": place_of})

    assert place.endswith("fastapi_baseline.rate_limiting.requirement.place_of")


async def test_needs_the_layer() -> None:
    required = Limiter().require("1/minute")
    connection = HTTPConnection({"type": "http", "headers": []})

    with pytest.raises(ConfigurationError, match="RateLimitMiddleware"):
        await required(connection)
