"""Whether Redis answers, as a health check."""

from fastapi_baseline._extras import optional
from fastapi_baseline.redis.errors import RedisUnavailableError

with optional("redis", extra="redis"):
    from redis.asyncio import Redis
    from redis.exceptions import RedisError


class RedisPing:
    """A health check: whether Redis answers."""

    name = "redis"

    def __init__(self, client: Redis) -> None:
        """Ask through `client`, as the service does."""
        self._client = client

    async def check(self) -> None:
        """Ask for an answer.

        Raises:
            RedisUnavailableError: If there is none.
        """
        try:
            await self._client.ping()  # pyright: ignore[reportUnknownMemberType] -- untyped keywords
        except (RedisError, OSError) as error:
            raise RedisUnavailableError("Redis does not answer.") from error
