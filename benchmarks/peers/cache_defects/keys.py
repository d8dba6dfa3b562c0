"""Probes of whose answer is given to whom."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response

from benchmarks.peers.cache_defects.cached import (
    CACHE2,
    CACHEX,
    HISHEL,
    Cached,
    cached,
    for_each,
    get,
)
from benchmarks.peers.defects.probe import Seen

_CREDENTIALS = {
    "bearer": ("authorization", "Bearer alice", "Bearer bob"),
    "basic": ("authorization", "Basic YWxpY2U6", "Basic Ym9iOg=="),
    "API key": ("x-api-key", "alice", "bob"),
    "cookie": ("cookie", "session=alice", "session=bob"),
}


def _who(request: Request) -> str:
    headers = ("authorization", "x-api-key", "cookie")
    return next((value for name in headers if (value := request.headers.get(name))), "nobody")


def _of_the_caller(peer: Cached) -> FastAPI:
    """Return an application whose dependency knows the caller, as authentication does."""
    app = FastAPI()

    async def authenticate(request: Request) -> None:
        request.state.caller = _who(request)

    @app.get("/", dependencies=[Depends(authenticate)])
    @peer.decorate
    async def handle(request: Request, response: Response) -> dict[str, str]:
        response.headers.update(peer.headers)
        return {"for": request.state.caller}

    return app


async def _callers(peer: str) -> Seen:
    """Ask as one caller, then as another, with each kind of credential."""
    shared: list[str] = []
    for kind, (header, first, second) in _CREDENTIALS.items():
        async with cached(peer) as ready:
            app = ready.behind(_of_the_caller(ready))
            named = header.replace("-", "_")
            await get(app, **{named: first})
            answer = await get(app, **{named: second})
            if first.encode() in answer.body:
                shared.append(kind)
    return Seen(bool(shared), f"the second caller is given the first one's answer: {shared}")


async def _nobody(peer: str) -> Seen:
    """Ask as a caller, then without any credential."""
    shared: list[str] = []
    for kind, (header, first, _second) in _CREDENTIALS.items():
        async with cached(peer) as ready:
            app = ready.behind(_of_the_caller(ready))
            await get(app, **{header.replace("-", "_"): first})
            if first.encode() in (await get(app)).body:
                shared.append(kind)
    return Seen(bool(shared), f"who has no credential is given a caller's answer: {shared}")


async def _downstream(peer: str) -> Seen:
    """Look what caches between the service and the caller are told of an answer to a caller."""
    async with cached(peer) as ready:
        answer = await get(ready.behind(_of_the_caller(ready)), authorization="Bearer alice")
    control, vary = answer.header("cache-control"), answer.header("vary")
    is_told = any(word in str(control) for word in ("private", "no-store")) or vary
    return Seen(not is_told, f"Cache-Control: {control}, Vary: {vary}")


async def _factories(peer: str) -> Seen:
    """Ask two routes whose handlers one function has made."""
    async with cached(peer) as ready:
        app = FastAPI()

        def make(name: str):
            @ready.decorate
            async def handler(response: Response) -> dict[str, str]:
                response.headers.update(ready.headers)
                return {"name": name}

            return handler

        for name in ("first", "second"):
            app.get(f"/{name}")(make(name))
        served = ready.behind(app)
        await get(served, "/first")
        body = (await get(served, "/second")).body.decode()
    return Seen("first" in body, f"/second is answered {body}")


async def _queries(peer: str) -> Seen:
    """Read the query from the request, and ask with two of them."""
    async with cached(peer) as ready:
        app = FastAPI()

        @app.get("/")
        @ready.decorate
        async def handle(request: Request, response: Response) -> dict[str, str]:
            response.headers.update(ready.headers)
            return {"x": request.query_params["x"]}

        served = ready.behind(app)
        await get(served, "/?x=1")
        body = (await get(served, "/?x=2")).body.decode()
    return Seen('"1"' in body, f"?x=2 is answered {body}")


class _Session:
    """What a dependency makes for each request."""


async def _dependencies(peer: str) -> Seen:
    """Ask six times for what depends on an object of the request."""
    runs = 0
    async with cached(peer) as ready:
        app = FastAPI()

        @app.get("/")
        @ready.decorate
        async def handle(response: Response, session: Annotated[_Session, Depends()]) -> str:
            nonlocal runs
            runs += 1
            response.headers.update(ready.headers)
            return type(session).__name__

        served = ready.behind(app)
        for _ in range(6):
            await get(served)
    return Seen(runs > 1, f"6 requests ran the handler {runs} times")


_ALL = (CACHE2, CACHEX, HISHEL)
for_each("entries_of_callers", _ALL, _callers)
for_each("entries_of_nobody", _ALL, _nobody)
for_each("caches_downstream", _ALL, _downstream)
for_each("handlers_of_a_factory", _ALL, _factories)
for_each("query_of_the_request", _ALL, _queries)
for_each("dependencies_in_keys", _ALL, _dependencies)
