"""Redis, asked in a way that no request waits for it for long.

`create_redis` makes the client; `GuardedRedis` is what those talk through who can do without. The
names below are imported when they are first used: the errors need no library.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily

if TYPE_CHECKING:
    from fastapi_baseline.redis.circuit_breaker import CircuitBreaker, CircuitState
    from fastapi_baseline.redis.client import CONNECT_TIMEOUT, REPLY_TIMEOUT, create_redis
    from fastapi_baseline.redis.errors import RedisUnavailableError
    from fastapi_baseline.redis.guard import GuardedRedis
    from fastapi_baseline.redis.keys import KeySpace
    from fastapi_baseline.redis.ping import RedisPing

__all__ = [
    "CONNECT_TIMEOUT",
    "REPLY_TIMEOUT",
    "CircuitBreaker",
    "CircuitState",
    "GuardedRedis",
    "KeySpace",
    "RedisPing",
    "RedisUnavailableError",
    "create_redis",
]

_HOMES = {
    "CONNECT_TIMEOUT": "client",
    "REPLY_TIMEOUT": "client",
    "CircuitBreaker": "circuit_breaker",
    "CircuitState": "circuit_breaker",
    "GuardedRedis": "guard",
    "KeySpace": "keys",
    "RedisPing": "ping",
    "RedisUnavailableError": "errors",
    "create_redis": "client",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
