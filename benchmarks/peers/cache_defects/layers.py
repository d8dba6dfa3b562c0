"""Probes of caches that are a layer around the application, and of what each can be told."""

import asyncio
import inspect
from collections.abc import AsyncIterator

import fastapi_cachex
from cashews import Cache
from cashews.contrib.fastapi import (
    CacheDeleteMiddleware,
    CacheEtagMiddleware,
    CacheRequestControlMiddleware,
)
from fastapi import Depends, FastAPI, Header, HTTPException, Response  # noqa: TID251 - a service's own
from fastapi.responses import StreamingResponse
from fastapi_cache.decorator import cache as cache2
from hishel.asgi import ASGICacheMiddleware
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251 - it is looked for

from benchmarks.peers.cache_defects.cached import (
    CACHE2,
    CACHEX,
    CASHEWS,
    ENVIRONMENT,
    HISHEL,
    cached,
    for_each,
    get,
)
from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import ask, scope_of


def _cashews(*layers: type) -> tuple[FastAPI, list[str]]:
    """Return an application behind layers of cashews, and where it notes what has run."""
    app, ran, cache = FastAPI(), list[str](), Cache()
    cache.setup("mem://")

    async def authenticate(authorization: str = Header("")) -> None:
        if not authorization:
            raise HTTPException(401, "who are you?")

    @app.get("/")
    @cache(ttl="1m", key="thing")
    async def thing() -> dict[str, str]:
        ran.append("thing")
        return {"name": "thing"}

    @app.post("/transfers")
    async def transfer() -> str:
        ran.append("transfer")
        return "done"

    @app.get("/admin", dependencies=[Depends(authenticate)])
    async def admin() -> str:
        ran.append("admin")
        return "secret"

    for layer in layers:
        options = {} if layer is CacheDeleteMiddleware else {"cache_instance": cache}
        app.add_middleware(layer, **options)
    return app, ran


@probe("conditional_post", peer=CASHEWS, environment=ENVIRONMENT)
async def conditional_post() -> Seen:
    """Write with the tag of something else."""
    app, ran = _cashews(CacheEtagMiddleware)
    tag = str((await get(app)).header("etag"))
    answer = await ask(app, scope_of("/transfers", method="POST", headers={"if-none-match": tag}))
    seen = f"POST: {answer.status}, the handler ran: {'transfer' in ran}"
    return Seen(answer.status == 304, seen)


@probe("authorization_first", peer=CASHEWS, environment=ENVIRONMENT)
async def authorization_first() -> Seen:
    """Ask for what needs a credential, without one, with the tag of something else."""
    app, _ran = _cashews(CacheEtagMiddleware)
    tag = str((await get(app)).header("etag"))
    without = (await get(app, "/admin")).status
    tagged = (await get(app, "/admin", if_none_match=tag)).status
    return Seen(tagged != 401, f"without a tag: {without}, with one: {tagged}")


@probe("authorization_first", peer=HISHEL, environment=ENVIRONMENT)
async def authorization_first_hishel() -> Seen:
    """Ask with an API key, then with one that has been taken back."""
    keys = {"valid"}
    async with cached(HISHEL) as ready:
        app = FastAPI()

        async def authenticate(x_api_key: str = Header("")) -> None:
            if x_api_key not in keys:
                raise HTTPException(401, "who are you?")

        @app.get("/", dependencies=[Depends(authenticate)])
        async def handle(response: Response) -> str:
            response.headers.update(ready.headers)
            return "secret"

        served = ready.behind(app)
        await get(served, x_api_key="valid")
        keys.clear()
        status = (await get(served, x_api_key="valid")).status
    return Seen(status != 401, f"with a key that is no longer valid: {status}")


@probe("age_of_a_hit", peer=CASHEWS, environment=ENVIRONMENT)
async def age_of_a_hit() -> Seen:
    """Look at the age of what was kept a moment ago."""
    app, _ran = _cashews(CacheRequestControlMiddleware)
    await get(app)
    age = (await get(app)).header("age")
    return Seen(age not in {"0", "1"}, f"Age: {age}")


@probe("purged_by_a_client", peer=CASHEWS, environment=ENVIRONMENT)
async def purged_by_a_client() -> Seen:
    """Send a header by which a server tells a browser to clear what it keeps."""
    app, ran = _cashews(CacheDeleteMiddleware)
    await get(app)
    await get(app, clear_site_data="cache")
    await get(app)
    return Seen(ran.count("thing") > 1, f"3 requests ran the handler {ran.count('thing')} times")


@probe("pure_layers", peer=CASHEWS, environment=ENVIRONMENT)
async def pure_layers() -> Seen:
    """Look for what takes a task group and a stream for every request."""
    layers = (CacheEtagMiddleware, CacheDeleteMiddleware, CacheRequestControlMiddleware)
    found = [each.__name__ for each in layers if BaseHTTPMiddleware in each.__mro__]
    return Seen(bool(found), f"are a BaseHTTPMiddleware: {found}")


@probe("event_streams", peer=HISHEL, environment=ENVIRONMENT)
async def event_streams() -> Seen:
    """Ask for events, of which the first one comes at once and the next one much later."""
    async with cached(HISHEL) as ready:
        app = FastAPI()

        async def events() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            await asyncio.sleep(30)

        @app.get("/")
        async def handle() -> StreamingResponse:
            return StreamingResponse(events(), media_type="text/event-stream")

        answer = await ask(ready.behind(app), scope_of(), seconds=0.3)
    return Seen(not answer.body, f"after 0.3 s: {answer.body}")


async def _hurt(peer: str) -> Seen:
    """Look for what serves what is stale: while it is made anew, and when that fails."""
    decorate = {CACHE2: cache2, CACHEX: fastapi_cachex.cache}[peer]
    runs = 0
    async with cached(peer):
        app = FastAPI()
        names = inspect.signature(decorate).parameters
        options = {"stale": "error", "stale_ttl": 60} if "stale" in names else {}
        lifetime = {"expire" if "expire" in names else "ttl": 1}

        @app.get("/")
        @decorate(**lifetime, **options)
        async def handle() -> str:
            nonlocal runs
            runs += 1
            if runs > 1:
                raise RuntimeError("what it asks is away")
            return "done"

        await get(app)
        await asyncio.sleep(2.1)
        status = (await get(app)).status
    return Seen(status != 200, f"stale, and what makes it fails: {status}")


async def _tags(peer: str) -> Seen:
    """Look for a parameter by which several entries are forgotten at once."""
    decorate = {CACHE2: cache2, CACHEX: fastapi_cachex.cache, HISHEL: ASGICacheMiddleware}[peer]
    names = [name for name in inspect.signature(decorate).parameters if "tag" in name]
    return Seen(not names, f"parameters for tags: {names}")


@probe("head_of_a_hit", peer=CACHE2, environment=ENVIRONMENT)
async def head_of_a_hit() -> Seen:
    """Ask for the headers of what is kept."""
    runs = 0
    async with cached(CACHE2):
        app = FastAPI()

        @app.api_route("/", methods=["GET", "HEAD"])
        @cache2(expire=60)
        async def handle() -> str:
            nonlocal runs
            runs += 1
            return "done"

        await get(app)
        await ask(app, scope_of(method="HEAD"))
    return Seen(runs > 1, f"a HEAD after a GET ran the handler: {runs > 1}")


for_each("stale_answers", (CACHE2, CACHEX), _hurt)
for_each("entries_by_tag", (CACHE2, CACHEX, HISHEL), _tags)
