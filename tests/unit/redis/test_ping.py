import asyncio
from datetime import timedelta

import pytest

from fastapi_baseline.redis import RedisPing, RedisUnavailableError, create_redis
from fastapi_baseline.testing.server import free_port


async def test_tells_that_redis_answers(redis_url: str) -> None:
    async with create_redis(redis_url) as client:
        await RedisPing(client).check()


async def test_tells_that_redis_does_not_answer() -> None:
    async with create_redis(f"redis://127.0.0.1:{free_port()}/0") as client:
        ping = RedisPing(client)

        with pytest.raises(RedisUnavailableError):
            await ping.check()

    assert ping.name == "redis"


async def test_gives_up_on_a_server_that_says_nothing() -> None:
    connections = 0
    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        async with create_redis(url, reply_timeout=timedelta(milliseconds=20)) as client:
            with pytest.raises(RedisUnavailableError):
                await RedisPing(client).check()
        gone.set()

    assert 1 <= connections <= 2
