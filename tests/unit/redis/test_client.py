import asyncio
import traceback

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.redis import create_redis


async def test_more_commands_than_connections_take_turns(redis_url: str) -> None:
    async with create_redis(redis_url, max_connections=2) as client:
        counts = await asyncio.gather(*(client.incr("n") for _ in range(50)))

    assert sorted(counts) == list(range(1, 51))


@pytest.mark.parametrize("url", ["http://u:secret@h/0", "redis://u:sec/ret@h/0", "nothing"])
def test_refuses_what_is_no_url_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL") as caught:
        create_redis(url)

    shown = "".join(traceback.format_exception(caught.value.with_traceback(None)))
    assert "sec" not in shown


async def test_waits_for_nothing_with_timers_of_the_library(redis_url: str) -> None:
    async with create_redis(redis_url) as client:
        connection = await client.connection_pool.get_connection()
        await client.connection_pool.release(connection)

    assert connection.socket_timeout is None


async def test_takes_limits_from_the_url(redis_url: str) -> None:
    url = f"{redis_url}?socket_timeout=0.02&max_connections=3&timeout=0.1"

    async with create_redis(url) as client, asyncio.timeout(5):
        with pytest.raises(RedisTimeoutError):
            await client.blpop(["nothing"], timeout=1)

        assert client.connection_pool.max_connections == 3
