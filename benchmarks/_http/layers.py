"""What each layer adds to one request, in this process: without a server, and without a client.

Of each layer it is measured what a request takes less when that layer alone is left out. Log lines
are formatted and written as ever, but to nowhere.
"""

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks._http.apps import BARE, Wanted, make, ours
from benchmarks._http.load import LoadError
from benchmarks._http.service import HEADERS, PATH, QUERY

REQUESTS = 200
ALL, BARE_NAME = "everything", "bare FastAPI, whole"
Blocks = Mapping[str, Sequence[float]]
"""Microseconds of one request, by arrangement, in the blocks that took turns."""


def measure(*, blocks: int) -> dict[str, float]:
    """Return what each layer adds, in microseconds, and what all of them do."""
    with silent():
        whole = ours(Wanted())
        arrangements: dict[str, ASGIApp] = {BARE_NAME: make(BARE, Wanted()), ALL: whole}
        for number, layer in enumerate(whole.user_middleware):
            arrangements[str(getattr(layer.cls, "__name__", layer.cls))] = _without(number)
        arrangements["the framework's telemetry"] = ours(Wanted(), metrics={"enabled": False})
        arrangements["what wraps the framework"] = _inside(ours(Wanted()))
        return added(asyncio.run(take_turns(arrangements, blocks=blocks)))


def added(times: Blocks) -> dict[str, float]:
    """Return what the parts of an arrangement add, by the fastest blocks: the least disturbed."""
    fastest = {name: min(blocks) for name, blocks in times.items()}
    whole, bare = fastest.pop(ALL), fastest.pop(BARE_NAME)
    return {
        BARE_NAME: bare,
        ALL: whole - bare,
        **{name: whole - without for name, without in fastest.items()},
    }


def added_by_routes(*, blocks: int) -> dict[str, float]:
    """Return what all layers add, in microseconds, where the last of so many routes is asked."""
    with silent():
        found: dict[str, float] = {}
        for count in (10, 500):
            wanted = Wanted(routes=count, asked_last=True)
            pair: dict[str, ASGIApp] = {BARE_NAME: make(BARE, wanted), ALL: ours(wanted)}
            times = asyncio.run(take_turns(pair, blocks=blocks))
            found[str(count)] = added(times)[ALL]
        return found


def _without(number: int) -> FastAPI:
    """Return ours without the layer of a number, from the outside in."""
    app = ours(Wanted())
    del app.user_middleware[number]
    return app


def _inside(app: FastAPI) -> ASGIApp:
    """Return what is inside of the layers that wrap the whole framework."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await FastAPI.__call__(app, scope, receive, send)

    return call


async def take_turns(
    arrangements: Mapping[str, ASGIApp], *, blocks: int, query: str = QUERY
) -> Blocks:
    """Return what a request takes with each arrangement, in blocks that take turns."""
    async with AsyncExitStack() as stack:
        for app in arrangements.values():
            if isinstance(app, FastAPI):
                # Lines of the log wait in a queue only while a service is running.
                await stack.enter_async_context(app.router.lifespan_context(app))
        return await _measure_blocks(arrangements, blocks=blocks, query=query)


async def _measure_blocks(
    arrangements: Mapping[str, ASGIApp], *, blocks: int, query: str
) -> Blocks:
    times: dict[str, list[float]] = {name: [] for name in arrangements}
    for app in arrangements.values():
        await _microseconds(app, query)
    gc.collect()
    gc.freeze()
    for number in range(blocks):
        names = list(arrangements)
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            times[name].append(await _microseconds(arrangements[name], query))
    gc.unfreeze()
    return times


async def _microseconds(app: ASGIApp, query: str) -> float:
    """Return what one request takes of the processor, on average over a block.

    It is the whole process's, so it has the threads that write log lines, and other programs do not
    count.
    """
    started = time.process_time_ns()
    for _ in range(REQUESTS):
        await app(_scope(query), _receive, _send)
    taken = time.process_time_ns() - started
    await asyncio.sleep(0)
    return taken / REQUESTS / 1000


_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


def _scope(query: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": _HEADERS.copy(),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:  # noqa: PLR2004 - OK
        raise LoadError(f"the benchmark's own route failed: {message['status']}")


@contextlib.contextmanager
def silent() -> Generator[None]:
    """Drop what is printed."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        yield
