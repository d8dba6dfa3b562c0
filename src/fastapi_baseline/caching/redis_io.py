"""Commands to Redis, as few round trips as possible."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.redis.errors import RedisUnavailableError
from fastapi_baseline.redis.guard import GuardedRedis

with optional("redis", extra="redis"):
    from redis.exceptions import RedisError

_BATCH = 500
_IDLE_S = 1.0


class RedisIO:
    """What asks a Redis that may be away; each method raises `RedisUnavailableError` if it is."""

    def __init__(self, redis: GuardedRedis) -> None:
        """Ask `redis`."""
        self._redis = redis
        # Without types: those of redis-py have most commands return sync and async values alike.
        self._client: Any = redis.client

    async def read(self, names: Sequence[str | bytes]) -> list[bytes | None]:
        """Return the values of keys; `None` for one that there is not."""
        if not names:
            return []
        if len(names) == 1:
            return [await self._redis.run(lambda: self._client.get(names[0]))]
        return await self._redis.run(lambda: self._client.mget(names))

    async def send(self, commands: Callable[[Any], object]) -> list[Any]:
        """Return the replies to what `commands` puts into a pipeline."""

        async def run() -> list[Any]:
            async with self._client.pipeline(transaction=False) as pipeline:
                commands(pipeline)
                return await pipeline.execute()

        return await self._redis.run(run)

    async def evaluate(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run scripts in one round trip; their texts are short, so each is sent with its call."""
        if len(calls) == 1:
            return [await self._redis.run(lambda: self._client.eval(*calls[0]))]
        return await self.send(lambda pipeline: [pipeline.eval(*call) for call in calls])

    async def scan(self, pattern: str) -> AsyncGenerator[list[bytes]]:
        """Yield the names of keys, some at a time; nobody else has to wait for all of them."""
        cursor: Any = 0
        while True:
            cursor, found = await self._redis.run(
                lambda: self._client.scan(cursor, match=pattern, count=_BATCH)  # noqa: B023 -- it is called at once
            )
            if found:
                yield found
            if not cursor:
                return

    async def remove(self, pattern: str) -> int:
        """Remove the keys whose names match, and return how many there were."""
        removed = 0
        async for names in self.scan(pattern):
            removed += sum(await self.send(lambda pipeline: [*map(pipeline.unlink, names)]))  # noqa: B023 -- likewise
        return removed

    @asynccontextmanager
    async def subscribed(self, channel: str) -> AsyncGenerator[AsyncGenerator[bytes | None]]:
        """Give the messages of a channel; `None` from time to time, if there is none."""
        pubsub = self._client.pubsub()
        try:
            await self._redis.run(lambda: pubsub.subscribe(channel))
            yield _messages(pubsub)
        finally:
            await pubsub.aclose()


async def _messages(pubsub: Any) -> AsyncGenerator[bytes | None]:
    is_asked = False
    while True:
        try:
            message = await pubsub.get_message(timeout=_IDLE_S)
            if message is None and not is_asked:
                await pubsub.ping()
        except (RedisError, OSError) as error:
            raise RedisUnavailableError from error
        if message is None:
            # A connection whose other end is gone looks like one on which nothing is said.
            if is_asked:
                raise RedisUnavailableError
            is_asked = True
            yield None
        else:
            is_asked = False
            if message["type"] == "message":
                yield message["data"]
