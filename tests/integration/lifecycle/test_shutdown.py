"""Real processes that are told to stop while they answer."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from httpx2 import AsyncClient, Limits, Response, Timeout, TransportError

from fastapi_baseline.testing import ServerProcess, server_process

HERE = Path(__file__).parent
IN_FLIGHT = 200
DRAIN_S, GRACE_S, CLEANUP_S = 1.5, 20, 4
BUDGET = timedelta(seconds=DRAIN_S + GRACE_S + CLEANUP_S)
LONG = timedelta(seconds=60)

Start = Callable[..., AbstractContextManager[ServerProcess]]


def _environment(**changes: object) -> dict[str, str]:
    times = {"DRAIN_DELAY": DRAIN_S, "GRACE": GRACE_S, "CLEANUP": CLEANUP_S} | changes
    hangs = str(times.pop("HANGS", ""))
    return {f"SHUTDOWN__{name}": str(value) for name, value in times.items()} | {"HANGS": hangs}


def _start(command: Sequence[str], env: Mapping[str, str]) -> AbstractContextManager[ServerProcess]:
    guarded = (sys.executable, "-m", "fastapi_baseline.testing.guarded")
    return server_process(lambda port: (*guarded, *command, "--port", str(port)), cwd=HERE, env=env)


def with_uvicorn(**changes: object) -> AbstractContextManager[ServerProcess]:
    options = ("--timeout-graceful-shutdown", str(GRACE_S))
    return _start(("uvicorn", "served:app", *options), _environment(**changes))


def with_one_worker(**changes: object) -> AbstractContextManager[ServerProcess]:
    return _start(("fastapi_baseline", "run", "--app", "served:app"), _environment(**changes))


def with_three_workers(**changes: object) -> AbstractContextManager[ServerProcess]:
    command = ("fastapi_baseline", "run", "--app", "served:app", "--workers", "3")
    return _start(command, _environment(**changes))


def whole_with_one_worker() -> AbstractContextManager[ServerProcess]:
    return _start(("fastapi_baseline", "run", "--app", "whole:app"), _environment())


def whole_with_three_workers() -> AbstractContextManager[ServerProcess]:
    command = ("fastapi_baseline", "run", "--app", "whole:app", "--workers", "3")
    return _start(command, _environment())


SERVERS = [with_uvicorn, with_one_worker, with_three_workers]
WHOLE = [whole_with_one_worker, whole_with_three_workers]
OF_SERVER = pytest.mark.parametrize("start", SERVERS, ids=lambda start: start.__name__)


@asynccontextmanager
async def in_flight(server: ServerProcess, path: str, count: int) -> AsyncGenerator[list[Response]]:
    """Give responses that have begun, each on a connection of its own."""
    limits = Limits(max_connections=count + 10)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            AsyncClient(base_url=server.base_url, limits=limits, timeout=Timeout(60))
        )
        responses = await asyncio.gather(
            *(stack.enter_async_context(client.stream("GET", path)) for _ in range(count))
        )
        yield list(responses)


async def body_of(response: Response) -> str:
    try:
        return (await response.aread()).decode()
    except TransportError:
        return "lost"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a balancer saw of a service that was told to stop."""

    probes: list[int]
    answers: list[tuple[int, str | None]]


async def watch_until_refused(server: ServerProcess, begun: asyncio.Event) -> Seen:
    seen = Seen(probes=[], answers=[])
    # A connection for each request, as of somebody new.
    limits = Limits(max_keepalive_connections=0)
    client = AsyncClient(base_url=server.base_url, timeout=Timeout(30), limits=limits)
    async with asyncio.timeout(30), client:
        while True:
            try:
                ready = await client.get("/readyz")
                seen.probes.append(ready.status_code)
                begun.set()
                answer = await client.get("/")
            except TransportError:
                return seen
            if ready.status_code == 503:
                seen.answers.append((answer.status_code, answer.headers.get("connection")))


