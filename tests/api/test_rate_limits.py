import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, cast

import pytest
import slowapi
from fastapi import APIRouter, Depends, FastAPI, Header
from fastapi.responses import JSONResponse, PlainTextResponse
from httpx2 import ASGITransport, AsyncClient, Response
from pydantic import SecretStr
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware, SlowAPIMiddleware
from slowapi.util import get_remote_address
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route

from fastapi_baseline import Settings, context, create_app, install
from fastapi_baseline.errors import UnauthenticatedError
from fastapi_baseline.rate_limiting import Decision, Limiter, RateLimiter, get_client_address
from fastapi_baseline.settings import RateLimitSettings, RedisSettings
from fastapi_baseline.testing import LifespanFailedError, running

# What slowapi's documentation registers; it is private, and everybody imports it.
slowapi_handler: Any = vars(slowapi)["_rate_limit_exceeded_handler"]


def settings_with(**limits: Any) -> Settings:
    return Settings(environment="test", rate_limits=RateLimitSettings(**limits))


async def statuses(client: AsyncClient, *paths: str, **options: Any) -> list[int]:
    return [(await client.get(path, **options)).status_code for path in paths]


def make_handler(name: str = "handler") -> Callable[..., Any]:
    async def made() -> str:
        return name

    made.__name__ = made.__qualname__ = name
    return made


async def test_the_snippet_of_the_plan_runs_as_written() -> None:
    app = create_app(settings_with())
    limiter = Limiter(key_func=get_remote_address)
    app.state.limiter = limiter

    @app.get("/api/v1/users")
    @limiter.limit("3/minute")
    async def get_users() -> None:
        pass

    async with running(app) as client:
        seen = await statuses(client, *["/api/v1/users"] * 4)

    assert seen == [200, 200, 200, 429]
    assert isinstance(limiter, slowapi.Limiter)
    assert Limiter is RateLimiter


