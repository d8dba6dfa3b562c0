import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.health import CurrentAvailability
from fastapi_baseline.lifecycle import Availability


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()

    @app.post("/imports")
    async def begin_import(availability: CurrentAvailability) -> None:
        availability.refuse_traffic("importing")

    return app


async def test_gives_routes_the_availability_of_their_application(app: FastAPI) -> None:
    app.state.availability = Availability()

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.post("/imports")

    assert app.state.availability.refusals == ("importing",)


async def test_says_that_an_application_has_none(app: FastAPI) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        with pytest.raises(ConfigurationError, match="has no availability"):
            await client.post("/imports")
