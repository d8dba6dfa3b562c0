"""Defects that were found in slowapi and fastapi-limiter: here none may be.

The number of each stands in its name. `benchmarks/peers/limits_defects` shows each of them where it
is.
"""

import asyncio
import inspect
import json
import re
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251 -- what must not be there
from starlette.requests import Request
from starlette.types import Message, Scope

from fastapi_baseline import context
from fastapi_baseline.errors import (
    ConfigurationError,
    ConflictError,
    UnauthenticatedError,
    UnavailableError,
)
from fastapi_baseline.middleware import make_exception_handlers
from fastapi_baseline.middleware.request_context import RequestContextMiddleware
from fastapi_baseline.rate_limiting import (
    Decision,
    Limiter,
    RateLimitMiddleware,
    RateLimitStore,
    application,
    get_client_address,
    make_rate_limits,
)
from fastapi_baseline.rate_limiting.redis import RedisRateLimitStore
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, create_redis
from fastapi_baseline.settings import RateLimitSettings
from fastapi_baseline.testing import ManualClock

DEADLINE = timedelta(milliseconds=50)


class Service:
    """An application with limits, and clients for it."""

    def __init__(
        self, app: FastAPI | None = None, *, shared: RateLimitStore | None = None, **settings: Any
    ) -> None:
        self.app = app or FastAPI()
        self.clock = ManualClock()
        self.decisions: list[Decision] = []
        self.limits = make_rate_limits(
            RateLimitSettings(**settings),
            shared=shared,
            clock=self.clock,
            on_decision=self.decisions.append,
        )
        layer = self.limits.layer(exempt_paths=["/livez"])
        self.app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
        self.app.add_middleware(RequestContextMiddleware)
        handlers: dict[Any, Any] = {**make_exception_handlers(validation_status=422)}
        self.app.exception_handlers |= handlers

    def client(self, address: str = "192.0.2.1") -> AsyncClient:
        transport = ASGITransport(app=self.app, client=(address, 1), raise_app_exceptions=False)
        return AsyncClient(transport=transport, base_url="http://test")

    async def get(self, path: str, *, address: str = "192.0.2.1", **options: Any) -> Response:
        async with self.client(address) as client:
            return await client.get(path, **options)

    async def statuses(self, *paths: str, **options: Any) -> list[int]:
        return [(await self.get(path, **options)).status_code for path in paths]


def service_with(limiter: Limiter | None = None, **settings: Any) -> Service:
    service = Service(**settings)
    if limiter is not None:
        service.app.state.limiter = limiter
    return service


@asynccontextmanager
async def store_at(url: str, *, deadline: timedelta = DEADLINE) -> AsyncGenerator[RateLimitStore]:
    async with create_redis(url) as client:
        guard = GuardedRedis(client, deadline=deadline, breaker=CircuitBreaker())
        yield RedisRateLimitStore(guard)


async def test_s1_routes_of_included_routers_are_limited() -> None:
    service = service_with(Limiter(default_limits=["5/minute"]))
    inner, outer = APIRouter(), APIRouter(prefix="/outer")
    inner.get("/inner")(make_handler())
    outer.include_router(inner)
    service.app.include_router(outer)

    statuses = await service.statuses(*["/outer/inner"] * 7)

    assert statuses == [200] * 5 + [429] * 2


async def test_s2_a_redis_that_hangs_does_not_stop_the_loop() -> None:
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            gaps.append(time.perf_counter() - before)

    with socket.create_server(("127.0.0.1", 0), backlog=16) as hanging:
        async with store_at(url_of(hanging)) as store:
            service = Service(shared=store, default=("100/minute",))
            service.app.get("/")(make_handler())
            watching = asyncio.ensure_future(watch())
            started = time.perf_counter()

            response = await service.get("/")

            took = time.perf_counter() - started
            watching.cancel()

    assert response.status_code == 200
    assert service.decisions[-1].source == "local"
    # Generous: what is guarded against takes a minute.
    assert max(gaps) < 1
    assert took < 5


