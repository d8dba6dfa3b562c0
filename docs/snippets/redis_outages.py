"""What a service does while Redis does not answer; run by pytest."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from fastapi import APIRouter
from pydantic import SecretStr

from fastapi_baseline import Settings, create_app
from fastapi_baseline.caching import cached
from fastapi_baseline.rate_limiting import RateLimiter
from fastapi_baseline.testing import RedisProcess, fault_proxy, redis_process, running

limiter = RateLimiter()
router = APIRouter()


@router.get("/prices")
@limiter.limit("100/minute")
@cached(timedelta(minutes=1))
async def list_prices() -> list[int]:
    """Return the prices."""
    return [1, 2, 3]


@router.post("/sign-in")
@limiter.limit("10/minute", failure_mode="closed")
async def sign_in() -> str:
    """Return a token."""
    return "token"


# <start-process>
@pytest.fixture
def redis() -> Iterator[RedisProcess]:
    with redis_process() as process:
        yield process


async def test_prices_are_there_while_redis_is_frozen(redis: RedisProcess) -> None:
    app = create_app(Settings(environment="test", redis_url=SecretStr(redis.url)))
    app.state.limiter = limiter
    app.include_router(router)

    async with running(app) as client:
        redis.freeze()
        prices = await client.get("/prices")
        sign_in = await client.post("/sign-in")
        redis.thaw()

    assert prices.status_code == 200
    assert sign_in.status_code == 503


# <end-process>
# <start-proxy>
@pytest.fixture
async def app_url(redis_url: str) -> AsyncIterator[str]:
    async with fault_proxy(redis_url) as (proxy, url):
        proxy.reply_with_error("READONLY You can't write against a read only replica.")
        yield url


async def test_prices_are_there_while_redis_refuses_to_write(app_url: str) -> None:
    app = create_app(Settings(environment="test", redis_url=SecretStr(app_url)))
    app.include_router(router)

    async with running(app) as client:
        prices = await client.get("/prices")

    assert prices.status_code == 200


# <end-proxy>