@pytest.mark.parametrize("start", [*SERVERS, *WHOLE], ids=lambda start: start.__name__)
async def test_answers_all_that_is_under_way_and_says_before_that_it_will_close(
    start: Start,
) -> None:
    with start() as server:
        path = f"/until-after?seconds={DRAIN_S + 1}"
        async with in_flight(server, path, IN_FLIGHT) as responses:
            begun = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(watch_until_refused(server, begun))
                await begun.wait()
                server.send_signal(signal.SIGTERM)
                bodies = await asyncio.gather(*(body_of(response) for response in responses))
        await asyncio.to_thread(server.wait, timeout=BUDGET)

    assert bodies == ["begun\ndone\n"] * IN_FLIGHT
    assert 503 in watching.result().probes
    assert set(watching.result().answers) == {(200, "close")}


@OF_SERVER
async def test_stops_its_parts_in_the_order_of_their_dependence(start: Start) -> None:
    with start(DRAIN_DELAY=0) as server:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=BUDGET)

        stopped = [line.split() for line in server.stdout if line.startswith("stopped ")]

    by_process: dict[str, list[str]] = {}
    for _, name, _, process in stopped:
        by_process.setdefault(process, []).append(name)
    assert len(by_process) == (3 if start is with_three_workers else 1)
    assert set(map(tuple, by_process.values())) == {("cache", "consumer", "pool")}


@OF_SERVER
async def test_ends_at_once_when_it_is_told_twice(start: Start) -> None:
    with start(DRAIN_DELAY=120, GRACE=120) as server:
        async with in_flight(server, "/for-ever", 20) as responses:
            server.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.wait_for_line, "answering requests for another")

            server.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(server.wait, timeout=timedelta(seconds=10))
            bodies = await asyncio.gather(*(body_of(response) for response in responses))

    assert code in {0, 143}
    assert bodies == ["lost"] * 20


@pytest.mark.parametrize("start", [with_uvicorn, with_one_worker], ids=lambda s: s.__name__)
async def test_sigint_does_not_wait_for_balancers(start: Start) -> None:
    with start(DRAIN_DELAY=120) as server:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=BUDGET)

        stopped = [line.split()[1] for line in server.stdout if line.startswith("stopped ")]

    assert stopped == ["cache", "consumer", "pool"]


async def test_a_part_that_hangs_is_named_and_keeps_no_other_from_stopping() -> None:
    with with_one_worker(DRAIN_DELAY=0, CLEANUP=2, HANGS="consumer") as server:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=BUDGET)

        line = server.wait_for_line("consumer did not stop within")
        stopped = [line.split()[1] for line in server.stdout if line.startswith("stopped ")]

    assert "cancelled" in line
    assert stopped == ["cache", "pool"]


@pytest.mark.parametrize("start", [with_one_worker, with_three_workers], ids=lambda s: s.__name__)
async def test_a_part_that_blocks_the_whole_process_does_not_keep_it(start: Start) -> None:
    with start(DRAIN_DELAY=0, GRACE=1, CLEANUP=1, HANGS="consumer with the loop") as server:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=timedelta(seconds=20))

        assert server.wait_for_line("Not stopped within 2.0 s")


async def test_a_server_that_would_wait_for_ever_has_an_end() -> None:
    environment = _environment(DRAIN_DELAY=0, GRACE=1, CLEANUP=1)
    # It was not told how long requests may take.
    with _start(("uvicorn", "served:app"), environment) as server:
        async with in_flight(server, "/for-ever", 1) as responses:
            server.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(server.wait, timeout=timedelta(seconds=20))
            bodies = [await body_of(response) for response in responses]

    assert code == 1
    assert bodies == ["lost"]


async def test_loses_nothing_when_workers_hear_from_the_service_manager_and_their_parent() -> None:
    with with_three_workers() as server:
        async with in_flight(server, f"/until-after?seconds={DRAIN_S + 1}", 50) as responses:
            for process in (psutil.Process(server.pid), *psutil.Process(server.pid).children()):
                os.kill(process.pid, signal.SIGTERM)
            bodies = await asyncio.gather(*(body_of(response) for response in responses))
        await asyncio.to_thread(server.wait, timeout=BUDGET)

    assert bodies == ["begun\ndone\n"] * 50
