"""Probes of health checks, deadlines, proxies, and of how a server stops."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi_health import health
from fastapi_healthchecks.api.router import HealthcheckRouter, Probe
from fastapi_healthchecks.checks import Check, CheckResult
from fastapi_timeout import TimeoutMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from benchmarks.peers.defects.probe import Seen, client, probe
from benchmarks.peers.http_defects.serving import ask, scope_of, served, until

_HANGS = 0.5


class _Counted(Check):
    """A check that counts how often it runs, and may hang."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.runs = 0
        self._hangs = hangs

    async def __call__(self) -> CheckResult:
        self.runs += 1
        if self._hangs:
            await asyncio.get_running_loop().create_future()
        return CheckResult(name="database", passed=True)


def _with_router(check: _Counted) -> FastAPI:
    app = FastAPI()
    app.include_router(HealthcheckRouter(Probe(name="readyz", checks=[check])))
    return app


def _with_route(check: _Counted) -> FastAPI:
    async def database() -> bool:
        return (await check()).passed

    app = FastAPI()
    app.add_api_route("/readyz", health([database]))
    return app


_HEALTH = {"fastapi-health": _with_route, "fastapi-healthchecks": _with_router}


async def _storm(peer: str) -> Seen:
    """Ask a hundred times at once, and count how often the database was asked."""
    check = _Counted()
    async with client(_HEALTH[peer](check)) as http:
        await asyncio.gather(*(http.get("/readyz") for _ in range(100)))
    return Seen(check.runs > 1, f"100 probes ran the check {check.runs} times")


async def _hanging(peer: str) -> Seen:
    """Ask while a check hangs."""
    answer = await ask(_HEALTH[peer](_Counted(hangs=True)), scope_of("/readyz"), seconds=_HANGS)
    return Seen(answer.status is None, f"after {_HANGS} s: {answer.status}")


for _peer in _HEALTH:
    for _line, _run in (("probe_storm", _storm), ("hanging_check", _hanging)):

        async def _of_peer(run=_run, peer: str = _peer) -> Seen:
            return await run(peer)

        probe(_line, peer=_peer, environment="http")(_of_peer)


@probe("late_stream", peer="fastapi-timeout", environment="http")
async def late_stream() -> Seen:
    """Stream for longer than a request may take until its answer begins."""
    app = FastAPI()

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"part"
            await asyncio.sleep(0.04)

    @app.get("/")
    async def streamed() -> StreamingResponse:
        return StreamingResponse(parts())

    app.add_middleware(TimeoutMiddleware, timeout_seconds=0.1)
    answer = await ask(app, scope_of())
    count = answer.body.count(b"part")
    starts = [start["status"] for start in answer.starts]
    return Seen(count < 5, f"{count} of 5 parts, beginnings of responses: {starts}")


@probe("forwarded_chain", peer="uvicorn", environment="http")
async def forwarded_chain() -> Seen:
    """Send a chain whose first address a client has made up, through a trusted proxy."""
    client_, _ = await _seen({"x-forwarded-for": "10.0.0.1, 198.51.100.7"})
    return Seen(client_ != "198.51.100.7", f"client: {client_}")


@probe("forwarded_standard", peer="uvicorn", environment="http")
async def forwarded_standard() -> Seen:
    """Send the header that RFC 7239 defines, through a trusted proxy."""
    client_, scheme = await _seen({"forwarded": "for=198.51.100.7;proto=https"})
    return Seen((client_, scheme) != ("198.51.100.7", "https"), f"client: {client_}, {scheme}")


@probe("forwarded_by_a_stranger", peer="uvicorn", environment="http")
async def forwarded_by_a_stranger() -> Seen:
    """Send the headers of a proxy from an address that is not trusted."""
    found: dict[bytes, bytes] = {}

    async def app(scope, _receive, _send) -> None:
        found.update(scope["headers"])

    layer = ProxyHeadersMiddleware(app, trusted_hosts="192.0.2.0/24")
    await ask(layer, scope_of(headers={"x-forwarded-for": "10.0.0.1", "x-real-ip": "10.0.0.1"}))
    kept = sorted(name.decode() for name in found if name in {b"x-forwarded-for", b"x-real-ip"})
    return Seen(bool(kept), f"still there for whoever reads them: {kept}")


async def _seen(headers: dict[str, str]) -> tuple[str, str]:
    found: list[tuple[str, str]] = []

    async def app(scope, _receive, _send) -> None:
        found.append((scope["client"][0], scope["scheme"]))

    await ask(
        ProxyHeadersMiddleware(app, trusted_hosts="203.0.113.0/24"), scope_of(headers=headers)
    )
    return found[0]


_PROGRAM = """
import asyncio
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()

@app.get("/readyz")
async def ready():
    return {}

@app.get("/slow")
async def slow():
    await asyncio.sleep(2)
    return {}

@app.get("/events")
async def events():
    async def parts():
        while True:
            yield b"data: 1\\n\\n"
            await asyncio.sleep(0.1)
    return StreamingResponse(parts(), media_type="text/event-stream")
"""


@probe("drain", peer="uvicorn", environment="http")
async def drain() -> Seen:
    """Ask for readiness while the server stops, and a request is still in flight."""
    with served(_PROGRAM) as (process, port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await until(lambda: _answers(http))
            async with asyncio.TaskGroup() as group:
                slow = group.create_task(http.get("/slow", timeout=10))
                await asyncio.sleep(0.5)
                process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
                seen = await _readiness(port)
    return Seen(
        seen != "503", f"readiness while draining: {seen}; in flight: {slow.result().status_code}"
    )


@probe("endless_stream", peer="uvicorn", environment="http")
async def endless_stream() -> Seen:
    """Stop a server, as it is by default, while a client reads an event stream."""
    async with contextlib.AsyncExitStack() as stack:
        process, port = stack.enter_context(served(_PROGRAM))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10)
        )
        await until(lambda: _answers(http))
        stream = await stack.enter_async_context(http.stream("GET", "/events"))
        parts = stream.aiter_bytes()
        await anext(parts)
        process.send_signal(signal.SIGTERM)

        async def has_ended() -> bool:
            return process.poll() is not None

        ended = await until(has_ended, seconds=5)
    return Seen(not ended, "ended within 5 s" if ended else "still there 5 s after SIGTERM")


async def _answers(http: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await http.get("/readyz")).status_code == 200
    return False


async def _readiness(port: int) -> str:
    """Ask over a connection of its own, as a probe does."""
    async with httpx.AsyncClient() as http:
        try:
            return str((await http.get(f"http://127.0.0.1:{port}/readyz")).status_code)
        except httpx.HTTPError as error:
            return type(error).__name__
