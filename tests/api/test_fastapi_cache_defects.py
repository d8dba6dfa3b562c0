import asyncio
import contextlib
import json
import logging
import pickle
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi_cache import FastAPICache
from fastapi_cache.coder import PickleCoder
from fastapi_cache.decorator import cache as stock_cache
from httpx2 import AsyncClient
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from fastapi_baseline import Settings, UnauthenticatedError, context
from fastapi_baseline.caching import Cache, MemoryCacheStore, ResponseCacheMiddleware, cached
from fastapi_baseline.caching.compat import (
    BaselineBackend,
    TypedCoder,
    fastapi_cache_lifespan,
    init_fastapi_cache,
    make_key,
)
from fastapi_baseline.caching.redis import RedisCacheStore
from fastapi_baseline.middleware import make_exception_handlers, make_stack
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, create_redis
from fastapi_baseline.settings import CacheSettings
from fastapi_baseline.testing import ManualClock, redis_process, running

PATIENCE = timedelta(seconds=5)
ANN, BOB = {"Authorization": "Bearer ann"}, {"Authorization": "Bearer bob"}


def serve(cache: Cache, *routers: APIRouter) -> FastAPI:
    settings = Settings(environment="test")
    app = FastAPI(lifespan=cache.lifespan)
    for kind, handler in make_exception_handlers(validation_status=422).items():
        app.exception_handlers[kind] = handler
    layers = [
        *make_stack(settings, clock=cache.clock),
        Middleware(ResponseCacheMiddleware, cache=cache),
    ]
    for layer in reversed(layers):
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    for router in routers:
        app.include_router(router)
    return app


