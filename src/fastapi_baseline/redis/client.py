"""A Redis client that gives up in time."""

from datetime import timedelta

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError

with optional("redis", extra="redis"):
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    from fastapi_baseline.redis.pool import PromptConnectionPool

CONNECT_TIMEOUT = timedelta(seconds=1)
REPLY_TIMEOUT = timedelta(milliseconds=500)


def create_redis(
    url: str,
    *,
    connect_timeout: timedelta = CONNECT_TIMEOUT,
    reply_timeout: timedelta = REPLY_TIMEOUT,
    max_connections: int = 50,
    client_name: str | None = None,
) -> Redis:
    """Return a client, which connects when it is first used; whoever makes it closes it.

    A command is tried once more if its connection has broken, and never waits for longer than twice
    the timeouts. The library's own defaults are ten more tries of five seconds each: a server that
    accepts and says nothing would hold a request for a minute. Commands beyond `max_connections`
    wait for a connection as long as for a reply.

    Keys and values are bytes. The client belongs to the event loop in which it is first used.

    Raises:
        ConfigurationError: If the URL is none of Redis; the message does not repeat it.
    """
    try:
        pool = PromptConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] -- untyped keywords
            url,
            max_connections=max_connections,
            timeout=reply_timeout.total_seconds(),
            socket_connect_timeout=connect_timeout.total_seconds(),
            socket_timeout=reply_timeout.total_seconds(),
            retry=Retry(NoBackoff(), 1),
            client_name=client_name,
        )
    except ValueError:
        # Without its cause, which quotes the URL around the password.
        raise ConfigurationError(
            "REDIS_URL is not valid: want redis://, rediss:// or unix://."
        ) from None
    return Redis.from_pool(pool)
