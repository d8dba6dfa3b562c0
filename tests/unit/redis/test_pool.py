import asyncio
import importlib.metadata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from fastapi_baseline.redis import create_redis
from fastapi_baseline.testing import fault_proxy
from fastapi_baseline.testing.server import free_port

BRIEFLY = timedelta(milliseconds=30)


def connect(url: str, **options: Any) -> Any:
    """Return a client without its types, which are partly unknown."""
    return create_redis(url, **options)


@pytest.fixture
async def client(redis_url: str) -> AsyncGenerator[Any]:
    async with connect(redis_url, max_connections=5) as client:
        yield client


def counts(client: Any) -> tuple[int, int]:
    """Return how many connections are idle, and how many somebody has."""
    pool: Any = client.connection_pool
    return len(pool._available_connections), len(pool._in_use_connections)


async def test_uses_a_connection_again(client: Any) -> None:
    await client.set("a", 1)
    await client.set("b", 2)

    assert counts(client) == (1, 0)


async def test_opens_no_more_than_it_may(client: Any) -> None:
    await asyncio.gather(*(client.incr("n") for _ in range(100)))

    idle, used = counts(client)
    assert 1 <= idle <= 5
    assert used == 0


async def test_a_burst_does_not_open_all_connections_first(redis_url: str) -> None:
    async with connect(redis_url, max_connections=50) as client:
        await client.ping()
        await asyncio.gather(*(client.incr("n") for _ in range(40)))

        assert counts(client)[0] < 40


async def test_serves_those_who_wait_in_the_order_they_came(client: Any) -> None:
    pool = client.connection_pool
    held = [await pool.get_connection() for _ in range(5)]
    served: list[int] = []

    async def ask(number: int) -> None:
        connection = await pool.get_connection()
        served.append(number)
        await pool.release(connection)

    waiting = [asyncio.ensure_future(ask(number)) for number in range(10)]
    await asyncio.sleep(0)
    for connection in held:
        await pool.release(connection)
    await asyncio.gather(*waiting)

    assert served == list(range(10))


async def test_says_so_if_no_connection_is_free_in_time(redis_url: str) -> None:
    async with connect(redis_url, max_connections=1, reply_timeout=BRIEFLY) as client:
        held = await client.connection_pool.get_connection()

        with pytest.raises(RedisConnectionError, match="free"):
            await client.ping()
        await client.connection_pool.release(held)

        assert await client.ping()


async def test_whoever_gives_up_loses_no_connection(client: Any) -> None:
    pool = client.connection_pool
    held = [await pool.get_connection() for _ in range(5)]
    waiting = [asyncio.ensure_future(pool.get_connection()) for _ in range(5)]
    await asyncio.sleep(0)

    for connection in held:
        # Given to somebody who is cancelled before they can take it.
        await pool.release(connection)
    for wait in waiting:
        wait.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert counts(client) == (5, 0)


async def test_commands_cancelled_at_any_moment_lose_no_connection(redis_url: str) -> None:
    async with connect(redis_url, max_connections=3) as client:
        for steps in range(40):
            commands = [asyncio.ensure_future(client.incr("n")) for _ in range(6)]
            for _ in range(steps % 10):
                await asyncio.sleep(0)
            for command in commands:
                command.cancel()
                command.cancel()
            await asyncio.gather(*commands, return_exceptions=True)

        answers = await asyncio.gather(*(client.echo(str(n)) for n in range(30)))

        assert answers == [str(n).encode() for n in range(30)]
        assert counts(client)[1] == 0


async def test_a_connection_that_the_server_has_closed_is_not_used(client: Any) -> None:
    await asyncio.gather(*(client.incr("n") for _ in range(20)))
    async with connect(str_url(client)) as other:
        await other.client_kill_filter(_type="normal", skipme=True)

    answers = await asyncio.gather(*(client.get("n") for _ in range(20)))

    assert set(answers) == {b"20"}


def str_url(client: Any) -> str:
    keywords: dict[str, Any] = client.connection_pool.connection_kwargs
    place = f"{keywords['host']}:{keywords['port']}/{keywords['db']}"
    return f"redis://:{keywords['password']}@{place}"


async def test_a_connection_on_which_something_came_unasked_is_not_used(client: Any) -> None:
    connection: Any = await client.connection_pool.get_connection()
    await client.connection_pool.release(connection)
    connection._reader.feed_data(b"+stale\r\n")

    assert await client.echo("fresh") == b"fresh"


async def test_a_connection_whose_reply_nobody_has_read_is_not_used(client: Any) -> None:
    connection = await client.connection_pool.get_connection()
    await connection.send_command("ECHO", "old")
    await client.connection_pool.release(connection)

    assert await client.echo("new") == b"new"
    assert not connection.is_connected


async def test_a_connection_that_opens_for_nobody_is_there_for_the_next(redis_url: str) -> None:
    async with fault_proxy(redis_url) as (proxy, url), connect(url) as client:
        proxy.slow_down(timedelta(milliseconds=5))
        first = asyncio.ensure_future(client.ping())
        await proxy.connected.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

        assert await client.ping()
        assert proxy.connections == 1


async def test_everybody_who_waits_hears_that_nothing_can_be_opened() -> None:
    async with connect(f"redis://127.0.0.1:{free_port()}") as client:
        async with asyncio.timeout(0.4):  # Less than they would wait for one another.
            ends = await asyncio.gather(
                *(client.ping() for _ in range(100)), return_exceptions=True
            )

    assert {type(end) for end in ends} == {RedisConnectionError}
    assert len(set(map(id, ends))) == 100


async def test_says_why_nothing_can_be_opened(redis_url: str) -> None:
    url = redis_url.replace("//:", "//:not")

    async with connect(url) as client:
        with pytest.raises(AuthenticationError):
            await client.ping()


async def test_a_subscriber_hears_what_is_published_later_than_replies_may_come(
    redis_url: str,
) -> None:
    async with connect(redis_url, reply_timeout=BRIEFLY) as client, client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        await pubsub.get_message(timeout=1)
        waiting = asyncio.ensure_future(pubsub.get_message(timeout=5))
        await asyncio.sleep(0.1)
        await client.publish("news", "hello")
        message = await waiting

    assert message is not None
    assert message["data"] == b"hello"


async def test_a_subscriber_takes_no_hope_from_those_who_wait(redis_url: str) -> None:
    async with fault_proxy(redis_url) as (proxy, url), connect(url) as client:
        pubsub = client.pubsub()
        await pubsub.subscribe("news")
        await pubsub.get_message(timeout=1)
        await proxy.close()
        proxy.refuse()

        with pytest.raises(RedisConnectionError):
            async with asyncio.timeout(0.4):
                await client.ping()
        await pubsub.aclose()


async def test_closing_it_closes_what_is_being_opened(redis_url: str) -> None:
    async with fault_proxy(redis_url) as (proxy, url):
        client = connect(url)
        proxy.swallow()
        ping = asyncio.ensure_future(client.ping())
        await proxy.connected.wait()
        ping.cancel()
        await asyncio.gather(ping, return_exceptions=True)

        await client.aclose()

        assert counts(client) == (0, 0)


@asynccontextmanager
async def counted_metadata(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[list[str]]:
    asked: list[str] = []
    version = importlib.metadata.version

    def count(name: str) -> str:
        asked.append(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", count)
    yield asked


async def test_reads_once_from_the_disk_which_version_the_library_has(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counted_metadata(monkeypatch) as asked, connect(redis_url) as client:
        await asyncio.gather(*(client.ping() for _ in range(50)))

        assert counts(client)[0] > 1
    assert len(asked) <= 2
