import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.dependency import AppCache
from fastapi_baseline.errors import ConfigurationError


def served(cache: Cache | None) -> AsyncClient:
    app = FastAPI()
    if cache is not None:
        app.state.cache = cache

    @app.get("/")
    async def read(cache: AppCache) -> str:
        async def make() -> str:
            return "made"

        return await cache.get_or_set("k", make)

    return AsyncClient(transport=ASGITransport(app=app), base_url="http://test")


async def test_a_route_is_given_the_cache_of_its_application() -> None:
    cache = Cache()

    async with served(cache) as client:
        response = await client.get("/")

    assert response.json() == "made"
    assert cache.find_fresh_local(":k") is not None


async def test_an_application_without_a_cache_says_so() -> None:
    async with served(None) as client:
        with pytest.raises(ConfigurationError, match="no cache"):
            await client.get("/")
