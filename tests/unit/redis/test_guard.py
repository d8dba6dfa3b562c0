import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, OutOfMemoryError, ReadOnlyError

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.redis import (
    CircuitBreaker,
    CircuitState,
    GuardedRedis,
    RedisUnavailableError,
    create_redis,
)
from fastapi_baseline.testing import FaultProxy, ManualClock, fault_proxy
from fastapi_baseline.testing.server import free_port

SOON = timedelta(milliseconds=20)
LATE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def nowhere() -> AsyncGenerator[Redis]:
    async with create_redis(f"redis://127.0.0.1:{free_port()}") as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> CircuitBreaker:
    return CircuitBreaker(failures_to_open=3, retry_interval=SECOND, clock=clock)


@pytest.fixture
def guard(nowhere: Redis, breaker: CircuitBreaker) -> GuardedRedis:
    return GuardedRedis(nowhere, deadline=SOON, breaker=breaker)


@contextmanager
def in_request() -> Generator[RequestContext]:
    request = RequestContext(request_id="r")
    token = request_context.set(request)
    try:
        yield request
    finally:
        request_context.reset(token)


async def answer() -> int:
    return 1


async def hang() -> None:
    await asyncio.Event().wait()


async def refuse() -> None:
    raise RedisConnectionError("refused")


async def fail(guard: GuardedRedis, *, times: int) -> None:
    for _ in range(times):
        with pytest.raises(RedisUnavailableError):
            await guard.run(refuse)


async def test_returns_what_the_command_gives(guard: GuardedRedis) -> None:
    assert await guard.run(answer) == 1
    assert guard.is_available


async def test_gives_up_at_the_deadline(guard: GuardedRedis) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(RedisUnavailableError, match="in time"):
            await guard.run(hang)


@pytest.mark.parametrize(
    "error",
    [RedisConnectionError("x"), OutOfMemoryError("x"), ReadOnlyError("x"), ConnectionResetError()],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_redis_says_against_it_means_that_it_is_unavailable(
    guard: GuardedRedis, error: Exception
) -> None:
    async def raise_it() -> None:
        raise error

    with pytest.raises(RedisUnavailableError) as caught:
        await guard.run(raise_it)

    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [DataError("x"), LookupError("x")], ids=["data", "lookup"])
async def test_a_mistake_of_the_caller_is_theirs(
    guard: GuardedRedis, breaker: CircuitBreaker, error: Exception
) -> None:
    async def raise_it() -> None:
        raise error

    for _ in range(5):
        with pytest.raises(type(error)):
            await guard.run(raise_it)

    assert breaker.state is CircuitState.CLOSED


async def test_asks_no_more_after_some_failures_in_a_row(guard: GuardedRedis) -> None:
    asked: list[int] = []

    async def ask() -> None:
        asked.append(1)

    await fail(guard, times=3)
    with pytest.raises(RedisUnavailableError):
        await guard.run(ask)

    assert not guard.is_available
    assert asked == []


async def test_that_the_caller_is_cancelled_says_nothing_of_redis(
    guard: GuardedRedis, breaker: CircuitBreaker
) -> None:
    for _ in range(5):
        waiting = asyncio.ensure_future(guard.run(hang))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert breaker.state is CircuitState.CLOSED


async def test_a_request_waits_in_vain_once(guard: GuardedRedis) -> None:
    asked: list[int] = []

    async def ask() -> None:
        asked.append(1)

    with in_request():
        for command in (hang, ask, ask):
            with pytest.raises(RedisUnavailableError):
                await guard.run(command)
    with in_request():
        await guard.run(ask)

    assert asked == [1]


async def test_so_does_a_task_that_is_part_of_no_request(guard: GuardedRedis) -> None:
    asked: list[int] = []

    async def ask() -> None:
        asked.append(1)

    async def work() -> None:
        for command in (hang, ask, ask):
            with pytest.raises(RedisUnavailableError):
                await guard.run(command)

    for task in (work(), guard.run(ask)):
        await asyncio.gather(task)

    assert asked == [1]


async def test_a_request_that_lasts_asks_again_later(guard: GuardedRedis) -> None:
    with in_request() as request:
        request.redis_retry_at = time.monotonic() - 1

        assert await guard.run(answer) == 1
        assert request.redis_retry_at is None


async def test_errors_do_not_keep_a_request_from_asking_again(guard: GuardedRedis) -> None:
    with in_request():
        await fail(guard, times=1)

        assert await guard.run(answer) == 1


async def test_without_its_lifespan_somebody_tries_once_in_an_interval(
    guard: GuardedRedis, clock: ManualClock
) -> None:
    await fail(guard, times=3)
    clock.advance(SECOND)

    await fail(guard, times=1)
    with pytest.raises(RedisUnavailableError):
        await guard.run(answer)
    clock.advance(SECOND)

    assert await guard.run(answer) == 1
    assert guard.is_available


