from collections.abc import AsyncGenerator

import pytest
from redis.asyncio import Redis

from fastapi_baseline import ConfigurationError
from fastapi_baseline.auth.sessions import (
    DatabaseSessionStore,
    MemorySessionStore,
    RedisSessionStore,
    make_sessions,
)
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import SessionSettings


@pytest.fixture
async def database() -> AsyncGenerator[Database]:
    database = Database("sqlite:///:memory:")
    yield database
    await database.dispose()


@pytest.fixture
async def redis() -> AsyncGenerator[Redis]:
    async with Redis() as client:
        yield client


async def test_takes_the_best_of_what_there_is(database: Database, redis: Redis) -> None:
    settings = SessionSettings()

    found = [
        make_sessions(settings, database=database, redis=redis),
        make_sessions(settings, database=database),
        make_sessions(settings),
    ]

    kinds = [RedisSessionStore, DatabaseSessionStore, MemorySessionStore]
    assert [type(sessions.store) for sessions in found] == kinds


async def test_takes_what_the_settings_say(database: Database, redis: Redis) -> None:
    found = [
        make_sessions(SessionSettings(store="memory"), database=database, redis=redis),
        make_sessions(SessionSettings(store="database"), database=database, redis=redis),
        make_sessions(SessionSettings(store="redis"), database=database, redis=redis),
    ]

    kinds = [MemorySessionStore, DatabaseSessionStore, RedisSessionStore]
    assert [type(sessions.store) for sessions in found] == kinds


def test_refuses_what_there_is_not() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        make_sessions(SessionSettings(store="redis"))
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        make_sessions(SessionSettings(store="database"))
