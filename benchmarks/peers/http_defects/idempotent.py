"""Probes of libraries that answer a repeated request with the answer of the first."""

import asyncio
from collections.abc import Callable, Mapping

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi_idempotency import IdempotencyMiddleware as Scoped
from fastapi_idempotency_key import IdempotencyMiddleware as Keyed
from idempotency_header_middleware import IdempotencyHeaderMiddleware
from idempotency_header_middleware.backends.memory import MemoryBackend

from benchmarks.peers.defects.probe import Seen, client, probe

_LAYERS: Mapping[str, Callable[[FastAPI], None]] = {
    "asgi-idempotency-header": lambda app: app.add_middleware(
        IdempotencyHeaderMiddleware, backend=MemoryBackend()
    ),
    "fastapi-idempotency": lambda app: app.add_middleware(Scoped),
    "fastapi-idempotency-key": lambda app: app.add_middleware(Keyed),
}


def _application(peer: str) -> tuple[FastAPI, list[str]]:
    """Return an application, and where it notes what has run."""
    app, ran = FastAPI(), list[str]()

    @app.post("/orders")
    async def order(request: Request) -> JSONResponse:
        ran.append("order")
        await asyncio.sleep(0.05)
        asked = (await request.body()).decode()
        return JSONResponse({"for": request.headers.get("authorization"), "asked": asked})

    @app.post("/refunds")
    async def refund() -> JSONResponse:
        ran.append("refund")
        return JSONResponse({"refunded": True})

    @app.post("/unavailable")
    async def unavailable() -> JSONResponse:
        ran.append("unavailable")
        return JSONResponse({"detail": "try again"}, status_code=503)

    @app.post("/limited")
    async def limited() -> JSONResponse:
        ran.append("limited")
        return JSONResponse({"detail": "too many"}, status_code=429)

    @app.post("/fails")
    async def fails() -> None:
        ran.append("fails")
        raise RuntimeError("unexpected")

    _LAYERS[peer](app)
    return app, ran


async def _post(http: httpx.AsyncClient, path: str, **options: str) -> httpx.Response:
    headers = {"Idempotency-Key": "k-1", "Authorization": options.get("who", "Bearer alice")}
    return await http.post(path, headers=headers, content=options.get("body", "{}"))


async def _at_once(peer: str) -> Seen:
    """Send the same request twenty times at once."""
    app, ran = _application(peer)
    async with client(app) as http:
        answers = await asyncio.gather(*(_post(http, "/orders") for _ in range(20)))
    statuses = sorted({answer.status_code for answer in answers})
    return Seen(len(ran) != 1, f"{len(ran)} of 20 ran, statuses {statuses}")


async def _others(peer: str) -> Seen:
    """Send the key of another caller."""
    app, _ran = _application(peer)
    async with client(app) as http:
        await _post(http, "/orders")
        answer = await _post(http, "/orders", who="Bearer bob")
    return Seen("alice" in answer.text, f"bob is answered {answer.status_code} {answer.text}")


async def _payload(peer: str) -> Seen:
    """Send the key again with another body."""
    app, _ran = _application(peer)
    async with client(app) as http:
        await _post(http, "/orders", body='{"amount": 1}')
        answer = await _post(http, "/orders", body='{"amount": 2}')
    return Seen(answer.status_code != 422, f"another body: {answer.status_code}")


async def _route(peer: str) -> Seen:
    """Send the key again to another route."""
    app, ran = _application(peer)
    async with client(app) as http:
        await _post(http, "/orders")
        answer = await _post(http, "/refunds")
    is_told = answer.status_code in {409, 422} or "refund" in ran
    return Seen(not is_told, f"another route: {answer.status_code} {answer.text}, ran {ran}")


async def _failed(peer: str) -> Seen:
    """Repeat what could be answered otherwise the next time."""
    app, ran = _application(peer)
    async with client(app) as http:
        for path in ("/unavailable", "/limited"):
            for _ in range(2):
                await http.post(path, headers={"Idempotency-Key": f"k{path}"})
    counts = {path: ran.count(path) for path in ("unavailable", "limited")}
    return Seen(set(counts.values()) != {2}, f"runs of two requests, 503 and 429: {counts}")


async def _crashed(peer: str) -> Seen:
    """Repeat what raised."""
    app, ran = _application(peer)
    async with client(app) as http:
        statuses = [(await _post(http, "/fails")).status_code for _ in range(2)]
    return Seen(len(ran) != 2, f"statuses {statuses}, ran {len(ran)} times")


for _line, _run in {
    "key_at_once": _at_once,
    "key_of_another": _others,
    "key_with_another_body": _payload,
    "key_on_another_route": _route,
    "key_of_a_refusal": _failed,
    "key_of_a_crash": _crashed,
}.items():
    for _peer in _LAYERS:

        async def _of_peer(run=_run, peer: str = _peer) -> Seen:
            return await run(peer)

        probe(_line, peer=_peer, environment="http")(_of_peer)