async def test_with_its_lifespan_no_request_tries(guard: GuardedRedis, clock: ManualClock) -> None:
    asked: list[int] = []

    async def ask() -> None:
        asked.append(1)

    async with guard.lifespan(None):
        await fail(guard, times=3)
        clock.advance(LATE)
        with pytest.raises(RedisUnavailableError):
            await guard.run(ask)

    assert asked == []


async def test_leaving_its_lifespan_ends_the_task_that_looks(guard: GuardedRedis) -> None:
    before = asyncio.all_tasks()
    async with guard.lifespan(None):
        await fail(guard, times=3)
        during = asyncio.all_tasks()

    assert len(during) > len(before)
    assert not {task for task in asyncio.all_tasks() if task not in before}


class Outage:
    """A Redis that can be made to go, and what is seen of that."""

    def __init__(self, guard: GuardedRedis, breaker: CircuitBreaker, proxy: FaultProxy) -> None:
        self.guard = guard
        self.breaker = breaker
        self.proxy = proxy

    async def begin(self) -> None:
        self.proxy.reply_with_error("OOM command not allowed")
        for _ in range(3):
            with pytest.raises(RedisUnavailableError):
                await self.guard.run(lambda: self.guard.client.set("k", 1))
        assert not self.guard.is_available

    async def wait_until(self, state: CircuitState) -> None:
        if self.breaker.state is state:
            return
        reached = asyncio.Event()
        self.breaker.on_change(lambda now: reached.set() if now is state else None)
        async with asyncio.timeout(10):
            await reached.wait()


@pytest.fixture
async def outage(redis_url: str) -> AsyncGenerator[Outage]:
    breaker = CircuitBreaker(failures_to_open=3, retry_interval=timedelta(milliseconds=5))
    async with fault_proxy(redis_url) as (proxy, url), create_redis(url) as client:
        guard = GuardedRedis(client, deadline=SECOND, breaker=breaker)
        async with guard.lifespan(None):
            yield Outage(guard, breaker, proxy)


async def test_looks_by_itself_whether_redis_is_back(outage: Outage) -> None:
    await outage.begin()

    outage.proxy.heal()
    await outage.wait_until(CircuitState.CLOSED)

    await outage.guard.run(lambda: outage.guard.client.set("k", 1))


async def test_the_log_has_a_line_for_each_change_and_none_for_each_failure(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="fastapi_baseline.redis"):
        await outage.begin()
        for _ in range(20):
            with pytest.raises(RedisUnavailableError):
                await outage.guard.run(answer)
        outage.proxy.heal()
        await outage.wait_until(CircuitState.CLOSED)

    assert [record.getMessage() for record in caplog.records] == [
        "Redis does not answer, and is not asked any more: OutOfMemoryError: command not allowed",
        "Redis answers again",
    ]


async def test_the_next_outage_has_lines_of_its_own(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await outage.begin()
        outage.proxy.heal()
        await outage.wait_until(CircuitState.CLOSED)

    assert len(caplog.records) == 4


async def test_one_that_answers_pings_and_nothing_else_is_not_told_to_be_back(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    states: list[CircuitState] = []
    outage.breaker.on_change(states.append)

    with caplog.at_level(logging.INFO, logger="fastapi_baseline.redis"):
        await outage.begin()
        outage.proxy.heal()
        while states.count(CircuitState.OPEN) < 4:
            await outage.wait_until(CircuitState.HALF_OPEN)
            with pytest.raises(RedisUnavailableError):
                await outage.guard.run(refuse)

    assert CircuitState.CLOSED not in states
    assert len(caplog.records) == 1


async def test_a_ping_that_fails_on_trial_opens_it_again(outage: Outage) -> None:
    await outage.begin()
    outage.breaker.confirm_probe()

    await outage.wait_until(CircuitState.OPEN)

    assert not outage.guard.is_available


def read(reader: InMemoryMetricReader) -> dict[str, dict[str, float]]:
    data: Any = reader.get_metrics_data()
    return {
        metric.name: {
            str(point.attributes.get("error.type", "")): point.value
            for point in metric.data.data_points
        }
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }


async def test_measures_whether_it_is_asked_and_why_not(
    nowhere: Redis, breaker: CircuitBreaker
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    guard = GuardedRedis(nowhere, deadline=SOON, breaker=breaker, meter_provider=provider)

    at_first = read(reader)["baseline.redis.available"]
    await fail(guard, times=2)
    with pytest.raises(RedisUnavailableError):
        await guard.run(hang)
    await fail(guard, times=2)
    in_the_end = read(reader)
    provider.shutdown()

    assert at_first == {"": 1}
    assert in_the_end == {
        "baseline.redis.available": {"": 0},
        "baseline.redis.failures": {"timeout": 1, "error": 2, "circuit_open": 2},
    }
