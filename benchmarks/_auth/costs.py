"""What it costs in this process, without a server: a route, and the verification itself."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Scope

from benchmarks._auth.apps import (
    ALGORITHMS,
    ES256,
    JOSERFC_ES256,
    JOSERFC_RS256,
    RS256,
    SESSION,
    SIGN_IN,
    Places,
    make,
    make_decode,
    make_tokens,
)
from benchmarks._http.load import LoadError
from benchmarks._http.service import HEADERS, PATH, QUERY
from benchmarks._rounds import BARE
from fastapi_baseline.testing import TokenIssuer

_REQUESTS = 200
_OK = 200
_ALONE = {RS256: JOSERFC_RS256, ES256: JOSERFC_ES256}
Headers = Sequence[tuple[bytes, bytes]]
Work = Callable[[], Awaitable[object]]


def measure(issuer: TokenIssuer, tokens: Mapping[str, str], *, blocks: int) -> dict[str, float]:
    """Return figures, in microseconds of the processor, and what they are over joserfc's."""
    places = Places(issuer=issuer.url, keys=issuer.jwks())
    return asyncio.run(_measure(places, tokens, blocks))


async def _measure(places: Places, tokens: Mapping[str, str], blocks: int) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        works = {
            **{f"route: {name}": work for name, work in (await _routes(places, tokens)).items()},
            **await _verifications(stack, places, tokens),
        }
        least = await _take_turns(works, blocks)
    return _figures(least)


def _figures(least: Mapping[str, float]) -> dict[str, float]:
    bare = least[f"route: {BARE}"]
    found: dict[str, float] = {"the bare route, in process, µs": bare}
    for name in (*ALGORITHMS, JOSERFC_RS256, JOSERFC_ES256, SESSION):
        found[added_by(name)] = least[f"route: {name}"] - bare
    for algorithm in ALGORITHMS:
        alone = least[_decoding(algorithm)]
        found[_decoding(algorithm)] = alone
        found[_verifying(algorithm)] = least[_verifying(algorithm)]
        found[f"{algorithm.lower()}_over_joserfc"] = least[_verifying(algorithm)] / alone
        found[f"{algorithm.lower()}_route_over_joserfc_route"] = (
            found[added_by(algorithm)] / found[added_by(_ALONE[algorithm])]
        )
    return {name: round(value, 3) for name, value in found.items()}


def added_by(name: str) -> str:
    """Return the name of the figure that says what a contender adds to a bare route."""
    return f"added to a bare route, in process, µs: {name}"


def _decoding(algorithm: str) -> str:
    return f"joserfc alone, decode and claims, {algorithm}, µs"


def _verifying(algorithm: str) -> str:
    return f"BearerTokens.verify, {algorithm}, µs"


async def _routes(places: Places, tokens: Mapping[str, str]) -> dict[str, Work]:
    """Return what asks the one route of each contender."""
    bearing = {
        **{name: tokens[name] for name in ALGORITHMS},
        **{alone: tokens[name] for name, alone in _ALONE.items()},
    }
    works: dict[str, Work] = {BARE: _asking(make(BARE, places), _headers())}
    for name, token in bearing.items():
        headers = _headers((b"authorization", f"Bearer {token}".encode()))
        works[name] = _asking(make(name, places), headers)
    with_session = make(SESSION, places)
    cookie = await _sign_in(with_session)
    works[SESSION] = _asking(with_session, _headers((b"cookie", cookie)))
    return works


async def _verifications(
    stack: AsyncExitStack, places: Places, tokens: Mapping[str, str]
) -> dict[str, Work]:
    """Return what verifies a token of each kind: joserfc, and what the library makes of it."""
    bearer = make_tokens(places)
    await stack.enter_async_context(bearer.lifespan(FastAPI()))
    decode = make_decode(places)
    works: dict[str, Work] = {}
    for algorithm in ALGORITHMS:

        async def alone(token: str = tokens[algorithm]) -> object:
            return decode(token)

        async def verified(token: str = tokens[algorithm]) -> object:
            return await bearer.verify(token)

        works[_decoding(algorithm)] = alone
        works[_verifying(algorithm)] = verified
    return works


async def _take_turns(works: Mapping[str, Work], blocks: int) -> dict[str, float]:
    """Return what each takes, in its fastest block: the least disturbed."""
    for work in works.values():
        await _microseconds(work)
    gc.collect()
    gc.freeze()
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(blocks):
        names = list(works)
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            times[name].append(await _microseconds(works[name]))
    gc.unfreeze()
    return {name: min(each) for name, each in times.items()}


async def _microseconds(work: Work) -> float:
    started = time.process_time_ns()
    for _ in range(_REQUESTS):
        await work()
    return (time.process_time_ns() - started) / _REQUESTS / 1000


def _headers(*more: tuple[bytes, bytes]) -> Headers:
    """Return the headers of a client, with the credentials that are given."""
    kept = {name: HEADERS[name] for name in HEADERS if name != "Authorization"}
    return [*((name.lower().encode(), kept[name].encode()) for name in kept), *more]


def _asking(app: ASGIApp, headers: Headers) -> Work:
    async def ask() -> None:
        await app(_scope(PATH, headers), _receive, _succeed)

    return ask


async def _sign_in(app: ASGIApp) -> bytes:
    """Return the cookie that a session has begun with."""
    cookies: list[bytes] = []

    async def send(message: Message) -> None:
        pairs = message.get("headers", ())
        cookies.extend(value for name, value in pairs if name == b"set-cookie")

    await app(_scope(SIGN_IN, _headers()), _receive, send)
    return cookies[0].partition(b";")[0]


def _scope(path: str, headers: Headers) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": QUERY.encode(),
        "root_path": "",
        "headers": [*headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 443),
        "state": {},
    }


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _succeed(message: Message) -> None:
    if message["type"] == "http.response.start" and message["status"] != _OK:
        raise LoadError(f"the benchmark's own route failed: {message['status']}")
