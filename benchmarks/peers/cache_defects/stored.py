"""Probes of what is kept, and of what comes back."""

import datetime as dt
import pickle
from collections.abc import AsyncIterator

from cashews import Cache
from cashews.exceptions import UnSecureDataError
from cashews.serialize import HashSigner, simple_sign
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.coder import JsonCoder, PickleCoder
from fastapi_cache.decorator import cache as cache2
from fastapi_cachex import BackendProxy
from pydantic import BaseModel
from redis.asyncio import Redis

from benchmarks.peers.cache_defects.cached import (
    CACHE2,
    CACHEX,
    CASHEWS,
    ENVIRONMENT,
    HISHEL,
    cache2_on,
    cached,
    for_each,
    get,
)
from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.redis_servers import redis_process

_ALL = (CACHE2, CACHEX, HISHEL)
SECRET = "not-for-clients"  # noqa: S105 - what is looked for


async def _errors(peer: str) -> Seen:
    """Return a refusal that passes, and ask again."""
    runs = 0
    async with cached(peer) as ready:
        app = FastAPI()

        @app.get("/")
        @ready.decorate
        async def handle() -> JSONResponse:
            nonlocal runs
            runs += 1
            return JSONResponse({"detail": "try again"}, 503, headers=dict(ready.headers))

        served = ready.behind(app)
        statuses = [(await get(served)).status for _ in range(2)]
    return Seen(runs != 2, f"statuses {statuses}, {runs} runs")


async def _metadata(peer: str) -> Seen:
    """Set a status and headers, and compare what a hit has with what a miss had."""
    async with cached(peer) as ready:
        app = FastAPI()

        @app.get("/")
        @ready.decorate
        async def handle(response: Response) -> dict[str, str]:
            response.status_code = 203
            response.headers.update({"x-source": "archive", **ready.headers})
            return {"name": "thing"}

        served = ready.behind(app)
        answers = [await get(served) for _ in range(2)]
    seen = [(answer.status, answer.header("x-source")) for answer in answers]
    return Seen(seen[0] != seen[1], f"miss, then hit: {seen}")


async def _streams(peer: str) -> Seen:
    """Return a stream from a handler that is cached."""
    async with cached(peer) as ready:
        app = FastAPI()

        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            yield b"second"

        @app.get("/")
        @ready.decorate
        async def handle() -> StreamingResponse:
            return StreamingResponse(parts())

        answers = [await get(ready.behind(app)) for _ in range(2)]
    seen = [(answer.status, answer.body.decode()) for answer in answers]
    return Seen(any(each != (200, "firstsecond") for each in seen), f"{seen}")


class _User(BaseModel):
    name: str


class _StoredUser(_User):
    hashed_password: str


def _users(decorate) -> FastAPI:
    app = FastAPI()

    @app.get("/", response_model=_User)
    @decorate
    async def handle():
        return _StoredUser(name="alice", hashed_password=SECRET)

    return app


@probe("filtered_fields", peer=CACHE2, environment=ENVIRONMENT)
async def filtered_fields() -> Seen:
    """Look in Redis for a field that `response_model` leaves out."""
    with redis_process() as server:
        async with Redis.from_url(server.url) as client, cache2_on(RedisBackend(client)):
            await get(_users(cache2(expire=60)))
            kept = [await client.get(key) for key in await client.keys()]
    return Seen(SECRET.encode() in b"".join(kept), f"in Redis: {b', '.join(kept).decode()}")


@probe("filtered_fields", peer=CACHEX, environment=ENVIRONMENT)
async def filtered_fields_cachex() -> Seen:
    """Likewise, in memory."""
    async with cached(CACHEX) as ready:
        await get(_users(ready.decorate))
        kept = await BackendProxy.get().get_cache_data()
    has_it = SECRET in repr(kept)
    return Seen(has_it, f"{len(kept)} entry, with the field: {has_it}")


async def _inferred(peer: str) -> Seen:
    """Return more than the annotation of the handler says, from a handler that is cached."""
    async with cached(peer) as ready:
        app = FastAPI()

        @app.get("/")
        @ready.decorate
        async def handle() -> _User:
            return _StoredUser(name="alice", hashed_password=SECRET)

        body = (await get(app)).body.decode()
    return Seen(SECRET in body, f"answered {body}")


@probe("types_of_values", peer=CACHE2, environment=ENVIRONMENT)
async def types_of_values() -> Seen:
    """Store values of several types, and compare what comes back."""
    at = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - without a zone, on purpose
    values = {"date": dt.date(2026, 1, 2), "datetime": at, "tuple": (1, 2), "set": {1}}
    seen: dict[str, str] = {}
    for name, value in values.items():
        back = JsonCoder.decode_as_type(JsonCoder.encode(value), type_=type(value))
        if type(back) is not type(value) or back != value:
            seen[name] = f"{type(back).__module__}.{type(back).__name__}"
    return Seen(bool(seen), f"came back as: {seen}")


@probe("any_payload", peer=CACHE2, environment=ENVIRONMENT)
async def any_payload() -> Seen:
    """Store a payload that has a member of the coder's own."""
    payload = {"_spec_type": "anything"}
    try:
        back = JsonCoder.decode(JsonCoder.encode(payload))
    except TypeError as error:
        return Seen(has_defect=True, observed=f"TypeError: {error}")
    return Seen(back != payload, f"came back as {back}")


_RAN: list[str] = []


def ran(mark: str) -> str:
    """Note that what was stored has run."""
    _RAN.append(mark)
    return mark


class _Runs:
    def __reduce__(self):
        return ran, ("ran",)


@probe("stored_code", peer=CACHE2, environment=ENVIRONMENT)
async def stored_code() -> Seen:
    """Read what someone else has written to Redis, with the coder for what JSON cannot hold."""
    _RAN.clear()
    PickleCoder.decode(pickle.dumps(_Runs()))
    return Seen(bool(_RAN), f"PickleCoder, what was stored has run: {bool(_RAN)}")


@probe("stored_code", peer=CASHEWS, environment=ENVIRONMENT)
async def stored_code_cashews() -> Seen:
    """Likewise, as it is set up by default."""
    _RAN.clear()
    with redis_process() as server:
        cache = Cache()
        cache.setup(server.url)
        async with Redis.from_url(server.url) as client:
            await client.set("key", pickle.dumps(_Runs()))
        await cache.get("key")
        await cache.close()
    return Seen(bool(_RAN), f"by default, what was stored has run: {bool(_RAN)}")


@probe("signatures", peer=CASHEWS, environment=ENVIRONMENT)
async def signatures() -> Seen:
    """Sign with SHA-256, and check what says that its signature is a sum of bytes."""
    signer = HashSigner("secret", "sha256")
    value = b"forged"
    # Whoever writes it has one in some thousands by guessing: a sum of few bytes has few values.
    forged = b"sum:" + simple_sign(b"secret", b"key" + value) + b"_" + value
    try:
        signer.check_sign("key", forged)
    except UnSecureDataError:
        return Seen(has_defect=False, observed="refused")
    return Seen(has_defect=True, observed="a signer with sha256 takes what says `sum:`")


for_each("errors_are_not_kept", (CACHE2, CACHEX), _errors)
for_each("status_and_headers", _ALL, _metadata)
for_each("annotated_answers", (CACHE2, CACHEX), _inferred)
for_each("streams", (CACHE2, CACHEX), _streams)
