"""What becomes of a service while Redis is frozen under load: it accepts, and answers nothing."""

import asyncio
import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks._http.servers import Server
from benchmarks._rounds import Effort, say, send
from benchmarks.peers.redis_servers import RedisProcess

_PATH = "/benchmark/loop-gap"
_TICK = 0.005


class LoopGaps:
    """A layer that tells for how long at most the event loop has not come round.

    A request for its path gives that, in milliseconds since the last such request.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`, and begin to look with the first request for the path."""
        self._app = app
        self._longest = 0.0
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != _PATH:
            await self._app(scope, receive, send)
            return
        if self._ticking is None:
            self._ticking = asyncio.ensure_future(self._tick())
        longest, self._longest = self._longest, 0.0
        await JSONResponse(longest * 1000)(scope, receive, send)

    async def _tick(self) -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            self._longest = max(self._longest, now - before - _TICK)
            before = now


def freeze_under_load(running: Server, redis: RedisProcess, effort: Effort) -> dict[str, float]:
    """Return what requests and the event loop of a service wait for, before and while it is frozen."""
    send(running, effort, seconds=effort.warm_up)
    ask_gap(running)
    normal = send(running, effort)
    normal_gap = ask_gap(running)
    say("Redis is frozen")
    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(send, running, effort)
        time.sleep(effort.seconds / 4)
        redis.freeze()
        try:
            frozen = sending.result()
        finally:
            redis.thaw()
    frozen_gap = ask_gap(running)
    return {
        "normal p99, ms": round(normal.p99_ms, 3),
        "p99 while Redis is frozen, ms": round(frozen.p99_ms, 3),
        "p99 above normal while Redis is frozen, ms": round(frozen.p99_ms - normal.p99_ms, 3),
        "normal gap of the event loop, ms": round(normal_gap, 3),
        "gap of the event loop while Redis is frozen, ms": round(frozen_gap, 3),
        "requests/s while Redis is frozen": round(frozen.rps, 1),
    }


FROZEN_AIMS = {
    "p99 above normal while Redis is frozen, ms": 60.0,
    "gap of the event loop while Redis is frozen, ms": 20.0,
}


def ask_gap(running: Server) -> float:
    """Return the longest gap since the last time that it was asked for, in milliseconds."""
    with urllib.request.urlopen(f"{running.address}{_PATH}") as answer:  # noqa: S310 - of this machine
        found: Any = json.loads(answer.read())
        return float(found)
