from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.redis import RedisCacheStore
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, RedisUnavailableError, create_redis
from fastapi_baseline.settings import CacheSettings
from fastapi_baseline.testing.clock import ManualClock

T = TypeVar("T")


class SwitchedRedis(GuardedRedis):
    """A Redis that can be made to be away for one process."""

    is_away = False
    runs = 0

    async def run(self, command: Callable[[], Awaitable[T]]) -> T:
        self.runs += 1
        if self.is_away:
            raise RedisUnavailableError
        return await super().run(command)


class Process:
    """What one process of a service has: a connection, and a cache of its own."""

    def __init__(
        self, client: Redis, clock: ManualClock, settings: CacheSettings, *, namespace: str
    ) -> None:
        self.redis = SwitchedRedis(
            client, deadline=timedelta(seconds=30), breaker=CircuitBreaker(clock=clock)
        )
        self.store = RedisCacheStore(self.redis, namespace=namespace)
        self.cache = Cache(remote=self.store, clock=clock, random=lambda: 0.0, settings=settings)


@pytest.fixture
async def client(redis_url: str) -> AsyncGenerator[Redis]:
    async with create_redis(redis_url, reply_timeout=timedelta(seconds=30)) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def namespace() -> str:
    return "shop"


@pytest.fixture
def processes(client: Redis, clock: ManualClock, namespace: str) -> list[Process]:
    return [Process(client, clock, CacheSettings(), namespace=namespace) for _ in range(2)]