class Service:
    """An application whose routes are ours, or those of stock code on what is ours."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.cache = Cache(clock=clock, settings=CacheSettings(jitter=0))
        self.router = APIRouter()
        self.runs = 0

    def run(self) -> int:
        self.runs += 1
        return self.runs

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[AsyncClient]:
        app = serve(self.cache, self.router)
        async with running(app) as client, fastapi_cache_lifespan(self.cache):
            yield client


Decorator = Callable[..., Callable[[Callable[..., Any]], Any]]


@pytest.fixture(autouse=True)
def registry() -> Any:
    FastAPICache.reset()
    yield
    FastAPICache.reset()


@pytest.fixture
def service() -> Service:
    return Service(ManualClock())


@pytest.fixture(params=["ours", "stock code"])
def cache(request: pytest.FixtureRequest) -> Decorator:
    return stock_cache if request.param == "stock code" else cached


async def test_c1_handlers_that_one_function_has_made_have_entries_of_their_own(
    cache: Decorator, service: Service
) -> None:
    def make(name: str) -> Callable[..., Any]:
        @cache(60)
        async def get() -> dict[str, str]:
            return {"name": name}

        return get

    service.router.get("/first")(make("first"))
    service.router.get("/second")(make("second"))

    async with service.client() as client:
        names = [(await client.get(path)).json()["name"] for path in ("/first", "/second") * 2]

    assert names == ["first", "second"] * 2


async def test_c2_a_caller_is_never_given_what_was_made_for_another(
    cache: Decorator, service: Service
) -> None:
    @service.router.get("/me")
    @cache(60)
    async def get(request: Request) -> dict[str, str]:
        return {"name": request.headers["authorization"]}

    async with service.client() as client:
        names = [(await client.get("/me", headers=who)).json()["name"] for who in (ANN, BOB, ANN)]

    assert names == ["Bearer ann", "Bearer bob", "Bearer ann"]


async def test_c2_caches_in_between_are_told_that_it_is_the_callers(service: Service) -> None:
    @service.router.get("/me")
    @cached(60)
    async def get() -> None:
        return None

    async with service.client() as client:
        answer = await client.get("/me", headers=ANN)

    assert answer.headers["cache-control"] == "private, max-age=60"
    assert "Authorization" in answer.headers["vary"]


async def test_c3_what_is_read_from_the_query_makes_an_entry_of_its_own(
    cache: Decorator, service: Service
) -> None:
    @service.router.get("/a")
    @cache(60)
    async def get(request: Request) -> dict[str, str]:
        return {"x": request.query_params["x"]}

    async with service.client() as client:
        seen = [(await client.get("/a", params={"x": x})).json()["x"] for x in ("1", "2", "1")]

    assert seen == ["1", "2", "1"]


async def test_c4_objects_of_dependencies_make_no_entries_of_their_own(
    cache: Decorator, service: Service
) -> None:
    class Session:
        pass

    @service.router.get("/a")
    @cache(60)
    async def get(session: Annotated[Session, Depends(Session)]) -> dict[str, int]:
        return {"run": service.run()}

    async with service.client() as client:
        for _ in range(6):
            await client.get("/a")
        keys = [key async for key, _ in service.cache.list_entries()]

    assert (service.runs, len(keys)) == (1, 1)


async def test_c5_an_error_is_not_kept(cache: Decorator, service: Service) -> None:
    @service.router.get("/a")
    @cache(60)
    async def get() -> Any:
        service.run()
        return JSONResponse({}, 503)

    async with service.client() as client:
        statuses = [(await client.get("/a")).status_code for _ in range(2)]

    assert (statuses, service.runs) == ([503, 503], 2)


async def test_c5_a_hit_has_the_status_and_the_headers_of_the_miss(
    cache: Decorator, service: Service
) -> None:
    @service.router.get("/a")
    @cache(60)
    async def get() -> Any:
        service.run()
        return JSONResponse({}, 203, headers={"X-Source": "archive"})

    async with service.client() as client:
        answers = [await client.get("/a") for _ in range(2)]

    assert [(one.status_code, one.headers["x-source"]) for one in answers] == [(203, "archive")] * 2
    assert service.runs == 1


async def test_c5_what_a_handler_sets_beside_its_value_is_kept(service: Service) -> None:
    @service.router.get("/a")
    @cached(60)
    async def get(response: Response) -> str:
        response.status_code = 203
        response.headers["X-Source"] = "archive"
        return "a"

    async with service.client() as client:
        answers = [await client.get("/a") for _ in range(2)]

    assert [(one.status_code, one.headers["x-source"]) for one in answers] == [(203, "archive")] * 2


async def test_c5_a_stream_passes_unchanged(cache: Decorator, service: Service) -> None:
    @service.router.get("/a")
    @cache(60)
    async def get() -> Any:
        return StreamingResponse(iter([b"first", b"second"]))

    async with service.client() as client:
        answers = [await client.get("/a") for _ in range(2)]

    assert [(one.status_code, one.content) for one in answers] == [(200, b"firstsecond")] * 2


class Shown(BaseModel):
    name: str


class Stored(Shown):
    hashed_password: str


async def test_c6_what_the_response_model_leaves_out_is_not_kept(service: Service) -> None:
    @service.router.get("/a", response_model=Shown)
    @cached(60)
    async def get() -> Stored:
        return Stored(name="ann", hashed_password="not for clients")

    async with service.client() as client:
        answers = [(await client.get("/a")).json() for _ in range(2)]
        bodies = [entry.body async for _, entry in service.cache.list_entries()]

    assert answers == [{"name": "ann"}] * 2
    assert bodies == [b'{"name":"ann"}']


async def test_c6_a_cached_handler_answers_no_more_than_its_annotation_says(
    service: Service,
) -> None:
    @service.router.get("/a")
    @cached(60)
    async def get() -> Shown:
        return Stored(name="ann", hashed_password="not for clients")

    async with service.client() as client:
        answers = [(await client.get("/a")).json() for _ in range(2)]

    assert answers == [{"name": "ann"}] * 2


async def test_c7_of_requests_that_come_at_once_one_runs(service: Service) -> None:
    may_go_on = asyncio.Event()

    @service.router.get("/a")
    @cached(60)
    async def get() -> int:
        await may_go_on.wait()
        return service.run()

    async with service.client() as client, asyncio.TaskGroup() as group:
        asked = [group.create_task(client.get("/a")) for _ in range(30)]
        for _ in range(50):
            await asyncio.sleep(0)
        may_go_on.set()
        answers = await asyncio.gather(*asked)

    assert (service.runs, {answer.json() for answer in answers}) == (1, {1})


STABLE = """
import hashlib
from fastapi_baseline.caching.compat import TypedCoder
print(hash(TypedCoder.encode({"a": 1})))
"""


def test_c8_the_tag_of_a_body_is_the_same_in_every_process() -> None:
    tags = {
        subprocess.run(
            [sys.executable, "-c", STABLE],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }

    assert len(tags) == 1


async def test_c8_a_miss_and_a_hit_of_stock_code_have_one_tag(service: Service) -> None:
    @service.router.get("/a")
    @stock_cache(60)
    async def get() -> dict[str, str]:
        return {"a": "b"}

    async with service.client() as client:
        answers = [await client.get("/a") for _ in range(2)]

    assert [answer.headers["x-fastapi-cache"] for answer in answers] == ["MISS", "HIT"]
    assert answers[0].headers["etag"] == answers[1].headers["etag"]


async def test_c8_a_tag_is_strong_and_in_quotes_and_that_of_the_bytes(service: Service) -> None:
    @service.router.get("/{name}")
    @cached(60)
    async def get(name: str) -> str:
        return "same"

    async with service.client() as client:
        tags = [(await client.get(path)).headers["etag"] for path in ("/a", "/a", "/b")]

    assert len(set(tags)) == 1
    assert (tags[0][0], tags[0][-1], len(tags[0])) == ('"', '"', 34)


async def test_c9_if_none_match_takes_lists_and_stars_and_weak_tags(service: Service) -> None:
    @service.router.get("/a")
    @cached(60)
    async def get() -> JSONResponse:
        return JSONResponse({"a": 1})

    async with service.client() as client:
        tag = (await client.get("/a")).headers["etag"]
        asked = {"list": f'"x", {tag}', "*": "*", "weak": f"W/{tag}", "other": '"x"'}
        statuses = {
            name: (await client.get("/a", headers={"If-None-Match": value})).status_code
            for name, value in asked.items()
        }
        reloaded = await client.get(
            "/a", headers={"If-None-Match": tag, "Cache-Control": "no-cache"}
        )

    assert statuses == {"list": 304, "*": 304, "weak": 304, "other": 200}
    assert reloaded.status_code == 304


@pytest.mark.parametrize(
    ("control", "is_kept"),
    [
        ("no-cache", True),
        ("max-age=0, no-cache", True),
        ("no-store", False),
        ("no-store, max-age=0", False),
    ],
)
async def test_c10_a_directive_of_a_request_counts_also_beside_others(
    control: str, *, is_kept: bool, service: Service
) -> None:
    @service.router.get("/a")
    @cached(60)
    async def get() -> int:
        return service.run()

    async with service.client() as client:
        await client.get("/a")
        asked = await client.get("/a", headers={"Cache-Control": control})
        after = await client.get("/a")

    assert (asked.json(), after.json()) == (2, 2 if is_kept else 1)


async def test_c11_the_lifetime_of_an_answer_is_a_number(
    cache: Decorator, service: Service
) -> None:
    @service.router.get("/a")
    @cache()
    async def get() -> int:
        return service.run()

    async with service.client() as client:
        controls = [(await client.get("/a")).headers["cache-control"] for _ in range(2)]

    assert {control.removeprefix("private, ") for control in controls} == {"max-age=60"}
    assert service.runs == 1


async def test_c12_to_clear_one_key_leaves_the_others(service: Service) -> None:
    backend = BaselineBackend(service.cache)
    FastAPICache.init(backend, prefix="api")
    for name in ("a", "b", "c"):
        await backend.set(f"api:users:{name}", b"value")

    removed = await FastAPICache.clear(key="api:users:a")

    left = [name for name in ("a", "b", "c") if await backend.get(f"api:users:{name}")]
    assert (removed, left) == (1, ["b", "c"])


async def test_c12_to_clear_a_namespace_leaves_the_others(service: Service) -> None:
    backend = BaselineBackend(service.cache)
    FastAPICache.init(backend, prefix="api")
    for namespace in ("users", "orders"):
        for name in ("a", "b"):
            await backend.set(f"api:{namespace}:{name}", b"value")

    removed = await FastAPICache.clear(namespace="users")
    left = await backend.get("api:orders:a")
    await FastAPICache.clear()

    assert (removed, left) == (2, b"value")
    assert await backend.get("api:orders:a") is None


@asynccontextmanager
async def cache_in_redis(
    url: str, *, deadline: timedelta = PATIENCE, **options: Any
) -> AsyncGenerator[tuple[Cache, Any]]:
    # Without types: those of redis-py have most commands return sync and async values alike.
    redis: Any = create_redis(url)
    guard = GuardedRedis(redis, deadline=deadline, breaker=CircuitBreaker())
    cache = Cache(remote=RedisCacheStore(guard), **options)
    async with guard.lifespan(None):
        yield cache, redis
    await redis.aclose()


async def commands_of(redis: Any) -> set[str]:
    found: Mapping[str, object] = await redis.info("commandstats")
    return {name.removeprefix("cmdstat_") for name in found}


@pytest.mark.counts_commands
async def test_c13_redis_is_never_searched_with_keys_or_told_what_a_name_says(
    redis_url: str,
) -> None:
    async with cache_in_redis(redis_url) as (cache, redis):
        await redis.config_resetstat()
        backend = BaselineBackend(cache)
        FastAPICache.init(backend, prefix="api")
        evil = "x') redis.call('SET', 'pwned', '1') --"
        await backend.set(f"api:{evil}:a", b"value")

        await FastAPICache.clear(namespace=evil)

        assert await backend.get(f"api:{evil}:a") is None
        assert await redis.get("pwned") is None
        assert not await commands_of(redis) & {"keys", "flushdb", "flushall"}


class Order(BaseModel):
    day: date
    naive: datetime
    aware: datetime
    price: Decimal
    number: UUID


ORDER = Order(
    day=date(2026, 1, 31),
    naive=datetime(2026, 1, 31, 9, 30),  # noqa: DTZ001 -- it must come back as it is
    aware=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    price=Decimal("1.10"),
    number=UUID(int=7),
)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (ORDER, Order),
        ([ORDER], list[Order]),
        (date(2026, 1, 31), date),
        (ORDER.naive, datetime),
        (Decimal("1.10"), Decimal),
        ({"a", "b"}, set[str]),
        ((1, "a"), tuple[int, str]),
    ],
    ids=["model", "list", "date", "naive", "decimal", "set", "tuple"],
)
def test_c14_a_value_comes_back_with_its_type(value: object, annotation: Any) -> None:
    found = TypedCoder.decode_as_type(TypedCoder.encode(value), type_=annotation)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("payload", [{"_spec_type": "x"}, {"val": 1, "_spec_type": "date"}, []])
def test_c14_any_payload_comes_back_as_it_was(payload: object) -> None:
    assert TypedCoder.decode(TypedCoder.encode(payload)) == payload


async def test_c14_a_function_of_stock_code_gets_its_type_back(service: Service) -> None:
    @stock_cache(60)
    async def find() -> Order:
        service.run()
        return ORDER

    async with service.client():
        found = [await find() for _ in range(2)]

    assert (found, service.runs) == ([ORDER, ORDER], 1)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("it was run",))


async def test_c15_what_stands_in_redis_is_never_run(redis_url: str) -> None:
    async with cache_in_redis(redis_url) as (cache, redis):
        await BaselineBackend(cache).set("api::a", b"value")
        await cache.get_or_set("b", _return_number)
        names = [name async for name in redis.scan_iter("cache:*")]
        for name in names:
            await redis.set(name, pickle.dumps(Bomb()))

    async with cache_in_redis(redis_url) as (cache, redis):
        found = await BaselineBackend(cache).get("api::a")
        made = await cache.get_or_set("b", _return_number)

    assert (len(names), found, made) == (2, None, 7)


async def test_c15_what_a_pickle_coder_makes_is_not_kept(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    @service.router.get("/a")
    @stock_cache(60, coder=PickleCoder)
    async def get() -> int:
        return service.run()

    async with service.client() as client:
        runs = [(await client.get("/a")).json() for _ in range(2)]

    assert runs == [1, 2]
    assert sum("PickleCoder" in line for line in caplog.messages) == 1


async def _return_number() -> int:
    return 7


async def test_c15_a_pickle_coder_that_was_given_to_the_registry_is_replaced(
    service: Service,
) -> None:
    FastAPICache.init(BaselineBackend(service.cache), coder=PickleCoder)

    init_fastapi_cache(service.cache)

    assert FastAPICache.get_coder() is TypedCoder


@pytest.mark.parametrize("kind", ["ours", "stock code"])
async def test_c16_a_redis_that_hangs_is_not_waited_for_again_and_again(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_process() as server:
        clock = ManualClock()
        deadline = timedelta(milliseconds=50)
        async with cache_in_redis(server.url, deadline=deadline, clock=clock) as (cache, _):
            router = APIRouter()
            runs: list[int] = []
            decorate: Any = cached if kind == "ours" else stock_cache

            @router.get("/{number}")
            @decorate(60)
            async def get(number: int) -> int:
                runs.append(number)
                return number

            async with running(serve(cache, router)) as client, fastapi_cache_lifespan(cache):
                await client.get("/0")
                server.freeze()
                with caplog.at_level(logging.INFO, logger="fastapi_baseline"):
                    async with asyncio.timeout(5):
                        answers = [await client.get(f"/{number}") for number in range(1, 40)]
                server.thaw()

    assert {answer.status_code for answer in answers} == {200}
    assert len(runs) == 40
    about_redis = [
        record for record in caplog.records if record.name.startswith("fastapi_baseline.redis")
    ]
    assert len(about_redis) <= 2
    assert not [record for record in caplog.records if record.exc_info]


async def test_c17_what_is_kept_in_memory_is_bounded_and_each_cache_has_its_own() -> None:
    clock = ManualClock()
    small = Cache(local=MemoryCacheStore(max_size=50_000, clock=clock), clock=clock)
    other = Cache(clock=clock)
    backend = BaselineBackend(small)

    for number in range(5_001):
        await backend.set(f"api::{number}", b"a" * 100, expire=1)

    kept = [key async for key, _ in small.list_entries()]
    assert 10 < len(kept) < 500
    assert [key async for key, _ in other.list_entries()] == []
    assert await backend.get("api::5000") == b"a" * 100
    clock.advance(timedelta(seconds=1))
    assert await backend.get_with_ttl("api::5000") == (0, None)


async def test_c18_an_application_that_is_made_anew_has_the_settings_it_is_made_with() -> None:
    router = APIRouter()

    @router.get("/a")
    @cached()
    async def get() -> str:
        return "a"

    controls: list[str] = []
    for expire in (60, 30):
        settings = CacheSettings(expire=timedelta(seconds=expire), jitter=0)
        async with running(serve(Cache(settings=settings), router)) as client:
            controls.append((await client.get("/a")).headers["cache-control"])

    assert controls == ["private, max-age=60", "private, max-age=30"]


async def test_c18_stock_code_runs_on_the_cache_of_the_application_that_started_last() -> None:
    router = APIRouter()
    runs: list[int] = []

    @router.get("/a")
    @stock_cache()
    async def get() -> str:
        runs.append(1)
        return "a"

    for _ in range(2):
        cache = Cache()
        async with running(serve(cache, router)) as client, fastapi_cache_lifespan(cache):
            for _ in range(2):
                await client.get("/a")

    assert len(runs) == 2


async def test_c19_a_hit_is_neither_validated_nor_serialised_again(service: Service) -> None:
    validated: list[object] = []

    class Watched(BaseModel):
        name: str

        def model_post_init(self, context: object, /) -> None:
            validated.append(context)

    @service.router.get("/a")
    @cached(60)
    async def get() -> Watched:
        return Watched(name="a")

    async with service.client() as client:
        await client.get("/a")
        before = len(validated)
        await client.get("/a")

    assert len(validated) == before


@pytest.mark.parametrize("kind", ["ours", "stock code"])
@pytest.mark.counts_commands
async def test_c19_a_hit_takes_one_round_trip_and_no_transaction(kind: str, redis_url: str) -> None:
    router = APIRouter()
    decorate: Any = cached if kind == "ours" else stock_cache

    @router.get("/a")
    @decorate(60)
    async def get() -> str:
        return "a"

    async with (
        cache_in_redis(redis_url) as (first, _),
        running(serve(first, router)) as client,
        fastapi_cache_lifespan(first),
    ):
        await client.get("/a")
    async with (
        cache_in_redis(redis_url) as (second, redis),
        running(serve(second, router)) as client,
        fastapi_cache_lifespan(second),
    ):
        await redis.config_resetstat()
        hit = await client.get("/a")
        commands = await commands_of(redis)

    assert "hit" in str(hit.headers).lower()
    assert not commands & {"multi", "exec", "ttl", "watch"}
    assert commands & {"get", "mget", "evalsha"}


def test_c19_no_layer_is_a_base_http_middleware() -> None:
    names = {base.__name__ for base in ResponseCacheMiddleware.__mro__}

    assert names == {"ResponseCacheMiddleware", "object"}


async def test_c20_what_is_stale_is_served_when_what_makes_it_fails(service: Service) -> None:
    @service.router.get("/a")
    @cached(60, stale_if_error=60)
    async def get() -> int:
        if service.run() > 1:
            raise RuntimeError("it fails")
        return service.runs

    async with service.client() as client:
        await client.get("/a")
        service.clock.advance(timedelta(seconds=90))
        answer = await client.get("/a")

    assert (answer.status_code, answer.json(), service.runs) == (200, 1, 2)


async def test_c20_entries_are_forgotten_together_by_a_tag(service: Service) -> None:
    @service.router.get("/{name}")
    @cached(60, tags=["all", "one:{name}"])
    async def get(name: str) -> int:
        return service.run()

    async with service.client() as client:
        for name in ("a", "b"):
            await client.get(f"/{name}")
        await service.cache.invalidate("one:a")
        first = [(await client.get(f"/{name}")).json() for name in ("a", "b")]
        await service.cache.invalidate("all")
        second = [(await client.get(f"/{name}")).json() for name in ("a", "b")]

    assert (first, second) == ([3, 2], [4, 5])


def test_c20_a_handler_that_is_no_coroutine_stays_what_it_is() -> None:
    @cached(60)
    def get() -> str:
        return "a"

    assert get() == "a"


async def test_c20_a_head_is_answered_by_what_a_get_has_kept(service: Service) -> None:
    @service.router.api_route("/a", methods=["GET", "HEAD"])
    @cached(60)
    async def get() -> int:
        return service.run()

    async with service.client() as client:
        await client.get("/a")
        head = await client.head("/a")

    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "1")
    assert service.runs == 1


async def test_c20_what_is_not_there_is_kept_as_long_as_the_route_says(service: Service) -> None:
    @service.router.get("/a")
    @cached(60, negative_expire=5)
    async def get() -> JSONResponse:
        service.run()
        return JSONResponse({}, 404)

    async with service.client() as client:
        for _ in range(2):
            await client.get("/a")

    assert service.runs == 1


async def test_2_5_post_is_never_answered_with_304(service: Service) -> None:
    @service.router.api_route("/a", methods=["GET", "POST"])
    @cached(60, public=True)
    async def transfer() -> int:
        return service.run()

    async with service.client() as client:
        tag = (await client.get("/a")).headers["etag"]
        posted = await client.post("/a", headers={"If-None-Match": tag})

    assert (posted.status_code, posted.json()) == (200, 2)


async def test_2_5_auth_comes_before_anything_is_looked_up(service: Service) -> None:
    async def sign_in(authorization: Annotated[str | None, Header()] = None) -> None:
        if authorization is None:
            raise UnauthenticatedError(challenge="Bearer")

    @service.router.get("/admin", dependencies=[Depends(sign_in)])
    @cached(60)
    async def get() -> int:
        return service.run()

    async with service.client() as client:
        tag = (await client.get("/admin", headers=ANN)).headers["etag"]
        answers = [
            await client.get("/admin", headers=headers)
            for headers in ({}, {"If-None-Match": tag}, {"If-None-Match": "*"})
        ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


async def test_2_5_age_is_the_time_since_an_answer_was_made(service: Service) -> None:
    @service.router.get("/a")
    @cached(60)
    async def get() -> int:
        return service.run()

    async with service.client() as client:
        await client.get("/a")
        service.clock.advance(timedelta(seconds=7))
        hit = await client.get("/a")

    assert (hit.headers["age"], hit.headers["cache-status"]) == ("7", "baseline; hit; ttl=53")


async def test_2_5_purge_is_not_for_clients(service: Service) -> None:
    @service.router.get("/a")
    @cached(60)
    async def get() -> int:
        return service.run()

    async with service.client() as client:
        await client.get("/a")
        for headers in ({"Clear-Site-Data": "cache"}, {"X-Purge": "1"}):
            await client.get("/a", headers=headers)
        await client.request("PURGE", "/a")
        answer = await client.get("/a")

    assert answer.json() == 1


async def test_2_5_gives_up_and_harms_no_other(service: Service) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    @service.router.get("/a")
    @cached(60)
    async def get() -> int:
        begun.set()
        await may_go_on.wait()
        return service.run()

    async with service.client() as client, asyncio.TaskGroup() as group:
        leader = group.create_task(client.get("/a"))
        await begun.wait()
        others = [group.create_task(client.get("/a")) for _ in range(5)]
        for _ in range(50):
            await asyncio.sleep(0)
        leader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([leader])
        may_go_on.set()
        answers = await asyncio.gather(*others)

    assert [answer.status_code for answer in answers] == [200] * 5


async def test_2_5_context_of_another_caller_is_never_the_one_that_is_answered_in(
    service: Service,
) -> None:
    async def sign_in(authorization: Annotated[str, Header()]) -> None:
        current = context.current()
        assert current is not None
        current.principal = authorization

    may_go_on = asyncio.Event()

    @service.router.get("/a", dependencies=[Depends(sign_in)])
    @cached(60)
    async def get() -> str:
        await may_go_on.wait()
        current = context.current()
        assert current is not None
        return str(current.principal)

    async with service.client() as client, asyncio.TaskGroup() as group:
        asked = [group.create_task(client.get("/a", headers=who)) for who in (ANN, BOB)]
        for _ in range(50):
            await asyncio.sleep(0)
        may_go_on.set()
        names = [(await one).json() for one in asked]

    assert names == ["Bearer ann", "Bearer bob"]


async def test_2_5_events_are_sent_as_they_come(service: Service) -> None:
    may_go_on = asyncio.Event()
    sent: list[bytes] = []

    @service.router.get("/events")
    @cached(60)
    async def get() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            await may_go_on.wait()
            yield b"data: 2\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    app = serve(service.cache, service.router)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_watched(message: Any) -> None:
            if message.get("body"):
                sent.append(message["body"])
                may_go_on.set()
            await send(message)

        await app(scope, receive, send_watched if scope["type"] == "http" else send)

    async with running(watched) as client, asyncio.timeout(5):
        await client.get("/events")

    assert sent == [b"data: 1\n\n", b"data: 2\n\n"]


async def test_2_5_api_keys_do_not_share(cache: Decorator, service: Service) -> None:
    @service.router.get("/a")
    @cache(60)
    async def get(x_api_key: Annotated[str, Header()]) -> str:
        return x_api_key

    async with service.client() as client:
        seen = [(await client.get("/a", headers={"X-API-Key": key})).json() for key in "aba"]

    assert seen == ["a", "b", "a"]


async def test_2_5_codings_that_a_client_refuses_are_not_sent(service: Service) -> None:
    @service.router.get("/a")
    @cached(60)
    async def get() -> str:
        return "a" * 5_000

    async with service.client() as client:
        packed = await client.get("/a", headers={"Accept-Encoding": "gzip"})
        refused = await client.get("/a", headers={"Accept-Encoding": "gzip;q=0"})

    assert (packed.headers["content-encoding"], "content-encoding" in refused.headers) == (
        "gzip",
        False,
    )
    assert packed.headers["etag"] != refused.headers["etag"]


async def test_the_snippet_of_code_for_fastapi_cache2_runs_as_it_is_written(
    service: Service,
) -> None:
    @service.router.get("/users/{user_id}")
    @stock_cache(expire=300)  # 5-minute cache
    async def get_user(user_id: int) -> dict[str, int]:
        return {"id": user_id, "run": service.run()}

    async with service.client() as client:
        answers = [await client.get("/users/7") for _ in range(2)]

    assert [answer.json() for answer in answers] == [{"id": 7, "run": 1}] * 2
    assert answers[1].headers["x-fastapi-cache"] == "HIT"


def test_the_key_builder_can_be_given_by_hand() -> None:
    key = make_key(_return_number, "api:users", args=(1,), kwargs={})

    assert key.startswith("api:users:")
    assert json.dumps(key)
