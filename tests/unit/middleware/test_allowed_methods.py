from fastapi import APIRouter, FastAPI

from fastapi_baseline import Settings, create_app
from fastapi_baseline.testing import running


def _nothing() -> None:
    pass


def _application() -> FastAPI:
    app = create_app(Settings(), configure_logging=False)
    router = APIRouter(prefix="/items")
    router.add_api_route("/{item_id}", _nothing, methods=["GET"])
    router.add_api_route("/{item_id}", _nothing, methods=["PATCH", "DELETE"])
    app.include_router(router, prefix="/v1")
    app.add_api_route("/single", _nothing, methods=["POST"])
    mounted = FastAPI()
    mounted.add_api_route("/inside", _nothing, methods=["GET"])
    mounted.add_api_route("/inside", _nothing, methods=["PUT"])
    app.mount("/mounted", mounted)
    return app


async def test_names_the_methods_of_every_route_of_the_path() -> None:
    async with running(_application()) as client:
        several = await client.options("/v1/items/3")
        one = await client.get("/single")

    assert (several.status_code, several.headers["allow"]) == (405, "GET, DELETE, PATCH")
    assert (one.status_code, one.headers["allow"]) == (405, "POST")


async def test_leaves_a_mounted_application_its_own_answer() -> None:
    async with running(_application()) as client:
        answer = await client.delete("/mounted/inside")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
