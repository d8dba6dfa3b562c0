import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import permutations
from typing import Annotated, Any, cast

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi_cache import FastAPICache
from fastapi_cache.decorator import cache as stock_cache
from httpx2 import AsyncClient
from starlette.middleware import Middleware

from fastapi_baseline import Settings, context
from fastapi_baseline.caching import Cache, ResponseCacheMiddleware, cached
from fastapi_baseline.caching.compat import BaselineBackend, fastapi_cache_lifespan
from fastapi_baseline.caching.redis import RedisCacheStore
from fastapi_baseline.middleware import make_stack
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, create_redis
from fastapi_baseline.testing import ManualClock, running

HOUR = timedelta(hours=1)


def basic(name: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:secret".encode()).decode()}


CALLERS: dict[str, dict[str, str]] = {
    "none": {},
    "bearer ann": {"Authorization": "Bearer ann"},
    "bearer bob": {"Authorization": "Bearer bob"},
    "basic ann": basic("ann"),
    "basic bob": basic("bob"),
    "API key ann": {"X-API-Key": "ann"},
    "API key bob": {"X-API-Key": "bob"},
    "cookie ann": {"Cookie": "session=ann"},
    "cookie bob": {"Cookie": "session=bob"},
    "tenant one": {"X-Tenant": "one"},
    "tenant two": {"X-Tenant": "two"},
    "bearer ann in one": {"Authorization": "Bearer ann", "X-Tenant": "one"},
    "bearer ann in two": {"Authorization": "Bearer ann", "X-Tenant": "two"},
    "bearer ann for bob": {"Authorization": "Bearer ann", "X-Act-As": "bob"},
    "bearer ann with key bob": {"Authorization": "Bearer ann", "X-API-Key": "bob"},
}
PAIRS = list(permutations(CALLERS, 2))
CREDENTIALS = ("authorization", "x-api-key", "cookie", "x-tenant", "x-act-as")


async def sign_in(
    x_tenant: Annotated[str | None, Header()] = None,
    x_act_as: Annotated[str | None, Header()] = None,
) -> None:
    current = context.current()
    assert current is not None
    current.tenant, current.principal = x_tenant, x_act_as


def credentials_of(headers: Any) -> dict[str, str]:
    return {name: headers[name] for name in CREDENTIALS if name in headers}


router = APIRouter(dependencies=[Depends(sign_in)])


@router.get("/ours/{number}")
@cached(HOUR)
async def get_ours(number: int, request: Request) -> dict[str, Any]:
    return {"for": credentials_of(request.headers), "filling": "a" * 5_000}


@router.get("/stock/{number}")
@stock_cache()
async def get_stock(number: int, request: Request) -> dict[str, Any]:
    return {"for": credentials_of(request.headers), "filling": "a" * 5_000}


def service(cache: Cache) -> FastAPI:
    settings = Settings(environment="test")
    app = FastAPI(lifespan=cache.lifespan)
    layers = [
        *make_stack(settings, clock=cache.clock),
        Middleware(ResponseCacheMiddleware, cache=cache),
    ]
    for layer in reversed(layers):
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    app.include_router(router)
    return app


@pytest.fixture(params=["in process", "in Redis"])
async def clients(request: pytest.FixtureRequest) -> AsyncGenerator[Sequence[AsyncClient]]:
    clock = ManualClock()
    FastAPICache.reset()
    async with AsyncExitStack() as stack:
        if request.param == "in process":
            cache = Cache(clock=clock)
            client = await stack.enter_async_context(running(service(cache)))
            await stack.enter_async_context(fastapi_cache_lifespan(cache))
            yield client, client
            return
        # What the one has made, the other finds in Redis.
        found: list[AsyncClient] = []
        for _ in range(2):
            redis = create_redis(request.getfixturevalue("redis_url"))
            stack.push_async_callback(redis.aclose)
            guard = GuardedRedis(redis, deadline=timedelta(seconds=5), breaker=CircuitBreaker())
            cache = Cache(remote=RedisCacheStore(guard), clock=clock)
            found.append(await stack.enter_async_context(running(service(cache))))
            await stack.enter_async_context(fastapi_cache_lifespan(cache))
        yield found


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("kind", ["ours", "stock"])
async def test_nobody_is_given_what_is_somebody_elses(
    kind: str, coding: str, clients: Sequence[AsyncClient]
) -> None:
    one, other = clients
    wrong: list[tuple[str, str]] = []
    missed: list[tuple[str, str]] = []
    status = "cache-status" if kind == "ours" else "x-fastapi-cache"

    for number, (first, second) in enumerate(PAIRS):
        url = f"/{kind}/{number}"
        asked = [(one, first), (other, first), (other, second), (one, second), (one, first)]
        answers = [
            await client.get(url, headers={**CALLERS[who], "Accept-Encoding": coding})
            for client, who in asked
        ]
        for (_, who), answer in zip(asked, answers, strict=True):
            expected = {name.lower(): value for name, value in CALLERS[who].items()}
            assert answer.headers.get("content-encoding", "identity") == coding
            if answer.json()["for"] != expected:
                wrong.append((first, second))
        if "hit" not in answers[1].headers[status].lower():
            missed.append((first, second))

    assert wrong == []
    assert missed == []


async def test_no_key_tells_a_secret(
    clients: Sequence[AsyncClient], request: pytest.FixtureRequest
) -> None:
    one, _ = clients
    secret = "SuPeR-s3cret"
    headers = {"Authorization": secret, "X-API-Key": secret, "Cookie": secret, "X-Act-As": secret}

    for kind in ("ours", "stock"):
        await one.get(f"/{kind}/1?token={secret}", headers=headers)

    if "in Redis" in request.node.name:
        redis: Any = create_redis(request.getfixturevalue("redis_url"))
        names = [name.decode() async for name in redis.scan_iter()]
        await redis.aclose()
    else:
        backend = cast("BaselineBackend", FastAPICache.get_backend())
        names = [key async for key, _ in backend.cache.list_entries()]
    assert len([name for name in names if "get_" in name]) == 2
    assert not [name for name in names if secret in name]
