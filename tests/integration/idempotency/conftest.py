from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from fastapi_baseline.idempotency import IdempotencyStore, MemoryIdempotencyStore
from fastapi_baseline.idempotency.redis import RedisIdempotencyStore
from fastapi_baseline.redis import create_redis


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    async with create_redis(redis_url) as client:
        yield client


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> IdempotencyStore:
    if request.param == "memory":
        return MemoryIdempotencyStore()
    return RedisIdempotencyStore(request.getfixturevalue("redis"))
