"""The sessions of an application, kept where its settings say."""

from datetime import timedelta
from typing import Any

from fastapi_baseline.auth.security_events import SecurityEvents
from fastapi_baseline.auth.sessions.memory import MemorySessionStore
from fastapi_baseline.auth.sessions.service import Sessions
from fastapi_baseline.auth.sessions.store import SessionStore
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import SessionSettings

_REDIS_TIMEOUT = timedelta(seconds=1)


def make_sessions(
    settings: SessionSettings,
    *,
    database: Any = None,
    redis: Any = None,
    namespace: str = "service",
    clock: Clock | None = None,
    events: SecurityEvents | None = None,
) -> Sessions:
    """Return the sessions of an application that has a `Database`, or a client of Redis, or none.

    Raises:
        ConfigurationError: If it has not the one that the settings name, or one of the origins
            that they trust is none.
    """
    clock = clock or SystemClock()
    store = _open_store(settings, database=database, redis=redis, namespace=namespace, clock=clock)
    return Sessions(store, settings=settings, clock=clock, events=events)


def _open_store(
    settings: SessionSettings, *, database: Any, redis: Any, namespace: str, clock: Clock
) -> SessionStore:
    kind = settings.store
    if kind == "redis" or (kind == "auto" and redis is not None):
        if redis is None:
            raise ConfigurationError("Sessions are to be kept in Redis: set REDIS_URL.")
        # Only a service that uses a backend pays for its import.
        from fastapi_baseline.auth.sessions.redis import RedisSessionStore  # noqa: PLC0415

        return RedisSessionStore(redis, namespace=namespace, timeout=_REDIS_TIMEOUT)
    if kind == "database" or (kind == "auto" and database is not None):
        if database is None:
            raise ConfigurationError("Sessions are to be kept in a database: set DATABASE_URL.")
        # Likewise.
        from fastapi_baseline.auth.sessions.database import DatabaseSessionStore  # noqa: PLC0415

        return DatabaseSessionStore(database)
    return MemorySessionStore(clock=clock)
