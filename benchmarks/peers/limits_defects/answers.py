"""Probes of what slowapi writes on an answer."""

import json
from collections.abc import AsyncIterator, Sequence

from fastapi import FastAPI, HTTPException, Request, Response  # noqa: TID251 - a service's own
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251 - it is looked for

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import Answer, ask, scope_of
from benchmarks.peers.limits_defects.limited import (
    ENVIRONMENT,
    LAYERS,
    PEER,
    answers,
    application,
    limiter,
)


def _with_headers(**options: object) -> FastAPI:
    limits = limiter(headers_enabled=True, **options)
    app = application(limits, layer=None)

    @app.get("/")
    @limits.limit("2/minute")
    async def handle(request: Request, response: Response) -> str:
        return f"{request.method} {response.status_code}"

    @app.get("/missing")
    @limits.limit("2/minute")
    async def missing(request: Request, response: Response) -> None:
        raise HTTPException(404, f"{request.method} {response.status_code}")

    return app


@probe("messages_of_a_stream", peer=PEER, environment=ENVIRONMENT)
async def messages_of_a_stream() -> Seen:
    """Stream a body in three parts through the ASGI middleware."""
    app = application(limiter(default_limits=["10/minute"]), LAYERS[1])

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"part"

    @app.get("/")
    async def handle() -> Response:
        return StreamingResponse(parts())

    answer = await ask(app, scope_of())
    return Seen(len(answer.starts) != 1, f"{len(answer.starts)} beginnings of one response")


@probe("pure_layers", peer=PEER, environment=ENVIRONMENT)
async def pure_layers() -> Seen:
    """Look for what takes a task group and a stream for every request."""
    found = [each.__name__ for each in LAYERS if BaseHTTPMiddleware in each.__mro__]
    return Seen(bool(found), f"are a BaseHTTPMiddleware: {found}")


@probe("retry_after_of_a_success", peer=PEER, environment=ENVIRONMENT)
async def retry_after_of_a_success() -> Seen:
    """Ask once, within the limit."""
    answer = await ask(_with_headers(), scope_of())
    value = answer.header("retry-after")
    return Seen(value is not None, f"{answer.status}, Retry-After: {value}")


@probe("forms_of_headers", peer=PEER, environment=ENVIRONMENT)
async def forms_of_headers() -> Seen:
    """Look at how times are written: whole seconds, and dates that end in GMT."""
    reset = (await ask(_with_headers(), scope_of())).header("x-ratelimit-reset")
    dated = (await ask(_with_headers(retry_after="http-date"), scope_of())).header("retry-after")
    is_whole, end = str(reset).isdecimal(), str(dated).rpartition(" ")[2]
    seen = f"X-RateLimit-Reset is a whole number: {is_whole}, a date of Retry-After ends in {end}"
    return Seen(not is_whole or end != "GMT", seen)


@probe("headers_of_an_error", peer=PEER, environment=ENVIRONMENT)
async def headers_of_an_error() -> Seen:
    """Raise an HTTP exception within the limit, and look for what is left of it."""
    answer = await ask(_with_headers(), scope_of("/missing"))
    left = answer.header("x-ratelimit-remaining")
    return Seen(left is None, f"{answer.status}, X-RateLimit-Remaining: {left}")


@probe("headers_once", peer=PEER, environment=ENVIRONMENT)
async def headers_once() -> Seen:
    """Ask a route whose limit is looked up, behind the middleware."""
    limits = limiter(headers_enabled=True, default_limits=["5/minute"])
    app = application(limits)

    @app.get("/")
    @limits.limit(lambda: "2/minute")
    async def handle(request: Request) -> Response:
        return Response(request.method)

    values = _all(await ask(app, scope_of()), "x-ratelimit-limit")
    return Seen(len(values) != 1, f"X-RateLimit-Limit: {values}")


def _all(answer: Answer, name: str) -> Sequence[str]:
    pairs = answer.starts[0]["headers"] if answer.starts else []
    return [value.decode() for key, value in pairs if key.decode().lower() == name]


@probe("standard_headers", peer=PEER, environment=ENVIRONMENT)
async def standard_headers() -> Seen:
    """Look for the fields that the IETF's draft defines."""
    answer = await ask(_with_headers(), scope_of())
    seen = {name: answer.header(name) for name in ("ratelimit", "ratelimit-policy")}
    return Seen(None in seen.values(), f"{seen}")


@probe("problem_of_a_refusal", peer=PEER, environment=ENVIRONMENT)
async def problem_of_a_refusal() -> Seen:
    """Look at what a refused request is answered."""
    refused = (await answers(_with_headers(), "/", "/", "/"))[-1]
    kind = refused.header("content-type")
    members = sorted(json.loads(refused.body))
    is_problem = kind == "application/problem+json" and "violated-policies" in members
    return Seen(not is_problem, f"{refused.status} {kind}, members: {members}")