async def test_s3_a_redis_that_is_down_makes_no_errors() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = url_of(server)
    async with store_at(url) as store:
        service = Service(shared=store, default=("2/minute",))
        service.app.get("/")(make_handler())

        statuses = await service.statuses("/", "/", "/")

    assert statuses == [200, 200, 429]
    assert {decision.source for decision in service.decisions} == {"local"}


async def test_s4_a_redis_that_goes_down_within_a_request_makes_no_error() -> None:
    class FailsOnce:
        """A store that is away from the second question on."""

        def __init__(self) -> None:
            self.asked = 0

        async def acquire(self, demands: Sequence[Any]) -> Decision:
            self.asked += 1
            raise UnavailableStoreError

    store: Any = FailsOnce()
    service = Service(shared=store, per_address=("100/minute",), default=("100/minute",))
    service.app.get("/")(make_handler())

    response = await service.get("/")

    assert (response.status_code, store.asked) == (200, 2)
    assert "RateLimit" in response.headers


async def test_s5_a_stream_begins_once_and_passes_unchanged() -> None:
    service = service_with(Limiter(default_limits=["100/minute"]))

    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    @service.app.get("/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await service.app(http_scope("/"), receive_nothing, send)

    kinds = [message["type"] for message in messages]
    assert kinds == ["http.response.start", *["http.response.body"] * 4]
    assert [message.get("body") for message in messages[1:4]] == [b"0", b"1", b"2"]


def test_s6_no_layer_is_a_base_http_middleware() -> None:
    assert not issubclass(RateLimitMiddleware, BaseHTTPMiddleware)


async def test_s7_a_limit_costs_the_same_however_many_routes_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = service_with(Limiter(default_limits=["1000/minute"]))
    for number in range(300):
        service.app.get(f"/{number}")(make_handler())
    await service.get("/0")
    looked: list[object] = []
    monkeypatch.setattr(application, "endpoints_of", looked.append)

    response = await service.get("/299")

    assert response.headers["RateLimit"] == '"default";r=999;t=1'
    assert looked == []


@pytest.mark.parametrize("path", ["/nowhere", "/files/a.txt", "/mounted/x", "/docs", "/exempt"])
async def test_s8_what_no_route_answers_is_limited(path: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    limiter = Limiter()
    service = service_with(limiter, per_address=("2/minute",))
    service.app.mount("/files", StaticFiles(directory=tmp_path))
    service.app.mount("/mounted", PlainTextResponse("mounted"))
    service.app.get("/exempt")(limiter.exempt(make_handler()))

    *before, last = await service.statuses(path, path, path)

    assert 429 not in before
    assert last == 429


async def test_s8_methods_that_are_not_allowed_are_limited() -> None:
    service = service_with(per_address=("2/minute",))
    service.app.get("/")(make_handler())

    async with service.client() as client:
        statuses = [(await client.delete("/")).status_code for _ in range(3)]

    assert statuses == [405, 405, 429]


@pytest.mark.parametrize("headers", ["draft", "legacy"])
async def test_s9_a_handler_needs_no_request_and_no_response(headers: str) -> None:
    limiter = Limiter(headers_enabled=True)
    service = service_with(limiter, headers=headers)

    async def plain() -> int:
        return 1

    def threaded() -> int:
        return 1

    for function in (plain, threaded):
        assert limiter.limit("1/minute")(function) is function
        service.app.get(f"/{function.__name__}")(function)

    assert await service.statuses("/plain", "/plain") == [200, 429]
    assert await service.statuses("/threaded", "/threaded") == [200, 429]
    assert inspect.signature(plain) == inspect.Signature(return_annotation=int)


async def test_s10_handlers_of_one_factory_count_for_themselves() -> None:
    limiter = Limiter()
    service = service_with(limiter)

    def make(path: str) -> None:
        @service.app.get(path)
        @limiter.limit("4/minute")
        async def made() -> str:
            return path

    for path in ("/a", "/b", "/c", "/d"):
        make(path)

    assert await service.statuses(*["/a"] * 5) == [200] * 4 + [429]
    assert await service.statuses(*["/b"] * 5) == [200] * 4 + [429]


async def test_s10_to_exempt_one_of_them_does_not_exempt_the_others() -> None:
    limiter = Limiter(default_limits=["1/minute"])
    service = service_with(limiter)

    def make() -> Callable[..., Any]:
        async def made() -> str:
            return "made"

        return made

    service.app.get("/free")(limiter.exempt(make()))
    service.app.get("/limited")(make())

    assert await service.statuses("/free", "/free") == [200, 200]
    assert await service.statuses("/limited", "/limited") == [200, 429]


async def test_s11_values_in_the_path_share_the_counter_of_their_route() -> None:
    service = service_with(Limiter(default_limits=["2/minute"]))

    @service.app.get("/users/{user_id}")
    async def get_user(user_id: int) -> int:
        return user_id

    @service.app.get("/orders/{order_id}")
    async def get_order(order_id: int) -> int:
        return order_id

    statuses = await service.statuses("/users/1", "/users/2", "/users/3", "/orders/1")

    assert statuses == [200, 200, 429, 200]


@pytest.mark.parametrize("included", [False, True])
async def test_s12_a_websocket_can_be_limited(included: bool) -> None:
    limiter = Limiter()
    service = service_with(limiter)
    router = APIRouter()

    @router.websocket("/ws")
    @limiter.limit("1/minute")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    if included:
        service.app.include_router(router)
    else:
        service.app.router.routes.extend(router.routes)

    first = await handshake(service.app)
    second = await handshake(service.app)
    without_extension = await handshake(service.app, can_respond=False)

    assert first[0]["type"] == "websocket.accept"
    assert second[0]["type"] == "websocket.http.response.start"
    assert second[0]["status"] == 429
    assert dict(second[0]["headers"])[b"retry-after"] == b"60"
    assert without_extension == [{"type": "websocket.close", "code": 1013, "reason": ""}]


async def test_s13_a_request_that_is_not_checked_is_answered() -> None:
    unchecked = Limiter(auto_check=False, headers_enabled=True)
    filtered = Limiter(default_limits=["1/minute"], headers_enabled=True)
    filtered._request_filters.append(lambda: True)  # pyright: ignore[reportPrivateUsage]
    statuses: list[int] = []

    for limiter in (unchecked, filtered):
        service = service_with(limiter)

        async def limited() -> str:
            return "done"

        service.app.get("/")(limiter.limit("1/minute")(limited))
        statuses += await service.statuses("/", "/")

    assert statuses == [200] * 4


async def test_s14_a_request_that_is_refused_uses_up_no_other_limit() -> None:
    limiter = Limiter()
    service = service_with(limiter)
    service.app.get("/")(limiter.limit("100/hour;1/minute")(make_handler()))

    responses = [await service.get("/") for _ in range(20)]
    service.clock.advance(timedelta(minutes=1))
    last = await service.get("/")

    assert [one.status_code for one in responses] == [200] + [429] * 19
    assert '"100-per-hour";r=99' in responses[0].headers["RateLimit"]
    # One a minute ago, and this one; 100 in an hour give back one in 36 seconds.
    assert '"100-per-hour";r=99' in last.headers["RateLimit"]


async def test_s15_retry_after_is_sent_only_with_a_refusal() -> None:
    service = service_with(Limiter(default_limits=["1/minute"]), headers="both")
    service.app.get("/")(make_handler())

    allowed, refused = await service.get("/"), await service.get("/")

    assert "Retry-After" not in allowed.headers
    assert refused.headers["Retry-After"] == "60"


async def test_s15_times_are_whole_seconds() -> None:
    limiter = Limiter(default_limits=["3/minute"], headers_enabled=True, retry_after="http-date")
    service = service_with(limiter)
    service.app.get("/")(make_handler())
    service.clock.advance(timedelta(seconds=0.3))

    await service.get("/")
    service.clock.advance(timedelta(seconds=0.3))
    response = await service.get("/")

    reset = response.headers["X-RateLimit-Reset"]
    assert int(reset) == int(service.clock.now().timestamp()) + 41
    assert response.headers["RateLimit"] == '"default";r=1;t=40'


async def test_s15_an_error_has_the_headers_of_any_other_answer() -> None:
    service = service_with(Limiter(default_limits=["10/minute"]))

    @service.app.get("/error")
    async def fail() -> None:
        raise ConflictError

    response = await service.get("/error")

    assert response.status_code == 409
    assert response.headers["RateLimit"] == '"default";r=9;t=6'


async def test_s15_no_header_is_sent_twice() -> None:
    limiter = Limiter(
        default_limits=["10/minute"], application_limits=["10/minute"], headers_enabled=True
    )
    service = service_with(limiter, per_address=("10/minute",))
    limit = limiter.limit("10/minute", override_defaults=False)
    service.app.get("/")(limit(make_handler()))

    response = await service.get("/")

    names = [name for name, _ in response.headers.multi_items()]
    assert len(names) == len(set(names))
    policies = re.findall(r'"([^"]*)"', response.headers["RateLimit-Policy"])
    assert policies == ["address", "10-per-minute", "default", "application"]
    assert response.headers["X-RateLimit-Remaining"] == "9"


async def test_s15_the_fields_are_those_of_the_draft() -> None:
    limiter = Limiter()
    service = service_with(limiter)
    service.app.get("/")(limiter.limit("50/minute;1000/hour", name="reads")(make_handler()))

    response = await service.get("/")

    policy = '"reads-minute";q=50;w=60, "reads-hour";q=1000;w=3600'
    assert response.headers["RateLimit-Policy"] == policy
    assert response.headers["RateLimit"] == '"reads-minute";r=49;t=2, "reads-hour";r=999;t=4'
    assert not any(name.startswith("x-ratelimit") for name in response.headers)


async def test_s15_a_refusal_is_a_problem_that_names_the_violated_policies() -> None:
    limiter = Limiter()
    service = service_with(limiter)
    service.app.get("/")(limiter.limit("1000/hour;1/minute")(make_handler()))

    await service.get("/")
    response = await service.get("/")

    problem = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert problem["violated-policies"] == ["1-per-minute"]
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert (problem["status"], problem["code"]) == (429, "quota_exceeded")
    assert response.headers["RateLimit"] == '"1-per-minute";r=0;t=60'


@pytest.mark.counts_commands
async def test_s16_a_request_with_headers_takes_one_round_trip(redis_url: str) -> None:
    limiter = Limiter()
    async with (
        create_redis(redis_url) as observer,
        store_at(redis_url, deadline=timedelta(seconds=5)) as store,
    ):
        service = Service(shared=store, headers="both")
        service.app.state.limiter = limiter
        service.app.get("/")(limiter.limit("100/hour;10/minute")(make_handler()))
        await service.get("/")
        before = await count_scripts(observer)

        response = await service.get("/")

        asked = await count_scripts(observer) - before
    assert response.headers["RateLimit"].count(";r=") == 2
    assert asked == 1
    assert service.decisions[-1].source == "redis"


def test_s17_the_options_of_one_limiter_do_not_reach_the_next() -> None:
    options = {"socket_timeout": "1"}

    Limiter(storage_options=options)
    second = Limiter()

    assert options == {"socket_timeout": "1"}
    assert second._storage_options == {}  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X_FORWARDED_FOR", "Forwarded"])
async def test_s18_a_client_cannot_choose_its_address(header: str) -> None:
    service = service_with(Limiter(get_client_address, default_limits=["1/minute"]))
    service.app.get("/")(make_handler())

    first = await service.get("/", headers={header: "198.51.100.1"})
    second = await service.get("/", headers={header: "198.51.100.2"})

    assert (first.status_code, second.status_code) == (200, 429)


async def test_s18_callers_without_an_address_are_not_taken_for_a_local_one() -> None:
    service = service_with(Limiter(get_client_address, default_limits=["1/minute"]))
    service.app.get("/")(make_handler())
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for client in (None, None, ("127.0.0.1", 1)):
        await service.app({**http_scope("/"), "client": client}, receive_nothing, send)

    assert statuses == [200, 429, 200]


async def test_s19_a_key_and_a_plan_may_be_looked_up_without_blocking() -> None:
    async def find_account(request: Request) -> str:
        await asyncio.sleep(0)
        return request.headers["account"]

    async def find_plan(request: Request) -> str | None:
        await asyncio.sleep(0)
        return {"small": "1/minute", "large": "2/minute"}.get(request.headers["account"])

    async def find_cost(request: Request) -> int:
        await asyncio.sleep(0)
        return int(request.headers.get("cost", "1"))

    limiter = Limiter(find_account)
    service = service_with(limiter)
    service.app.get("/")(limiter.limit(find_plan, cost=find_cost)(make_handler()))

    async def ask(account: str, cost: int = 1) -> int:
        headers = {"account": account, "cost": str(cost)}
        return (await service.get("/", headers=headers)).status_code

    assert [await ask("small"), await ask("small")] == [200, 429]
    assert [await ask("large", 2), await ask("large")] == [200, 429]
    assert [await ask("unlimited") for _ in range(5)] == [200] * 5


async def test_s19_what_a_plan_is_asked_about_belongs_to_one_request() -> None:
    arrived = asyncio.Event()

    async def find_plan(key: str) -> str:
        if key == "slow":
            await arrived.wait()
        else:
            arrived.set()
        return "1/minute" if key == "slow" else "100/minute"

    def find_account(request: Request) -> str:
        return request.headers["account"]

    limiter = Limiter(find_account)
    service = service_with(limiter)
    service.app.get("/")(limiter.limit(find_plan)(make_handler()))

    slow, fast = await asyncio.gather(
        service.get("/", headers={"account": "slow"}),
        service.get("/", headers={"account": "fast"}),
    )

    assert slow.headers["RateLimit"] == '"1-per-minute";r=0;t=60'
    assert fast.headers["RateLimit"] == '"100-per-minute";r=99;t=1'


async def test_s20_nothing_is_read_from_files_or_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("RATELIMIT_ENABLED=false\nRATELIMIT_DEFAULT=1/day\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATELIMIT_ENABLED", "false")
    monkeypatch.setenv("RATELIMIT_HEADERS_ENABLED", "true")
    monkeypatch.setenv("RATELIMIT_STORAGE_URL", "redis://nowhere")

    limiter = Limiter(default_limits=["2/minute"])
    service = service_with(limiter)
    service.app.get("/")(make_handler())

    assert await service.statuses("/", "/", "/") == [200, 200, 429]
    assert "X-RateLimit-Limit" not in (await service.get("/")).headers


@pytest.mark.parametrize("text", ["many", "5/fortnight", "", "5"])
def test_s20_a_limit_that_is_none_is_refused_where_it_is_declared(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Limiter(default_limits=[text])
    with pytest.raises(ConfigurationError):
        Limiter().limit(text)


async def test_s21_a_limit_can_be_tried_out_and_observed() -> None:
    limiter = Limiter()
    service = service_with(limiter)
    service.app.get("/")(limiter.limit("1/minute", shadow=True)(make_handler()))

    responses = [await service.get("/") for _ in range(3)]

    assert [one.status_code for one in responses] == [200] * 3
    assert "RateLimit" not in responses[0].headers
    assert [len(decision.shadowed) for decision in service.decisions] == [0, 1, 1]


async def test_s21_a_router_can_be_limited() -> None:
    limiter = Limiter()
    service = service_with(limiter)
    router = APIRouter(dependencies=[Depends(limiter.require("1/minute"))])
    router.get("/a")(make_handler())
    router.get("/b")(make_handler())
    service.app.include_router(router)

    assert await service.statuses("/a", "/a", "/b", "/b") == [200, 429, 200, 429]


async def test_s21_what_was_taken_can_be_given_back_or_taken_later() -> None:
    limiter = Limiter()
    service = service_with(limiter)

    @service.app.get("/refund")
    @limiter.limit("1/minute")
    async def give_back(request: Request) -> None:
        await limiter.refund(request)

    @service.app.get("/charge")
    @limiter.limit("10/minute")
    async def take_more(request: Request) -> None:
        await limiter.charge(request, 20)

    assert await service.statuses("/refund", "/refund", "/refund") == [200] * 3
    assert await service.statuses("/charge", "/charge") == [200, 429]


async def test_s21_failures_need_not_count() -> None:
    limiter = Limiter()
    service = service_with(limiter)

    @service.app.get("/{status}")
    @limiter.limit("1/minute", count_if=lambda status: status >= 400)
    async def sign_in(status: int) -> PlainTextResponse:
        return PlainTextResponse("", status_code=status)

    assert await service.statuses("/200", "/200", "/401", "/200") == [200, 200, 401, 429]


async def test_2_3_one_caller_cannot_use_up_the_limit_of_another() -> None:
    service = service_with(Limiter(default_limits=["2/minute"]))
    service.app.get("/")(make_handler())

    first = await service.statuses("/", "/", "/", address="192.0.2.1")
    second = await service.statuses("/", "/", "/", address="192.0.2.2")

    assert first == second == [200, 200, 429]


async def test_2_3_an_included_router_makes_no_errors_on_limited_routes() -> None:
    limiter = Limiter()
    service = service_with(limiter)
    router = APIRouter(prefix="/v1")
    required = Depends(limiter.require("1/minute"))
    router.get("/items/{item_id}", dependencies=[required])(make_handler())
    service.app.include_router(router)
    service.app.get("/direct", dependencies=[required])(make_handler())

    assert await service.statuses("/v1/items/1", "/v1/items/2") == [200, 429]
    assert await service.statuses("/direct", "/direct") == [200, 429]


async def test_limits_come_after_authentication() -> None:
    limiter = Limiter()
    service = service_with(limiter)

    async def get_user(authorization: Annotated[str | None, Header()] = None) -> str:
        if authorization is None:
            raise UnauthenticatedError(challenge="Bearer")
        current = context.current()
        assert current is not None
        current.principal = authorization
        return authorization

    @service.app.get("/", dependencies=[Depends(get_user)])
    @limiter.limit("1/minute")
    async def show() -> str:
        return "shown"

    async def ask(user: str | None) -> int:
        headers = {"Authorization": user} if user else {}
        return (await service.get("/", headers=headers)).status_code

    assert [await ask(None) for _ in range(3)] == [401] * 3
    assert [await ask("ann"), await ask("ann"), await ask("bob")] == [200, 429, 200]


class UnavailableStoreError(UnavailableError):
    """Stands for an error of Redis."""


def make_handler() -> Callable[..., Any]:
    async def made() -> str:
        return "done"

    return made


def url_of(server: socket.socket) -> str:
    return f"redis://127.0.0.1:{server.getsockname()[1]}/0"


async def count_scripts(client: Any) -> int:
    info: Mapping[str, Any] = await client.info("commandstats")
    return sum(info[name]["calls"] for name in ("cmdstat_evalsha", "cmdstat_eval") if name in info)


def http_scope(path: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [],
        "client": ("192.0.2.1", 1),
        "server": ("test", 80),
    }


async def receive_nothing() -> Message:
    return await asyncio.Future[Message]()


async def handshake(app: FastAPI, *, can_respond: bool = True) -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope: Scope = {
        **http_scope("/ws"),
        "type": "websocket",
        "scheme": "ws",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}} if can_respond else {},
    }
    del scope["method"]
    await app(scope, receive, send)
    for message in messages:
        if message.get("body"):
            assert json.loads(message["body"])["code"] == "quota_exceeded"
    return messages
