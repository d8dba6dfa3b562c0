"""A route that is limited, and whose responses are kept."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient

from fastapi_baseline import Settings, create_app
from fastapi_baseline.caching import cached
from fastapi_baseline.rate_limiting import RateLimiter
from fastapi_baseline.testing import running

app = create_app(Settings(environment="test"))
limiter = RateLimiter()
reads: list[str] = []


async def read_reports() -> list[str]:
    """Read what takes long to read."""
    reads.append("January")
    return reads


# <start>
@app.get("/reports")
@limiter.limit("100/minute")
@cached(expire=60, tags=["reports"])
async def list_reports() -> list[str]:
    return await read_reports()


# <end>


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    async with running(app) as client:
        yield client


async def test_a_route_is_limited_and_cached(client: AsyncClient) -> None:
    first, second = [await client.get("/reports") for _ in range(2)]
    await app.state.cache.invalidate("reports")
    third = await client.get("/reports")

    assert [answer.json() for answer in (first, second, third)] == [
        ["January"],
        ["January"],
        ["January", "January"],
    ]
    assert ";r=98;" in second.headers["RateLimit"]
