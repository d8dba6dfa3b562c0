from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from fastapi_baseline.rate_limiting.memory import MemoryRateLimitStore
from fastapi_baseline.rate_limiting.redis import RedisRateLimitStore
from fastapi_baseline.rate_limiting.store import RateLimitStore
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, create_redis
from fastapi_baseline.testing import ManualClock


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    async with create_redis(redis_url) as client:
        yield client


@pytest.fixture
def guard(redis: Redis) -> GuardedRedis:
    return GuardedRedis(redis, deadline=timedelta(seconds=5), breaker=CircuitBreaker())


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.advance(timedelta(days=20_000))
    return clock


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, clock: ManualClock) -> RateLimitStore:
    if request.param == "memory":
        return MemoryRateLimitStore(clock=clock)
    return RedisRateLimitStore(request.getfixturevalue("guard"), clock=clock)