class TestStockLimiter:
    """What was written for slowapi, and knows nothing of ours."""

    def make(self, app: FastAPI) -> Any:
        limiter: Any = slowapi.Limiter(
            key_func=get_remote_address,
            default_limits=["5/minute"],
            application_limits=["20/minute"],
            headers_enabled=True,
        )
        app.state.limiter = limiter
        app.add_exception_handler(RateLimitExceeded, slowapi_handler)

        @app.get("/limited")
        @limiter.limit("2/minute")
        async def limited(request: Request) -> JSONResponse:
            return JSONResponse({})

        @app.get("/dynamic")
        @limiter.limit(lambda: "1/minute")
        async def dynamic(request: Request) -> JSONResponse:
            return JSONResponse({})

        @app.get("/shared/a")
        @limiter.shared_limit("1/minute", scope="both")
        async def shared_a(request: Request) -> JSONResponse:
            return JSONResponse({})

        @app.get("/shared/b")
        @limiter.shared_limit("1/minute", scope="both")
        async def shared_b(request: Request) -> JSONResponse:
            return JSONResponse({})

        @app.get("/exempt")
        @limiter.exempt
        async def exempt() -> None:
            pass

        app.include_router(self._router())
        return limiter

    def _router(self) -> APIRouter:
        router = APIRouter(prefix="/included")

        @router.get("/default")
        async def default() -> None:
            pass

        return router

    @pytest.mark.parametrize("layer", [None, SlowAPIMiddleware, SlowAPIASGIMiddleware])
    @pytest.mark.parametrize("kind", ["created", "installed"])
    async def test_its_limits_hold_and_its_engine_does_not_run(
        self,
        kind: str,
        layer: Any,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        asked: list[str] = []

        def check(*_: object) -> None:
            asked.append("asked")

        monkeypatch.setattr(slowapi.Limiter, "_check_request_limit", check)
        app = create_app(settings_with()) if kind == "created" else FastAPI()
        limiter = self.make(app)
        if layer is not None:
            app.add_middleware(layer)
        served = install(app, settings_with()) if kind == "installed" else app

        async with running(served) as client:
            seen = {
                path: await statuses(client, path, path, path)
                for path in ("/limited", "/dynamic", "/exempt")
            }
            shared = await statuses(client, "/shared/a", "/shared/b")
            included = await statuses(client, *["/included/default"] * 6)
            refused = await client.get("/limited")

        assert seen == {
            "/limited": [200, 200, 429],
            "/dynamic": [200, 429, 429],
            "/exempt": [200, 200, 200],
        }
        assert shared == [200, 429]
        assert included == [200] * 5 + [429]
        assert refused.json()["code"] == "quota_exceeded"
        assert refused.headers["X-RateLimit-Limit"] == "2"
        assert asked == []
        assert limiter.enabled is False
        assert not [one for one in caplog.records if one.levelno >= logging.ERROR]

    async def test_one_that_is_switched_off_limits_nothing(self) -> None:
        app = create_app(settings_with())
        self.make(app).enabled = False

        async with running(app) as client:
            seen = await statuses(client, *["/limited"] * 3)

        assert seen == [200] * 3

    async def test_routes_of_one_factory_have_its_limit_each(self) -> None:
        app = create_app(settings_with())
        limiter: Any = slowapi.Limiter(key_func=get_remote_address)
        app.state.limiter = limiter

        def make(path: str) -> None:
            @app.get(path)
            @limiter.limit("2/minute")
            async def made(request: Request) -> str:
                return path

        for path in ("/a", "/b"):
            make(path)

        async with running(app) as client:
            first = await statuses(client, "/a", "/a", "/a")
            second = await statuses(client, "/b", "/b", "/b")

        assert first == second == [200, 200, 429]


async def test_a_handler_of_the_service_stays_and_knows_the_limit() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    seen: list[Any] = []

    async def respond(request: Request, error: Exception) -> PlainTextResponse:
        seen.extend([request.state.view_rate_limit[0], cast("Any", error).detail])
        return PlainTextResponse("mine", status_code=429)

    app.add_exception_handler(RateLimitExceeded, respond)
    app.get("/")(limiter.limit("1/minute")(make_handler()))

    async with running(app) as client:
        await client.get("/")
        response = await client.get("/")

    assert response.text == "mine"
    assert response.headers["Retry-After"]
    assert [str(one) for one in seen] == ["1 per 1 minute"] * 2


async def test_an_error_can_be_caught_as_that_of_slowapi() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    required = limiter.require("1/minute")

    @app.get("/")
    async def show(request: Request) -> str:
        try:
            await required(request)
        except RateLimitExceeded as error:
            return f"{error.status_code}: {error.detail}"
        return "shown"

    async with running(app) as client:
        answers = [(await client.get("/")).json() for _ in range(2)]

    assert answers == ["shown", "429: 1 per 1 minute"]


async def test_a_message_of_the_service_is_shown() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    limit = limiter.limit("1/minute", error_message="One cup a minute.")
    app.get("/")(limit(make_handler()))

    async with running(app) as client:
        await client.get("/")
        response = await client.get("/")

    assert response.json()["detail"] == "One cup a minute."


async def test_an_installed_application_has_its_limits() -> None:
    app = FastAPI()
    limiter = app.state.limiter = Limiter(default_limits=["1/minute"])
    router = APIRouter()
    router.get("/before")(make_handler())
    app.include_router(router)
    served = install(app, settings_with())
    app.get("/after")(limiter.limit("2/minute")(make_handler()))

    async with running(served) as client:
        before = await statuses(client, "/before", "/before")
        after = await statuses(client, "/after", "/after", "/after")

    assert (before, after) == ([200, 429], [200, 200, 429])


async def test_limits_hold_without_a_lifespan() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    app.get("/")(limiter.limit("1/minute")(make_handler()))

    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        seen = await statuses(client, "/", "/")

    assert seen == [200, 429]


async def test_the_settings_alone_limit_routes_and_addresses() -> None:
    app = create_app(settings_with(default=("2/minute",), per_address=("4/minute",)))
    app.get("/a")(make_handler())
    app.get("/b")(make_handler())

    async with running(app) as client:
        seen = await statuses(client, "/a", "/a", "/a", "/b", "/b")

    assert seen == [200, 200, 429, 200, 429]


async def test_requests_with_an_api_key_are_limited_by_it() -> None:
    app = create_app(settings_with(per_api_key=("1/minute",)))
    app.get("/")(make_handler())

    async with running(app) as client:
        seen = [
            *await statuses(client, "/", "/", headers={"X-API-Key": "a"}),
            *await statuses(client, "/", headers={"X-API-Key": "b"}),
            *await statuses(client, "/", "/"),
        ]

    assert seen == [200, 429, 200, 200, 200]


async def test_probes_are_not_limited() -> None:
    app = create_app(settings_with(per_address=("1/minute",)))

    async with running(app) as client:
        seen = await statuses(client, *["/livez"] * 3)

    assert seen == [200] * 3


async def test_limits_can_be_switched_off() -> None:
    app = create_app(settings_with(enabled=False, per_address=("1/minute",)))
    limiter = app.state.limiter = Limiter(default_limits=["1/minute"])
    required = [Depends(limiter.require("1/minute"))]
    app.get("/", dependencies=required)(limiter.limit("1/minute")(make_handler()))

    async with running(app) as client:
        responses = [await client.get("/") for _ in range(3)]

    assert [one.status_code for one in responses] == [200] * 3
    assert "RateLimit" not in responses[-1].headers


async def test_a_service_in_shadow_mode_refuses_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_app(settings_with(shadow=True, per_address=("1/minute",)), configure_logging=False)
    limiter = app.state.limiter = Limiter()
    app.get("/")(limiter.limit("1/minute", shadow=False)(make_handler()))

    with caplog.at_level(logging.INFO):
        async with running(app) as client:
            seen = await statuses(client, "/", "/")

    lines = [getattr(record, "fields", {}) for record in caplog.records]
    outcomes = [fields.get("rate_limit") for fields in lines if fields.get("path") == "/"]
    assert seen == [200, 200]
    assert outcomes == [None, "shadow"]


async def test_shared_limits_count_several_routes_together() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    shared = limiter.shared_limit("2/minute", scope="reports")
    app.get("/a")(shared(make_handler("a")))
    app.get("/b")(shared(make_handler("b")))

    async with running(app) as client:
        responses = [await client.get(path) for path in ("/a", "/b", "/a")]

    assert [one.status_code for one in responses] == [200, 200, 429]
    assert responses[0].headers["RateLimit-Policy"] == '"reports";q=2;w=60'


async def test_a_shared_limit_may_be_told_by_the_request_what_it_is_of() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()

    def find_tenant(request: Request) -> str:
        return request.headers["tenant"]

    shared = limiter.shared_limit("1/minute", scope=find_tenant)
    app.get("/a")(shared(make_handler("a")))
    app.get("/b")(shared(make_handler("b")))

    async with running(app) as client:
        first = await statuses(client, "/a", "/b", headers={"tenant": "x"})
        second = await statuses(client, "/b", headers={"tenant": "y"})

    assert (first, second) == ([200, 429], [200])


async def test_limits_of_the_application_count_all_routes_together() -> None:
    app = create_app(settings_with())
    app.state.limiter = Limiter(application_limits=["3/minute"], default_limits=["2/minute"])
    app.get("/a")(make_handler())
    app.get("/b")(make_handler())

    async with running(app) as client:
        seen = await statuses(client, "/a", "/a", "/b", "/b")

    assert seen == [200, 200, 200, 429]


async def test_a_limit_may_be_besides_the_defaults() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter(default_limits=["1/minute"])
    both = limiter.limit("5/minute", override_defaults=False)
    app.get("/both")(both(make_handler("both")))
    app.get("/own")(limiter.limit("2/minute")(make_handler("own")))

    async with running(app) as client:
        assert await statuses(client, "/both", "/both") == [200, 429]
        assert await statuses(client, "/own", "/own", "/own") == [200, 200, 429]


async def test_methods_may_be_limited_by_themselves() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    route = app.api_route("/each", methods=["GET", "POST"])
    route(limiter.limit("1/minute", per_method=True)(make_handler("each")))
    route = app.api_route("/posts", methods=["GET", "POST"])
    route(limiter.limit("1/minute", methods=["post"])(make_handler("posts")))

    async with running(app) as client:
        each = [(await client.request(method, "/each")).status_code for method in ("GET", "POST")]
        reads = await statuses(client, "/posts", "/posts")
        posts = [(await client.post("/posts")).status_code for _ in range(2)]

    assert (each, reads, posts) == ([200, 200], [200, 200], [200, 429])


async def test_some_requests_may_be_exempt() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()

    async def is_internal(request: Request) -> bool:
        return "internal" in request.headers

    app.get("/")(limiter.limit("1/minute", exempt_when=is_internal)(make_handler("a")))
    app.get("/never")(limiter.limit("1/minute", exempt_when=lambda: True)(make_handler("b")))

    async with running(app) as client:
        internal = await statuses(client, "/", "/", headers={"internal": "1"})
        external = await statuses(client, "/", "/")
        never = await statuses(client, "/never", "/never")

    assert (internal, external, never) == ([200, 200], [200, 429], [200, 200])


async def test_a_burst_may_be_less_or_more_than_the_quota() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    app.get("/less")(limiter.limit("60/minute", burst=1)(make_handler("less")))
    app.get("/more")(limiter.limit("1/minute", burst=3)(make_handler("more")))

    async with running(app) as client:
        assert await statuses(client, "/less", "/less") == [200, 429]
        assert await statuses(client, *["/more"] * 4) == [200, 200, 200, 429]


async def test_a_limiter_may_be_told_who_is_asking_by_a_dependency() -> None:
    async def get_user(authorization: Annotated[str | None, Header()] = None) -> str:
        if authorization is None:
            raise UnauthenticatedError(challenge="Bearer")
        return authorization

    app = create_app(settings_with())
    limiter = app.state.limiter = RateLimiter(caller=get_user, default_limits=["1/minute"])
    app.get("/")(make_handler())
    app.get("/required", dependencies=[Depends(limiter.require("1/hour"))])(
        limiter.exempt(make_handler())
    )

    async with running(app) as client:
        for path in ("/", "/required"):
            ann = await statuses(client, path, path, headers={"Authorization": "ann"})
            bob = await statuses(client, path, headers={"Authorization": "bob"})
            nobody = await statuses(client, path)

            assert (ann, bob, nobody) == ([200, 429], [200], [401])


async def test_principals_of_different_tenants_are_different_callers() -> None:
    async def sign_in(user: Annotated[str, Header()], tenant: Annotated[str, Header()]) -> None:
        current = context.current()
        assert current is not None
        current.principal, current.tenant = user, tenant

    app = create_app(settings_with(default=("1/minute",)))
    app.get("/", dependencies=[Depends(sign_in)])(make_handler())

    async def ask(client: AsyncClient, user: str, tenant: str) -> int:
        return (await client.get("/", headers={"user": user, "tenant": tenant})).status_code

    async with running(app) as client:
        seen = [
            await ask(client, user, tenant)
            for user, tenant in (("ann", "x"), ("ann", "x"), ("ann", "y"), ("bob", "x"))
        ]

    assert seen == [200, 429, 200, 200]


async def test_a_limit_without_a_key_is_not_for_the_request() -> None:
    def find_key(request: Request) -> str | None:
        return request.headers.get("X-API-Key")

    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    app.get("/")(limiter.limit("1/minute", key_func=find_key)(make_handler()))

    async with running(app) as client:
        without = await statuses(client, "/", "/")
        with_key = await statuses(client, "/", "/", headers={"X-API-Key": ""})

    assert (without, with_key) == ([200, 200], [200, 429])


async def test_routes_of_mounted_applications_have_their_limits() -> None:
    app, mounted = create_app(settings_with()), FastAPI()
    limiter = app.state.limiter = Limiter()
    mounted.get("/fast")(limiter.limit("1/minute")(make_handler("fast")))

    @limiter.limit("1/minute")
    async def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse("plain")

    inner = Starlette(routes=[Route("/plain", plain)])
    app.mount("/mounted", mounted)
    app.router.routes.append(Mount("/starlette", app=inner))

    async with running(app) as client:
        for path in ("/mounted/fast", "/starlette/plain"):
            assert (await client.get(path)).status_code == 200
            response = await client.get(path)

            assert (response.status_code, response.json()["code"]) == (429, "quota_exceeded")


async def test_routes_of_starlette_have_their_limits() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()

    @limiter.limit("1/minute")
    async def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse("plain")

    included = APIRouter()
    included.add_route("/included", plain)
    app.add_route("/direct", plain)
    app.include_router(included)

    async with running(app) as client:
        assert await statuses(client, "/direct", "/direct") == [200, 429]
        assert await statuses(client, "/included", "/included") == [200, 429]
        assert (await client.post("/direct")).status_code == 405


@pytest.mark.parametrize("included", [False, True])
async def test_a_route_that_comes_late_is_not_silently_unlimited(
    included: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app, router = create_app(settings_with(), configure_logging=False), APIRouter()
    limiter = app.state.limiter = Limiter(default_limits=["1/minute"])
    router.get("/early")(make_handler("early"))
    app.include_router(router)

    async with running(app) as client:
        early = await statuses(client, "/early", "/early")
        place = router if included else app
        place.get("/late")(limiter.limit("1/minute")(make_handler("late")))
        late = await statuses(client, "/late", "/late", "/late")
        again = await statuses(client, "/early")

    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert (early, again) == ([200, 429], [429])
    assert late == [200, 200, 429]
    assert [message.split(" were")[0] for message in errors] == ["The limits of late"]


async def test_a_refusal_leaves_one_line_in_the_access_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_app(settings_with(per_address=("1/minute",)), configure_logging=False)
    app.get("/")(make_handler())

    with caplog.at_level(logging.INFO):
        async with running(app) as client:
            await statuses(client, "/", "/")

    lines = [record for record in caplog.records if record.getMessage() == "GET / 429"]
    fields: list[Mapping[str, Any]] = [getattr(line, "fields", {}) for line in lines]
    assert [(one["rate_limit"], one["code"]) for one in fields] == [("refused", "quota_exceeded")]


async def test_the_document_says_which_operations_are_limited() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter()
    router = APIRouter(prefix="/v1")
    router.get("/items/{item_id}")(limiter.limit("100/minute", burst=10)(make_handler("items")))
    app.include_router(router)
    app.get("/free")(limiter.exempt(make_handler("free")))

    paths = app.openapi()["paths"]

    limited, free = paths["/v1/items/{item_id}"]["get"], paths["/free"]["get"]
    assert limited["x-rate-limits"] == [
        {"name": "100-per-minute", "quota": 100, "window": 60, "burst": 10}
    ]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= limited["responses"]["429"][
        "headers"
    ].keys()
    assert {"RateLimit", "RateLimit-Policy"} <= limited["responses"]["200"]["headers"].keys()
    assert "X-Request-ID" in limited["responses"]["429"]["headers"]
    assert "429" not in free["responses"]


class TestClosedLimits:
    """Limits that must hold, while Redis is away."""

    @pytest.fixture
    async def client(self) -> AsyncGenerator[AsyncClient]:
        settings = Settings(
            environment="test",
            redis_url=SecretStr("redis://127.0.0.1:1/0"),
            rate_limits=RateLimitSettings(per_address=("100/minute",)),
        )
        app = create_app(settings, configure_logging=False)
        limiter = app.state.limiter = Limiter()
        closed = limiter.limit("5/minute", failure_mode="closed")
        app.post("/login")(closed(make_handler("login")))
        app.get("/reports")(limiter.limit("5/minute")(make_handler("reports")))
        app.get("/open")(limiter.limit("1/minute", failure_mode="open")(make_handler("open")))
        async with running(app) as client:
            yield client

    async def test_refuse_and_the_others_do_not(
        self, client: AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        refused: list[Response] = [await client.post("/login") for _ in range(3)]
        answered = await statuses(client, "/reports", "/open", "/open")

        problem = refused[0].json()
        assert {one.status_code for one in refused} == {503}
        assert problem["code"] == "rate_limit_unavailable"
        assert problem["type"].endswith("#temporary-reduced-capacity")
        assert refused[0].headers["Retry-After"] == "1"
        assert answered == [200, 200, 200]
        ours = [one for one in caplog.records if one.name.startswith("fastapi_baseline")]
        assert not [one for one in ours if "limits cannot be checked" in one.getMessage()]


async def test_requests_that_come_at_once_get_what_there_is_and_no_more() -> None:
    app = create_app(settings_with())
    limiter = app.state.limiter = Limiter(get_client_address)
    app.get("/")(limiter.limit("10/minute")(make_handler()))

    async with running(app) as client:
        responses = await asyncio.gather(*(client.get("/") for _ in range(50)))

    assert sorted(one.status_code for one in responses) == [200] * 10 + [429] * 40


async def test_requests_of_one_caller_may_be_limited_in_how_many_run_at_once() -> None:
    app = create_app(settings_with())

    def get_user(request: Request) -> str:
        return request.headers["user"]

    limiter = app.state.limiter = Limiter(get_user)
    running_now, may_end = asyncio.Event(), asyncio.Event()

    @app.get("/", dependencies=[Depends(limiter.concurrent(1, name="reports"))])
    async def report() -> str:
        running_now.set()
        await may_end.wait()
        return "done"

    async with running(app) as client:
        first = asyncio.ensure_future(client.get("/", headers={"user": "ann"}))
        await running_now.wait()
        refused = await client.get("/", headers={"user": "ann"})
        may_end.set()
        answers = [await first, await client.get("/", headers={"user": "ann"})]

    assert (refused.status_code, refused.json()["code"]) == (429, "concurrency_limit_exceeded")
    assert refused.headers["RateLimit"] == '"reports";r=0'
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].headers["RateLimit-Policy"] == '"reports";q=1;qu="concurrent-requests"'


async def test_what_a_route_gives_back_is_its_own() -> None:
    app = create_app(settings_with(per_address=("2/minute",)))
    limiter = app.state.limiter = Limiter()

    @app.get("/")
    @limiter.limit("1/minute")
    async def give_back(request: Request) -> None:
        await limiter.refund(request)

    async with running(app) as client:
        seen = await statuses(client, "/", "/", "/")

    assert seen == [200, 200, 429]


async def test_limits_hold_while_a_dependency_is_overridden() -> None:
    async def get_user() -> str:
        raise UnauthenticatedError(challenge="Bearer")

    async def get_test_user() -> str:
        return "ann"

    app = create_app(settings_with())
    limiter = app.state.limiter = RateLimiter(caller=get_user)
    app.dependency_overrides[get_user] = get_test_user
    app.get("/")(limiter.limit("1/minute")(make_handler()))

    async with running(app) as client:
        seen = await statuses(client, "/", "/")

    assert seen == [200, 429]


async def test_all_processes_count_together_in_redis(redis_url: str) -> None:
    settings = Settings(
        environment="test",
        redis_url=SecretStr(redis_url),
        redis=RedisSettings(deadline=timedelta(seconds=5)),
        rate_limits=RateLimitSettings(per_address=("100/minute",)),
    )
    seen: list[list[int]] = []

    for _ in range(2):
        app = create_app(settings)
        limiter = app.state.limiter = Limiter()
        app.get("/")(limiter.limit("3/hour")(make_handler()))
        async with running(app) as client:
            seen.append(await statuses(client, "/", "/"))

    assert seen == [[200, 200], [200, 429]]


async def test_an_application_that_is_mounted_in_another_says_everything_once() -> None:
    app, mounted = (create_app(settings_with(per_address=("9/minute",))) for _ in range(2))
    limiter = mounted.state.limiter = Limiter()
    mounted.get("/")(limiter.limit("1/minute")(make_handler()))
    app.mount("/mounted", mounted)

    async with running(app) as client:
        first, second = await client.get("/mounted/"), await client.get("/mounted/")

    names = [name for name, _ in second.headers.multi_items()]
    assert names.count("ratelimit") == names.count("ratelimit-policy") == 1
    assert first.headers["RateLimit"] == (
        '"address";r=8;t=7, "address-2";r=8;t=7, "1-per-minute";r=0;t=60'
    )
    assert second.headers["RateLimit"] == '"1-per-minute";r=0;t=60'
    assert second.json()["code"] == "quota_exceeded"


async def test_what_a_crash_took_is_given_back_if_it_does_not_count() -> None:
    app = create_app(settings_with(), configure_logging=False)
    limiter = app.state.limiter = Limiter()

    @app.get("/")
    @limiter.limit("1/minute", count_if=lambda status: status < 500)
    async def crash() -> None:
        raise RuntimeError

    async with running(app) as client:
        seen = await statuses(client, "/", "/")

    assert seen == [500, 500]


async def test_decisions_are_told_to_who_wants_to_know() -> None:
    told: list[tuple[bool, list[str]]] = []

    def tell(decision: Decision) -> None:
        told.append((decision.allowed, [one.policy.name for one in decision.outcomes]))

    app = create_app(settings_with(per_address=("9/minute",)))
    app.state.limiter = Limiter(default_limits=["1/minute"], on_decision=tell)
    app.get("/")(make_handler())

    async with running(app) as client:
        await statuses(client, "/", "/")

    assert told == [
        (True, ["address"]),
        (True, ["default"]),
        (True, ["address"]),
        (False, ["default"]),
    ]


async def test_a_limit_that_cannot_be_keeps_the_service_from_starting() -> None:
    app = create_app(settings_with(default=("many/minute",)))

    with pytest.raises(LifespanFailedError, match="many/minute"):
        async with running(app):
            pass

    async with AsyncClient(
        transport=ASGITransport(app=app, raise_app_exceptions=False), base_url="http://test"
    ) as client:
        assert await statuses(client, "/", "/") == [500, 500]
