import pytest
from redis.asyncio import Redis

from fastapi_baseline.auth.login.database import DatabaseLoginStore
from fastapi_baseline.auth.login.memory import MemoryLoginStore
from fastapi_baseline.auth.login.opening import make_login_store
from fastapi_baseline.auth.login.redis import RedisLoginStore
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import SessionSettings


def test_is_where_the_sessions_are() -> None:
    database, redis = Database("sqlite://"), Redis()
    settings = SessionSettings()

    assert isinstance(make_login_store(settings), MemoryLoginStore)
    assert isinstance(make_login_store(settings, database=database), DatabaseLoginStore)
    both = make_login_store(settings, database=database, redis=redis)
    assert isinstance(both, RedisLoginStore)


def test_is_where_the_settings_say() -> None:
    database, redis = Database("sqlite://"), Redis()

    in_memory = SessionSettings(store="memory")
    assert isinstance(make_login_store(in_memory, database=database), MemoryLoginStore)
    in_database = SessionSettings(store="database")
    kept = make_login_store(in_database, database=database, redis=redis)
    assert isinstance(kept, DatabaseLoginStore)


@pytest.mark.parametrize("store", ["database", "redis"])
def test_refuses_a_store_that_is_not_there(store: str) -> None:
    settings = SessionSettings.model_validate({"store": store})

    with pytest.raises(ConfigurationError, match="_URL"):
        make_login_store(settings)
