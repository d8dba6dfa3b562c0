import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from fastapi_baseline import Settings, create_app
from fastapi_baseline.caching import cached
from fastapi_baseline.rate_limiting import RateLimiter
from fastapi_baseline.settings import RateLimitSettings, RedisSettings
from fastapi_baseline.testing import (
    FaultProxy,
    RedisProcess,
    fault_proxy,
    redis_process,
    running,
)

# Ten times that of a service: the proxy takes turns with it in one event loop.
DEADLINE = timedelta(milliseconds=500)
ENOUGH = "1000000/minute"
LOGGERS = ("caching", "middleware", "rate_limiting", "redis")


@dataclass
class Service:
    """A service whose Redis can be made to fail, and what it answers."""

    app: FastAPI
    process: RedisProcess
    proxy: FaultProxy
    runs: Counter[str] = field(default_factory=Counter[str])

    async def get(self, path: str) -> int:
        """Return the status of a request; a client would cost more than what is tested."""
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"testserver")],
            "client": ("192.0.2.1", 1),
            "server": ("testserver", 80),
            "state": {},
        }
        await self.app(scope, receive, send)
        return statuses[0]

    async def burst(self) -> dict[str, Counter[int]]:
        """Return the statuses of two hundred requests at a time, by what they are for."""
        paths = [
            f"/{kind}/{number}"
            for number in range(25)
            for kind in ("cached", "limited", "both", "strict")
            for _ in range(2)
        ]
        found: dict[str, Counter[int]] = {}
        for path, status in zip(paths, await asyncio.gather(*map(self.get, paths)), strict=True):
            found.setdefault(path.split("/")[1], Counter())[status] += 1
        return found

    async def recover(self) -> None:
        """Wait until the strict limit is there again, which takes Redis."""
        # Two hundred others ask meanwhile, maybe on a machine that has more to do than this.
        async with asyncio.timeout(60):
            while await self.get("/strict/1") != 200:  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.01)


def add_routes(service: Service) -> None:
    limiter = RateLimiter()
    service.app.state.limiter = limiter

    async def cached_route(number: int) -> int:
        service.runs["cached"] += 1
        return number

    async def limited(number: int) -> int:
        return number

    async def both(number: int) -> int:
        return number

    async def strict(number: int) -> int:
        return number

    minute = timedelta(minutes=1)
    service.app.get("/cached/{number}")(cached(minute)(cached_route))
    service.app.get("/limited/{number}")(limiter.limit(ENOUGH)(limited))
    service.app.get("/both/{number}")(limiter.limit(ENOUGH)(cached(minute)(both)))
    service.app.get("/strict/{number}")(limiter.limit(ENOUGH, failure_mode="closed")(strict))


@asynccontextmanager
async def serve(process: RedisProcess) -> AsyncGenerator[Service]:
    async with fault_proxy(process.url) as (proxy, url):
        settings = Settings(
            environment="test",
            redis_url=SecretStr(url),
            redis=RedisSettings(deadline=DEADLINE),
            rate_limits=RateLimitSettings(per_address=(ENOUGH,)),
        )
        service = Service(create_app(settings), process, proxy)
        add_routes(service)
        async with running(service.app):
            for path in ("/cached/0", "/limited/0", "/both/0", "/strict/0"):
                await service.get(path)
            yield service


@pytest.fixture
async def service() -> AsyncGenerator[Service]:
    # One each: what another test has left in it would be hits here.
    with redis_process() as process:
        async with serve(process) as service:
            yield service


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Generator[list[str]]:
    """Give what the library says, from warnings on, of Redis and of those who do without.

    That the loop is held up, by two hundred requests at once on a busy machine, is true as well.
    """
    caplog.set_level(logging.CRITICAL, logger="fastapi_baseline.access")
    found: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(f"{record.name}: {record.getMessage()}")
    loggers = [logging.getLogger(f"fastapi_baseline.{name}") for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    yield found
    for logger in loggers:
        logger.removeHandler(handler)


Change = Callable[[Service], Awaitable[None]]


async def kill(service: Service) -> None:
    service.process.kill()
    service.proxy.drop_connections()


async def restart(service: Service) -> None:
    await asyncio.to_thread(service.process.restart)


async def freeze(service: Service) -> None:
    service.process.freeze()


async def thaw(service: Service) -> None:
    service.process.thaw()


async def slow_down(service: Service) -> None:
    service.proxy.slow_down(2 * DEADLINE)


async def reply_with_errors(service: Service) -> None:
    service.proxy.reply_with_error("MISCONF Redis is configured to save, and cannot")


async def cut_replies(service: Service) -> None:
    service.proxy.cut_replies()


async def swallow(service: Service) -> None:
    service.proxy.swallow()


async def heal(service: Service) -> None:
    service.proxy.heal()


OUTAGES = {
    "killed_and_restarted_empty": (kill, restart),
    "frozen": (freeze, thaw),
    "slow": (slow_down, heal),
    "errors": (reply_with_errors, heal),
    "cut_mid_reply": (cut_replies, heal),
    "silent": (swallow, heal),
}


@pytest.mark.parametrize(("begin", "end"), OUTAGES.values(), ids=OUTAGES.keys())
async def test_an_outage_under_two_hundred_requests(
    service: Service, lines: list[str], begin: Change, end: Change
) -> None:
    before = await service.burst()
    await begin(service)
    outage = [await service.burst() for _ in range(3)]
    await end(service)
    await service.recover()
    after = await service.burst()

    all_well = {kind: {200: 50} for kind in ("cached", "limited", "both", "strict")}
    assert before == all_well
    for found in outage:
        assert found | {"strict": None} == all_well | {"strict": None}
    assert [found["strict"] for found in outage[1:]] == [{503: 50}] * 2
    assert after == all_well
    assert len(lines) == 2, lines
    assert "is not asked any more" in lines[0]
    assert lines[1] == "fastapi_baseline.redis: Redis answers again"


async def test_outages_while_requests_are_under_way(service: Service, lines: list[str]) -> None:
    statuses: Counter[tuple[str, int]] = Counter()
    over = asyncio.Event()

    async def ask(number: int) -> None:
        kind = ("cached", "limited", "both", "strict")[number % 4]
        while not over.is_set():
            statuses[kind, await service.get(f"/{kind}/{number}")] += 1
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(ask(number))
        for begin, end in OUTAGES.values():
            await asyncio.sleep(0.1)
            await begin(service)
            await asyncio.sleep(0.5)
            await end(service)
            await service.recover()
        over.set()

    assert {status for kind, status in statuses if kind != "strict"} == {200}
    assert {status for kind, status in statuses if kind == "strict"} == {200, 503}
    assert len(lines) <= 2 * len(OUTAGES)


async def test_what_was_kept_in_the_process_is_given_while_redis_is_away(
    service: Service,
) -> None:
    await service.burst()
    runs = service.runs["cached"]

    await freeze(service)
    await service.burst()
    await thaw(service)

    assert service.runs["cached"] == runs == 25
