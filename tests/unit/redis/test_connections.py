from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import SSLConnection, UnixDomainSocketConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

from fastapi_baseline.redis import create_redis
from fastapi_baseline.redis.connections import PromptConnection, make_prompt
from fastapi_baseline.testing import fault_proxy

BRIEFLY = timedelta(milliseconds=30)


@pytest.mark.parametrize("kind", [SSLConnection, UnixDomainSocketConnection])
def test_every_kind_of_connection_becomes_prompt(kind: Any) -> None:
    made = make_prompt(kind, BRIEFLY)

    assert issubclass(made, PromptConnection)
    assert issubclass(made, kind)
    assert made.__name__ == kind.__name__


async def test_a_reply_has_to_come_in_time(redis_url: str) -> None:
    async with (
        fault_proxy(redis_url) as (proxy, url),
        create_redis(url, reply_timeout=BRIEFLY) as client,
    ):
        await client.set("k", 1)
        connection = await client.connection_pool.get_connection()
        proxy.swallow()

        await connection.send_command("GET", "k")
        with pytest.raises(RedisTimeoutError, match="reply"):
            await connection.read_response()
        still_connected = connection.is_connected
        await client.connection_pool.release(connection)

    assert not still_connected


async def test_a_command_has_to_be_read_in_time(redis_url: str) -> None:
    async with (
        fault_proxy(redis_url) as (proxy, url),
        create_redis(url, reply_timeout=BRIEFLY) as client,
    ):
        await client.set("k", 1)
        connection = await client.connection_pool.get_connection()
        proxy.swallow()

        with pytest.raises(RedisTimeoutError):  # noqa: PT012 -- some Pythons find out when they read
            # More than the sockets on the way take.
            await connection.send_command("SET", "k", b"x" * 50_000_000)
            await connection.read_response()
        still_connected = connection.is_connected
        await client.connection_pool.release(connection)

    assert not still_connected


async def test_what_redis_has_not_read_is_dropped_when_nobody_waits(redis_url: str) -> None:
    async with fault_proxy(redis_url) as (proxy, url), create_redis(url) as client:
        await client.set("k", 1)
        connection: Any = await client.connection_pool.get_connection()
        proxy.swallow()
        transport = connection._writer.transport
        connection._writer.write(b"x" * 50_000_000)

        await connection.disconnect(nowait=True)
        await client.connection_pool.release(connection)

    assert transport.get_write_buffer_size() == 0


async def test_knows_that_a_reply_is_due(redis_url: str) -> None:
    async with create_redis(redis_url) as client:
        connection: Any = await client.connection_pool.get_connection()

        await connection.send_command("ECHO", "x")
        before = connection.is_reusable()
        await connection.read_response()
        after = connection.is_reusable()
        await client.connection_pool.release(connection)

    assert (before, after) == (False, True)


async def test_one_that_is_to_reconnect_is_not_used_again(redis_url: str) -> None:
    async with create_redis(redis_url) as client:
        connection: Any = await client.connection_pool.get_connection()

        # What the library says of it, from 7 on.
        connection.should_reconnect = lambda: True
        is_reusable = connection.is_reusable()
        await client.connection_pool.release(connection)

    assert not is_reusable


async def test_one_that_is_closed_is_not_fresh(redis_url: str) -> None:
    async with create_redis(redis_url) as client:
        connection: Any = await client.connection_pool.get_connection()
        at_first = connection.is_fresh()
        await connection.disconnect()

        assert (at_first, connection.is_fresh()) == (True, False)
        await client.connection_pool.release(connection)


async def test_one_that_the_server_has_closed_is_not_fresh(redis_url: str) -> None:
    async with create_redis(redis_url) as client:
        connection: Any = await client.connection_pool.get_connection()

        connection._reader.feed_eof()

        assert not connection.is_fresh()
        await client.connection_pool.release(connection)
