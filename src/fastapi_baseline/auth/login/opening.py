"""Where an application keeps what signing in with a provider remembers: where its sessions are."""

from datetime import timedelta
from typing import Any

from fastapi_baseline.auth.login.memory import MemoryLoginStore
from fastapi_baseline.auth.login.store import LoginStore
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import SessionSettings

_REDIS_TIMEOUT = timedelta(seconds=1)


def make_login_store(
    settings: SessionSettings,
    *,
    database: Any = None,
    redis: Any = None,
    namespace: str = "service",
    clock: Clock | None = None,
) -> LoginStore:
    """Return the store of an application that has a `Database`, or a client of Redis, or none.

    Raises:
        ConfigurationError: If it has not the one that the settings name.
    """
    clock = clock or SystemClock()
    kind = settings.store
    if kind == "redis" or (kind == "auto" and redis is not None):
        if redis is None:
            raise ConfigurationError("Sessions are to be kept in Redis: set REDIS_URL.")
        # Only a service that uses a backend pays for its import.
        from fastapi_baseline.auth.login.redis import RedisLoginStore  # noqa: PLC0415

        return RedisLoginStore(redis, namespace=namespace, timeout=_REDIS_TIMEOUT, clock=clock)
    if kind == "database" or (kind == "auto" and database is not None):
        if database is None:
            raise ConfigurationError("Sessions are to be kept in a database: set DATABASE_URL.")
        # Likewise.
        from fastapi_baseline.auth.login.database import DatabaseLoginStore  # noqa: PLC0415

        return DatabaseLoginStore(database, clock=clock)
    return MemoryLoginStore(clock=clock)
