import asyncio
import random
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.redis import (
    CircuitBreaker,
    CircuitState,
    GuardedRedis,
    RedisUnavailableError,
    create_redis,
)
from fastapi_baseline.testing import FaultProxy, RedisProcess, fault_proxy, redis_process

DEADLINE = timedelta(milliseconds=50)
NEVER = 1_000_000
_ANSWERS_AGAIN = "Redis answers again"


@asynccontextmanager
async def guarded(
    url: str, *, failures_to_open: int = 5, deadline: timedelta = DEADLINE
) -> AsyncGenerator[tuple[GuardedRedis, CircuitBreaker]]:
    breaker = CircuitBreaker(failures_to_open=failures_to_open)
    async with create_redis(url) as client:
        guard = GuardedRedis(client, deadline=deadline, breaker=breaker)
        async with guard.lifespan(None):
            await client.set("ready", 1)
            yield guard, breaker


async def until(breaker: CircuitBreaker, state: CircuitState) -> None:
    """Wait as long as it may take to notice: an interval of a second, and what a ping takes."""
    if breaker.state is not state:
        reached = asyncio.Event()
        breaker.on_change(lambda now: reached.set() if now is state else None)
        async with asyncio.timeout(10):
            await reached.wait()


@pytest.fixture
def process() -> Generator[RedisProcess]:
    with redis_process() as process:
        yield process


async def disturb(proxy: FaultProxy, chance: random.Random) -> None:
    """Make a different mess of the replies every few milliseconds."""
    while True:
        for mess in (
            lambda: proxy.slow_down(timedelta(milliseconds=chance.choice([5, 30, 60]))),
            lambda: proxy.cut_replies(after=chance.randrange(30)),
            proxy.drop_connections,
            lambda: proxy.reply_with_error("LOADING not yet"),
            proxy.swallow,
        ):
            proxy.heal()
            mess()
            await asyncio.sleep(chance.uniform(0.005, 0.06))


async def test_no_reply_ever_goes_to_somebody_else(redis_url: str) -> None:
    chance = random.Random(1)  # noqa: S311 -- the same each time
    answered = refused = cancelled = 0

    async def ask(guard: GuardedRedis, number: int) -> None:
        nonlocal answered, refused, cancelled
        client: Any = guard.client
        for round_ in range(15):
            text = f"{number}-{round_}".encode() * chance.choice([1, 1000])
            try:
                async with asyncio.timeout(chance.choice([0.01, 10])):
                    assert await guard.run(lambda: client.echo(text)) == text  # noqa: B023 -- awaited here
                    answered += 1
                    pipeline = client.pipeline(transaction=False).echo(text).echo(b"2")
                    assert await guard.run(pipeline.execute) == [text, b"2"]
                    answered += 1
            except RedisUnavailableError:
                refused += 1
            except TimeoutError:
                cancelled += 1

    async with (
        fault_proxy(redis_url) as (proxy, url),
        guarded(url, failures_to_open=NEVER) as (guard, _),
    ):
        disturbing = asyncio.ensure_future(disturb(proxy, chance))
        await asyncio.gather(*(ask(guard, number) for number in range(200)))
        disturbing.cancel()
        await asyncio.gather(disturbing, return_exceptions=True)
        proxy.heal()
        pool: Any = guard.client.connection_pool

        assert min(answered, refused, cancelled) > 0
        assert not pool._in_use_connections


async def ask_all(guard: GuardedRedis, count: int = 200) -> list[object]:
    client: Any = guard.client
    return await asyncio.gather(
        *(guard.run(lambda: client.incr("n")) for _ in range(count)), return_exceptions=True
    )


async def test_nobody_queues_behind_a_frozen_server(process: RedisProcess) -> None:
    async with guarded(process.url) as (guard, breaker):
        process.freeze()

        ends = await ask_all(guard)

        assert {type(end) for end in ends} == {RedisUnavailableError}
        assert breaker.is_open


async def test_is_back_after_it_was_frozen(
    process: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(process.url) as (guard, breaker):
        process.freeze()
        await ask_all(guard)
        process.thaw()
        await until(breaker, CircuitState.HALF_OPEN)

        ends = await ask_all(guard, count=20)

    assert not any(isinstance(end, Exception) for end in ends)
    assert len(caplog.messages) == 2
    assert caplog.messages[1] == _ANSWERS_AGAIN


async def test_is_back_after_a_restart_has_emptied_it(
    process: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(process.url) as (guard, breaker):
        script = guard.client.register_script("return redis.call('GET', KEYS[1])")
        await guard.run(lambda: script(keys=["ready"]))
        process.kill()
        refused = await ask_all(guard)
        process.restart()
        await until(breaker, CircuitState.HALF_OPEN)

        # The script is unknown there now, and the connections are closed.
        found = await guard.run(lambda: script(keys=["ready"]))

    assert {type(end) for end in refused} == {RedisUnavailableError}
    assert found is None
    assert len(caplog.messages) == 2


async def test_connections_that_gave_up_are_closed(process: RedisProcess) -> None:
    async with guarded(process.url, failures_to_open=NEVER) as (guard, _):
        client: Any = guard.client
        process.freeze()
        for _ in range(3):
            await ask_all(guard, count=60)
        process.thaw()
        await client.set("n", 0)

        idle: list[object] = client.connection_pool._available_connections
        async with asyncio.timeout(10):
            while len(await client.client_list()) > len(idle):  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.01)

        assert not client.connection_pool._in_use_connections


async def test_is_back_even_if_a_handshake_takes_longer_than_requests_wait(redis_url: str) -> None:
    async with (
        fault_proxy(redis_url) as (proxy, url),
        guarded(url, deadline=2 * DEADLINE) as (guard, breaker),
    ):
        await guard.client.connection_pool.disconnect()
        proxy.slow_down(DEADLINE)  # And three times that for the replies to a handshake.
        for _ in range(5):
            breaker.record_failure()

        await until(breaker, CircuitState.HALF_OPEN)
        ends = await ask_all(guard, count=1)

        assert isinstance(ends[0], int)
