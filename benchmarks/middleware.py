"""What the layers of `create_app` add to one request, beside a bare FastAPI application.

Both answer the same route in this process, without a server or a client, in blocks that alternate.
Log lines are formatted and dropped.
"""

import asyncio
import contextlib
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Scope

from fastapi_baseline import Settings, create_app

ROUNDS = 30
REQUESTS_PER_ROUND = 500
GOAL_MICROSECONDS = 250.0
_PACKAGES = ("fastapi", "starlette", "fastapi-baseline")


async def _answer() -> dict[str, str]:
    return {"status": "ok"}


def main() -> int:
    """Measure, print a table, and return 0 if the goal is met, else 1."""
    print(
        f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in _PACKAGES)
    )
    bare = FastAPI()
    settings = Settings(environment="test", cors_origins=("https://example.com",))
    ours = create_app(settings)
    applications = {"FastAPI": bare, "create_app": ours}
    for app in applications.values():
        app.get("/answer")(_answer)
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        times = asyncio.run(_measure(applications))
    without, with_ours = times.values()
    added = statistics.median(b - a for a, b in zip(without, with_ours, strict=True))
    ratio = statistics.median(b / a for a, b in zip(without, with_ours, strict=True))
    for name, values in times.items():
        print(f"{name:<12} {statistics.median(values):8.1f} µs   (fastest {min(values):.1f})")
    met = added <= GOAL_MICROSECONDS
    print(f"{'added':<12} {added:8.1f} µs   ratio {ratio:.2f}, {ROUNDS} x {REQUESTS_PER_ROUND}")
    print(f"goal: at most {GOAL_MICROSECONDS:.0f} µs added: {'met' if met else 'NOT MET'}")
    return 0 if met else 1


async def _measure(applications: dict[str, FastAPI]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in applications}
    for app in applications.values():
        await _microseconds(app)
    for number in range(ROUNDS):
        names = list(applications) if number % 2 == 0 else list(reversed(applications))
        for name in names:
            times[name].append(await _microseconds(applications[name]))
    return times


async def _microseconds(app: ASGIApp) -> float:
    """Return the time that one request takes, on average over a block."""
    started = time.perf_counter_ns()
    for _ in range(REQUESTS_PER_ROUND):
        await app(_scope(), _receive, _send)
    return (time.perf_counter_ns() - started) / REQUESTS_PER_ROUND / 1000


def _scope() -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/answer",
        "raw_path": b"/answer",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver"), (b"origin", b"https://example.com")],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
        "state": {},
    }


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:  # noqa: PLR2004 - OK
        raise RuntimeError(f"the benchmark's own route failed: {message['status']}")


if __name__ == "__main__":
    sys.exit(main())
