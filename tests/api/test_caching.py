import asyncio
import gzip
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import timedelta
from typing import Annotated, Any, cast

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache as stock_cache
from httpx2 import AsyncClient
from pydantic import SecretStr
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from fastapi_baseline import (
    ForbiddenError,
    Settings,
    UnauthenticatedError,
    context,
    create_app,
    install,
)
from fastapi_baseline.caching import Cache, ResponseCacheMiddleware, cached
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.middleware import make_exception_handlers, make_stack
from fastapi_baseline.middleware.route_templates import route_of
from fastapi_baseline.testing import ManualClock, running

MINUTE = timedelta(minutes=1)
HIT = "baseline; hit"
STORED = "baseline; fwd=miss; stored"


def cache_of(app: FastAPI) -> Cache:
    return cast("Cache", app.state.cache)


def service(*, clock: ManualClock | None = None, **cache: Any) -> FastAPI:
    clock = clock or ManualClock()
    settings = Settings.model_validate({"environment": "test", "cache": {"jitter": 0, **cache}})
    kept = Cache(clock=clock, settings=settings.cache)
    app = FastAPI(lifespan=kept.lifespan)
    app.state.cache = kept
    for kind, handler in make_exception_handlers(validation_status=422).items():
        app.exception_handlers[kind] = handler
    layers = [*make_stack(settings, clock=clock), Middleware(ResponseCacheMiddleware, cache=kept)]
    for layer in reversed(layers):
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    return app


class Runs(list[str]):
    """What handlers have run for."""

    def next(self, what: str = "") -> dict[str, object]:
        self.append(what)
        return {"run": len(self), "what": what}


@pytest.fixture
def runs() -> Runs:
    return Runs()


async def statuses(client: AsyncClient, *urls: str, **options: Any) -> list[str]:
    return [(await client.get(url, **options)).headers["cache-status"] for url in urls]


async def test_a_response_is_given_again_as_it_was_sent(runs: Runs) -> None:
    clock = ManualClock()
    app = service(clock=clock)

    @app.get("/a", status_code=203)
    @cached(MINUTE)
    async def get(response: Response) -> dict[str, object]:
        response.headers["X-Source"] = "archive"
        return runs.next()

    async with running(app) as client:
        first = await client.get("/a")
        clock.advance(timedelta(seconds=10))
        second = await client.get("/a")

    assert len(runs) == 1
    assert (second.status_code, second.content) == (203, first.content)
    assert second.headers["x-source"] == "archive"
    assert first.headers["cache-status"] == STORED
    assert second.headers["cache-status"] == f"{HIT}; ttl=50"
    assert (second.headers["age"], "age" in first.headers) == ("10", False)
    assert first.headers["etag"] == second.headers["etag"]
    assert first.headers["etag"].startswith('"')
    for response in (first, second):
        assert response.headers["cache-control"] == "private, max-age=60"
        assert "Authorization" in response.headers["vary"]
    assert all(len(second.headers.get_list(name)) == 1 for name in second.headers)


async def test_it_is_made_anew_when_it_is_no_longer_fresh(runs: Runs) -> None:
    clock = ManualClock()
    app = service(clock=clock)

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        await client.get("/a")
        clock.advance(MINUTE)
        again = await client.get("/a")

    assert (again.json()["run"], again.headers["cache-status"]) == (2, STORED)


async def test_routes_of_routers_and_mounts_have_entries_of_their_own(runs: Runs) -> None:
    app, mounted, router = service(), FastAPI(), APIRouter(prefix="/included")

    def make(name: str) -> Callable[..., Any]:
        @cached(MINUTE)
        async def get() -> dict[str, object]:
            return runs.next(name)

        return get

    app.get("/a")(make("a"))
    app.get("/b")(make("b"))
    router.get("/a")(make("included"))
    mounted.get("/a")(make("mounted"))
    app.include_router(router)
    app.mount("/mounted", mounted)

    async with running(app) as client:
        paths = ("/a", "/b", "/included/a", "/mounted/a") * 2
        names = [(await client.get(path)).json()["what"] for path in paths]

    assert names == ["a", "b", "included", "mounted"] * 2
    assert len(runs) == 4


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("/a?x=1&y=2", "/a?y=2&x=1", True),
        ("/a?x=1&x=2", "/a?x=2&x=1", False),
        ("/a?x=1", "/a?x=2", False),
        ("/a", "/a?x=", False),
    ],
    ids=["other order", "other order of one name", "other value", "none"],
)
async def test_the_query_is_part_of_the_key(
    one: str, other: str, *, are_one: bool, runs: Runs
) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get(request: Request) -> dict[str, object]:
        return runs.next(str(request.query_params))

    async with running(app) as client:
        await client.get(one)
        await client.get(other)

    assert (len(runs) == 1) == are_one


async def test_links_of_another_host_are_not_given() -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE, public=True)
    async def get(request: Request) -> str:
        return str(request.url_for("get"))

    async with running(app) as client:
        evil = await client.get("/a", headers={"Host": "evil.example"})
        good = [(await client.get("/a")).json() for _ in range(2)]

    assert evil.json() == "http://evil.example/a"
    assert good == ["http://testserver/a"] * 2


async def test_a_response_depends_on_the_headers_that_the_route_names(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE, vary=["Accept-Language"])
    async def get(accept_language: Annotated[str, Header()]) -> dict[str, object]:
        return runs.next(accept_language)

    async with running(app) as client:
        spoken = [
            (await client.get("/a", headers={"Accept-Language": language})).json()["what"]
            for language in ("de", "fr", "de")
        ]
        vary = (await client.get("/a", headers={"Accept-Language": "de"})).headers["vary"]

    assert (spoken, len(runs)) == (["de", "fr", "de"], 2)
    assert "Accept-Language" in vary


@pytest.mark.parametrize("public", [True, False], ids=["public", "private"])
async def test_a_response_depends_on_the_headers_that_it_names_itself(
    runs: Runs, *, public: bool
) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE, public=public)
    async def get(request: Request) -> JSONResponse:
        language = request.headers["accept-language"]
        return JSONResponse(runs.next(language), headers={"Vary": "Accept-Language"})

    async with running(app) as client:
        spoken = [
            (await client.get("/a", headers={"Accept-Language": language})).json()["what"]
            for language in ("de", "fr", "de", "fr", "de", "fr")
        ]

    assert spoken == ["de", "fr"] * 3
    # The first one only told what it depends on.
    assert len(runs) == 3


async def test_who_may_not_ask_is_refused_before_anything_is_looked_up(runs: Runs) -> None:
    app = service()
    allowed = {"Bearer ann"}

    async def sign_in(authorization: Annotated[str, Header()] = "") -> None:
        if not authorization:
            raise UnauthenticatedError(challenge="Bearer")
        if authorization not in allowed:
            raise ForbiddenError

    @app.get("/a", dependencies=[Depends(sign_in)])
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        ann = {"Authorization": "Bearer ann"}
        before = [(await client.get("/a", headers=ann)).status_code for _ in range(2)]
        without = await client.get("/a", headers={"If-None-Match": "*"})
        allowed.clear()
        after = await client.get("/a", headers=ann)

    assert before == [200, 200]
    assert (without.status_code, after.status_code) == (401, 403)


async def test_a_tenant_may_share_a_response(runs: Runs) -> None:
    app = service()

    async def find_tenant(x_tenant: Annotated[str | None, Header()] = None) -> None:
        current = context.current()
        assert current is not None
        current.tenant = x_tenant

    @app.get("/a", dependencies=[Depends(find_tenant)])
    @cached(MINUTE, per="tenant")
    async def get() -> dict[str, object]:
        return runs.next()

    callers = [
        {"X-Tenant": "one", "Authorization": "ann"},
        {"X-Tenant": "one", "Authorization": "bob"},
        {"X-Tenant": "two", "Authorization": "ann"},
        {"Authorization": "ann"},
        {"Authorization": "bob"},
    ]
    async with running(app) as client:
        seen = [(await client.get("/a", headers=who)).json()["run"] for who in callers]

    assert seen == [1, 1, 2, 3, 4]


async def test_those_share_a_response_for_whom_a_function_returns_the_same(runs: Runs) -> None:
    app = service()

    async def plan_of(request: Request) -> str:
        return request.headers["authorization"].partition("-")[0]

    @app.get("/a")
    @cached(MINUTE, per=plan_of)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        seen = [
            (await client.get("/a", headers={"Authorization": who})).json()["run"]
            for who in ("gold-ann", "gold-bob", "free-ann")
        ]

    assert seen == [1, 1, 2]


async def test_what_is_public_is_given_before_anything_else(runs: Runs) -> None:
    app = service()
    asked: list[str] = []
    router = APIRouter(prefix="/shop", dependencies=[Depends(lambda: asked.append("asked"))])

    @router.get("/{name}")
    @cached(MINUTE, public=True, stale=MINUTE)
    async def get(name: str) -> dict[str, object]:
        return runs.next(name)

    app.include_router(router)
    async with running(app) as client:
        answers = [
            await client.get("/shop/a", headers={"Authorization": who}) for who in ("ann", "bob")
        ]
        other = await client.get("/shop/b")

    assert [answer.json()["run"] for answer in answers] == [1, 1]
    assert answers[1].headers["cache-control"] == ("public, max-age=60, stale-while-revalidate=60")
    assert answers[1].headers["cache-status"] == f"{HIT}; ttl=60"
    assert "authorization" not in answers[1].headers["vary"].lower()
    assert (len(asked), other.json()["what"]) == (2, "b")


async def test_what_is_given_before_routing_is_counted_for_its_route() -> None:
    app = service()
    router = APIRouter(prefix="/shop")
    seen: list[Scope] = []

    @router.get("/{name}")
    @cached(MINUTE, public=True)
    async def get(name: str) -> str:
        return name

    app.include_router(router)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        seen.append(scope)

    async with running(watched) as client:
        for _ in range(2):
            await client.get("/shop/a")

    assert [route_of(scope) for scope in seen if scope["type"] == "http"] == ["/shop/{name}"] * 2


async def test_an_invalidated_tag_is_made_anew_for_all(runs: Runs) -> None:
    app = service()

    @app.get("/orders/{number}")
    @cached(MINUTE, tags=["orders", "order:{number}"], public=True)
    async def get(number: int) -> dict[str, object]:
        return runs.next(str(number))

    async with running(app) as client:
        for _ in range(2):
            await statuses(client, "/orders/1", "/orders/2")
        await cache_of(app).invalidate("order:1")
        one = await statuses(client, "/orders/1", "/orders/2")
        await cache_of(app).invalidate("orders")
        all_ = await statuses(client, "/orders/1", "/orders/2")

    assert one == [STORED, f"{HIT}; ttl=60"]
    assert all_ == [STORED, STORED]


async def test_a_namespace_can_be_cleared(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE, namespace="one")
    async def get_a() -> dict[str, object]:
        return runs.next("a")

    @app.get("/b")
    @cached(MINUTE, namespace="two")
    async def get_b() -> dict[str, object]:
        return runs.next("b")

    async with running(app) as client:
        await statuses(client, "/a", "/b")
        await cache_of(app).clear("one")
        await statuses(client, "/a", "/b")

    assert runs == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("control", "status", "runs_again"),
    [
        ("no-cache", "baseline; fwd=request; stored", True),
        ("max-age=0, no-cache", "baseline; fwd=request; stored", True),
        ("no-store", "baseline; fwd=request", True),
        ("max-age=5", "baseline; fwd=request; stored", True),
        ("max-age=10", f"{HIT}; ttl=50", False),
        ("min-fresh=51", "baseline; fwd=request; stored", True),
        ("min-fresh=50", f"{HIT}; ttl=50", False),
        ("only-if-cached", f"{HIT}; ttl=50", False),
        ("max-stale, nonsense=1", f"{HIT}; ttl=50", False),
    ],
)
async def test_a_client_may_want_something_newer(
    control: str, status: str, *, runs_again: bool, runs: Runs
) -> None:
    clock = ManualClock()
    app = service(clock=clock)

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        await client.get("/a")
        clock.advance(timedelta(seconds=10))
        answer = await client.get("/a", headers={"Cache-Control": control})

    assert answer.headers["cache-status"] == status
    assert (len(runs) == 2) == runs_again


async def test_what_a_client_wants_new_is_kept_for_the_others(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        await client.get("/a")
        await client.get("/a", headers={"Cache-Control": "no-cache"})
        kept = await client.get("/a")
        await client.get("/a", headers={"Cache-Control": "no-store"})
        still = await client.get("/a")

    assert (kept.json()["run"], still.json()["run"]) == (2, 2)


async def test_a_client_that_wants_only_what_is_kept_is_told_that_nothing_is(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        answer = await client.get("/a", headers={"Cache-Control": "only-if-cached"})

    assert (answer.status_code, answer.json()["code"], runs) == (504, "not_stored", [])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_head_is_answered_by_what_a_get_has_kept(runs: Runs) -> None:
    app = service()

    @app.api_route("/a", methods=["GET", "HEAD"])
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        before = await client.head("/a")
        got = await client.get("/a")
        after = await client.head("/a")

    assert before.headers["cache-status"] == "baseline; fwd=miss"
    assert (after.content, after.headers["content-length"]) == (b"", str(len(got.content)))
    assert after.headers["etag"] == got.headers["etag"]
    assert len(runs) == 2


async def test_other_methods_have_nothing_to_do_with_it(runs: Runs) -> None:
    app = service()

    @app.api_route("/a", methods=["GET", "POST"])
    @cached(MINUTE)
    async def either() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        await client.get("/a")
        posted = await client.post("/a")
        got = await client.get("/a")

    assert posted.json()["run"] == 2
    assert "cache-status" not in posted.headers
    assert got.json()["run"] == 1


async def test_a_client_that_has_it_is_told_so(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        tag = (await client.get("/a")).headers["etag"]
        known = [
            (await client.get("/a", headers={"If-None-Match": asked}))
            for asked in (tag, f"W/{tag}", f'"other", {tag}', "*", '"other"')
        ]
        reloaded = await client.get(
            "/a", headers={"If-None-Match": "*", "Cache-Control": "no-cache"}
        )

    assert [answer.status_code for answer in known] == [304, 304, 304, 304, 200]
    assert (known[0].headers["etag"], known[0].content) == (tag, b"")
    assert known[0].headers["cache-control"] == "private, max-age=60"
    assert reloaded.status_code == 304
    assert len(runs) == 2


async def test_it_tells_so_by_itself_where_nobody_else_does(runs: Runs) -> None:
    kept = Cache(clock=ManualClock())
    app = FastAPI(lifespan=kept.lifespan)
    app.add_middleware(ResponseCacheMiddleware, cache=kept, answers_conditions=True)

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> str:
        runs.next()
        return "a"

    async with running(app) as client:
        tag = (await client.get("/a")).headers["etag"]
        known = await client.get("/a", headers={"If-None-Match": f'"other", {tag}'})
        anew = await client.get("/a", headers={"If-None-Match": tag, "Cache-Control": "no-cache"})
        matching = await client.get("/a", headers={"If-None-Match": tag, "If-Match": tag})
        nonsense = await client.get("/a", headers={"If-None-Match": "nonsense"})

    assert [known.status_code, anew.status_code] == [304, 304]
    assert "content-length" not in known.headers
    assert [matching.status_code, nonsense.status_code] == [200, 200]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_body_is_compressed_once(coding: str, runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> str:
        runs.next()
        return "a" * 5_000

    async with running(app) as client:
        plain = await client.get("/a", headers={"Accept-Encoding": "identity"})
        packed = [await client.get("/a", headers={"Accept-Encoding": coding}) for _ in range(2)]
        entries = [entry async for _, entry in cache_of(app).list_entries()]
        known = await client.get(
            "/a",
            headers={"Accept-Encoding": coding, "If-None-Match": packed[0].headers["etag"]},
        )

    assert packed[0].content == packed[1].content
    assert len(packed[0].content) in {len(plain.content), len(entries[0].variants[coding])}
    assert [answer.headers["content-encoding"] for answer in packed] == [coding] * 2
    assert packed[0].headers["etag"] == plain.headers["etag"][:-1] + f'-{coding}"'
    assert packed[0].headers["content-length"] == packed[1].headers["content-length"]
    assert [list(entry.variants) for entry in entries] == [[coding]]
    assert (known.status_code, known.headers["etag"]) == (304, packed[0].headers["etag"])
    assert len(runs) == 1


async def test_what_was_compressed_is_what_is_sent() -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> str:
        return "a" * 5_000

    async with running(app) as client:
        await client.get("/a", headers={"Accept-Encoding": "identity"})
        [(key, entry)] = [item async for item in cache_of(app).list_entries()]
        cache_of(app).add_variant(key, entry, coding="gzip", body=gzip.compress(b'"kept"'))
        answer = await client.get("/a", headers={"Accept-Encoding": "gzip"})

    assert answer.json() == "kept"


def with_cookie() -> Response:
    response = JSONResponse({})
    response.set_cookie("session", "secret")
    return response


SPECIAL: dict[str, Callable[[], Response]] = {
    "error": lambda: JSONResponse({}, 503),
    "not found": lambda: JSONResponse({}, 404),
    "cookie": with_cookie,
    "stream": lambda: StreamingResponse(iter([b"a", b"b"])),
    "big": lambda: Response(b"a" * 2_001),
    "vary": lambda: JSONResponse({}, headers={"Vary": "*"}),
    "expires": lambda: JSONResponse({}, headers={"Expires": "0"}),
}


def failing(kind: str) -> Response:
    make = SPECIAL.get(kind)
    return make() if make else JSONResponse({}, headers={"Cache-Control": kind})


KINDS = [
    *SPECIAL,
    "no-store",
    "private",
    "Private, max-age=60",
    "no-cache",
    "max-age=0",
    "max-age=nonsense",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_some_responses_are_not_kept(kind: str, runs: Runs) -> None:
    app = service(max_entry_size=2_000)

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> Response:
        runs.next()
        return failing(kind)

    async with running(app) as client:
        answers = [await client.get("/a") for _ in range(2)]

    expected = failing(kind)
    assert len(runs) == 2
    for answer in answers:
        assert answer.status_code == expected.status_code
        assert answer.headers["cache-status"] == "baseline; fwd=miss"
        if kind == "stream":
            assert answer.content == b"ab"
        else:
            assert answer.content == expected.body


async def test_a_stream_is_not_held_back() -> None:
    app = service()
    may_go_on = asyncio.Event()
    begun: list[bytes] = []

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> StreamingResponse:
        async def parts() -> AsyncGenerator[bytes]:
            yield b"first"
            await may_go_on.wait()
            yield b"second"

        return StreamingResponse(parts())

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_watched(message: Any) -> None:
            if message.get("body"):
                begun.append(message["body"])
                may_go_on.set()
            await send(message)

        await app(scope, receive, send_watched if scope["type"] == "http" else send)

    async with running(watched) as client, asyncio.timeout(5):
        answer = await client.get("/a", headers={"Accept-Encoding": "identity"})

    assert begun == [b"first", b"second"]
    assert answer.content == b"firstsecond"


async def test_a_body_in_parts_is_kept_if_its_length_is_known(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> StreamingResponse:
        runs.next()
        return StreamingResponse(iter([b"a", b"b"]), headers={"Content-Length": "2"})

    async with running(app) as client:
        answers = [await client.get("/a") for _ in range(2)]

    assert [answer.content for answer in answers] == [b"ab", b"ab"]
    assert len(runs) == 1


async def test_a_body_that_is_cut_off_is_not_kept(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> StreamingResponse:
        runs.next()
        return StreamingResponse(iter([b"a", b"b"]), headers={"Content-Length": "5"})

    async with running(app) as client:
        for _ in range(2):
            await client.get("/a")

    assert len(runs) == 2


async def test_what_is_not_there_may_be_kept_for_a_while(runs: Runs) -> None:
    clock = ManualClock()
    app = service(clock=clock)

    @app.get("/a")
    @cached(MINUTE, negative_expire=timedelta(seconds=5))
    async def get() -> Response:
        runs.next()
        return JSONResponse({}, 404)

    async with running(app) as client:
        answers = [await client.get("/a") for _ in range(2)]
        clock.advance(timedelta(seconds=5))
        await client.get("/a")

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[1].headers["cache-control"] == "private, max-age=5"
    assert len(runs) == 2


async def test_what_a_handler_says_of_its_lifetime_counts(runs: Runs) -> None:
    clock = ManualClock()
    app = service(clock=clock)

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> JSONResponse:
        return JSONResponse(runs.next(), headers={"Cache-Control": "max-age=5", "ETag": '"mine"'})

    async with running(app) as client:
        await client.get("/a")
        clock.advance(timedelta(seconds=4))
        kept = await client.get("/a")
        clock.advance(timedelta(seconds=1))
        again = await client.get("/a")

    assert kept.headers["cache-control"] == "max-age=5"
    assert (kept.headers["cache-status"], kept.headers["etag"]) == (f"{HIT}; ttl=1", '"mine"')
    assert again.json()["run"] == 2


async def eventually(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not check():  # noqa: ASYNC110 -- what is waited for tells nobody
            await asyncio.sleep(0)


async def test_what_is_stale_is_given_while_it_is_made_anew(runs: Runs) -> None:
    clock = ManualClock()
    app = service(clock=clock)
    contexts: list[context.RequestContext] = []

    async def sign_in(authorization: Annotated[str, Header()]) -> None:
        current = context.current()
        assert current is not None
        assert current.principal is None
        current.principal = authorization
        contexts.append(current)

    @app.get("/{name}", dependencies=[Depends(sign_in)])
    @cached(MINUTE, stale=MINUTE)
    async def get(name: str) -> dict[str, object]:
        return runs.next(name)

    async with running(app) as client:
        ann = {"Authorization": "ann"}
        await client.get("/a", headers=ann)
        clock.advance(timedelta(seconds=70))
        stale = await client.get("/a", headers=ann)
        await eventually(lambda: len(runs) == 2)
        fresh = await client.get("/a", headers=ann)

    assert (stale.json()["run"], stale.headers["cache-status"]) == (1, f"{HIT}; ttl=-10")
    assert (stale.headers["age"], fresh.json()["run"]) == ("70", 2)
    assert len({id(one) for one in contexts}) == 4
    assert len(runs) == 2


async def test_whoever_may_not_ask_any_more_refreshes_nothing(runs: Runs) -> None:
    clock = ManualClock()
    app = service(clock=clock)
    asked: list[str] = []

    async def sign_in(authorization: Annotated[str, Header()]) -> None:
        asked.append(authorization)
        if len(asked) > 2:
            raise ForbiddenError

    @app.get("/a", dependencies=[Depends(sign_in)])
    @cached(MINUTE, stale=MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        ann = {"Authorization": "ann"}
        await client.get("/a", headers=ann)
        clock.advance(timedelta(seconds=70))
        await client.get("/a", headers=ann)
        await eventually(lambda: len(asked) == 3)
        after = await client.get("/a", headers=ann)

    assert (len(runs), after.status_code) == (1, 403)


@pytest.mark.parametrize("kind", ["raises", "answers 503"])
async def test_what_is_stale_is_given_if_the_handler_fails(
    kind: str, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    app = service(clock=clock)

    @app.get("/a")
    @cached(MINUTE, stale_if_error=MINUTE)
    async def get() -> Response:
        if runs:
            runs.next()
            if kind == "raises":
                raise RuntimeError("it fails")
            return JSONResponse({}, 503)
        return JSONResponse(runs.next())

    async with running(app) as client:
        await client.get("/a")
        clock.advance(timedelta(seconds=70))
        fallback = await client.get("/a")
        clock.advance(MINUTE)
        failure = await client.get("/a")

    assert (fallback.status_code, fallback.json()["run"]) == (200, 1)
    assert fallback.headers["cache-status"] == f"{HIT}; ttl=-10"
    assert failure.status_code == (500 if kind == "raises" else 503)
    assert len(runs) == 3
    said = [line for line in caplog.messages if "was given instead" in line]
    assert len(said) == (1 if kind == "raises" else 0)


async def test_those_who_want_the_same_at_once_wait_for_one(runs: Runs) -> None:
    app = service()
    may_go_on = asyncio.Event()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        await may_go_on.wait()
        return runs.next()

    async with running(app) as client, asyncio.TaskGroup() as group:
        asked = [group.create_task(client.get("/a")) for _ in range(30)]
        for _ in range(50):
            await asyncio.sleep(0)
        may_go_on.set()
        answers = await asyncio.gather(*asked)

    assert len(runs) == 1
    assert {answer.content for answer in answers} == {answers[0].content}
    outcomes = [answer.headers["cache-status"] for answer in answers]
    assert outcomes.count("baseline; fwd=miss; collapsed") == 29
    assert outcomes.count(STORED) == 1


async def test_one_who_gives_up_harms_nobody(runs: Runs) -> None:
    app = service()
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        begun.set()
        await may_go_on.wait()
        return runs.next()

    async with running(app) as client, asyncio.TaskGroup() as group:
        leader = group.create_task(client.get("/a"))
        await begun.wait()
        others = [group.create_task(client.get("/a")) for _ in range(5)]
        for _ in range(50):
            await asyncio.sleep(0)
        leader.cancel()
        may_go_on.set()
        answers = await asyncio.gather(*others)

    assert [answer.status_code for answer in answers] == [200] * 5
    assert leader.cancelled()


async def test_without_a_lock_nobody_waits(runs: Runs) -> None:
    app = service()
    may_go_on = asyncio.Event()

    @app.get("/a")
    @cached(MINUTE, lock=False)
    async def get() -> dict[str, object]:
        runs.next()
        if len(runs) == 3:
            may_go_on.set()
        await may_go_on.wait()
        return {}

    async with running(app) as client, asyncio.timeout(5):
        await asyncio.gather(*(client.get("/a") for _ in range(3)))
        [hit] = await statuses(client, "/a")

    assert (len(runs), hit) == (3, f"{HIT}; ttl=60")


async def test_a_plain_function_stays_one(runs: Runs) -> None:
    app = service()
    threads: list[bool] = []

    @app.get("/{name}")
    @cached(MINUTE)
    def get(name: str) -> dict[str, object]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            threads.append(True)
        return runs.next(name)

    direct = get("direct")
    async with running(app) as client:
        answers = [await client.get("/a") for _ in range(2)]

    assert direct == {"run": 1, "what": "direct"}
    assert [answer.json()["run"] for answer in answers] == [2, 2]
    assert threads == [True]


async def test_a_cached_function_that_another_route_calls_is_only_called(runs: Runs) -> None:
    app = service()

    @app.get("/inner")
    @cached(MINUTE)
    async def inner() -> dict[str, object]:
        return runs.next()

    @app.get("/outer")
    @cached(MINUTE)
    async def outer() -> list[dict[str, object]]:
        return [await inner(), await inner()]

    async with running(app) as client:
        answers = [(await client.get("/outer")).json() for _ in range(2)]

    assert [[one["run"] for one in answer] for answer in answers] == [[1, 2]] * 2


async def test_a_request_with_a_body_is_always_carried_out(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get(request: Request) -> dict[str, object]:
        return runs.next((await request.body()).decode())

    async with running(app) as client:
        await client.get("/a")
        answers = [await client.request("GET", "/a", content=text) for text in ("one", "two")]

    assert [answer.json()["what"] for answer in answers] == ["one", "two"]
    assert answers[0].headers["cache-status"] == "baseline; fwd=bypass"


async def test_a_function_may_say_that_the_cache_is_left_out(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE, unless=lambda request: "preview" in request.query_params, public=True)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        seen = await statuses(client, "/a?preview", "/a?preview", "/a", "/a")

    assert seen == ["baseline; fwd=bypass"] * 2 + [STORED, f"{HIT}; ttl=60"]


async def test_a_key_builder_takes_the_place_of_the_url_only(runs: Runs) -> None:
    app = service()

    def same_for_all(*_: Any, **__: Any) -> str:
        return "key"

    @app.get("/a")
    @cached(MINUTE, key_builder=same_for_all)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        urls = [await client.get(url) for url in ("/a?x=1", "/a?x=2")]
        ann = await client.get("/a", headers={"Authorization": "ann"})

    assert [answer.json()["run"] for answer in [*urls, ann]] == [1, 1, 2]


async def test_a_principal_without_a_text_is_not_mistaken_for_another(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    app = service()

    class Principal:
        pass

    async def sign_in() -> None:
        current = context.current()
        assert current is not None
        current.principal = Principal()

    @app.get("/a", dependencies=[Depends(sign_in)])
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        seen = await statuses(client, "/a", "/a")

    assert seen == ["baseline; fwd=bypass"] * 2
    assert sum("Give it a __str__" in line for line in caplog.messages) == 1


async def test_without_the_layer_a_cached_function_is_only_called(runs: Runs) -> None:
    app = FastAPI()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        answers = [await client.get("/a") for _ in range(2)]

    assert len(runs) == 2
    assert "cache-status" not in answers[1].headers


async def test_it_can_be_switched_off(runs: Runs) -> None:
    app = service(enabled=False)

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        seen = await statuses(client, "/a", "/a")

    assert seen == ["baseline; fwd=bypass"] * 2


@pytest.fixture
def registry() -> Iterator[None]:
    FastAPICache.reset()
    yield
    FastAPICache.reset()


@pytest.mark.usefixtures("registry")
async def test_what_the_service_has_said_to_fastapi_cache_counts(runs: Runs) -> None:
    clock = ManualClock()
    app = service(clock=clock)

    @app.get("/a")
    @cached(namespace="users", public=True)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        FastAPICache.init(InMemoryBackend(), prefix="api", expire=7)
        first = await client.get("/a")
        keys = [key async for key, _ in cache_of(app).list_entries(namespace="api.users")]
        FastAPICache._enable = False  # pyright: ignore[reportPrivateUsage] -- there is no other way
        off = await client.get("/a")

    assert first.headers["cache-control"] == "public, max-age=7"
    assert len(keys) == 1
    assert off.headers["cache-status"] == "baseline; fwd=bypass"


async def test_the_access_log_says_what_the_cache_did(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> str:
        return "a"

    with caplog.at_level(logging.INFO):
        async with running(app) as client:
            for control in ("", "", "no-store"):
                await client.get("/a", headers={"Cache-Control": control})

    fields = [getattr(record, "fields", {}).get("cache") for record in caplog.records]
    assert [one for one in fields if one] == ["miss", "hit", "bypass"]


async def test_keys_are_shown_only_if_the_settings_say_so(runs: Runs) -> None:
    app = service(debug_keys=True)

    @app.get("/a")
    @cached(MINUTE)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        answers = await statuses(
            client, "/a?secret-in-query", "/a?secret-in-query", headers={"Authorization": "secret"}
        )
        [key] = [key async for key, _ in cache_of(app).list_entries()]

    assert [answer.endswith(f'; key="{key}"') for answer in answers] == [True, True]
    assert "secret" not in key


@pytest.mark.parametrize(
    "arguments",
    [
        {"expire": 0},
        {"expire": timedelta(0)},
        {"stale": -1},
        {"public": True, "per": "tenant"},
        {"tags": "orders"},
        {"tags": [""]},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_at_once(arguments: dict[str, Any]) -> None:
    def get() -> None: ...

    with pytest.raises(ConfigurationError):
        cached(**arguments)(get)


def test_a_function_that_yields_cannot_be_cached() -> None:
    async def events() -> AsyncGenerator[str]:
        yield "a"

    with pytest.raises(ConfigurationError, match="streams what it yields"):
        cached(MINUTE)(events)


async def test_a_tag_that_names_no_argument_is_an_error(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE, tags=["order:{number}"])
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        answer = await client.get("/a")

    assert answer.status_code == 500


@pytest.fixture(params=["created", "installed", "with Redis"])
async def wired(request: pytest.FixtureRequest, runs: Runs) -> AsyncGenerator[AsyncClient]:
    FastAPICache.reset()
    settings = Settings(environment="test")
    if request.param == "with Redis":
        url: str = request.getfixturevalue("redis_url")
        settings = Settings(environment="test", redis_url=SecretStr(url))
    app = FastAPI() if request.param == "installed" else create_app(settings)

    @app.get("/ours")
    @cached(MINUTE, tags=["ours"])
    async def get_ours() -> dict[str, object]:
        return runs.next("ours" * 1_000)

    @app.post("/ours")
    async def change(request: Request) -> None:
        await cache_of(request.app).invalidate("ours")

    @app.get("/stock")
    @stock_cache()
    async def get_stock() -> dict[str, object]:
        return runs.next("stock")

    served = install(app, settings) if request.param == "installed" else app
    async with running(served) as client:
        yield client


async def test_an_application_has_a_cache_if_its_code_wants_one(
    wired: AsyncClient, runs: Runs
) -> None:
    answers = [await wired.get("/ours") for _ in range(2)]
    known = await wired.get("/ours", headers={"If-None-Match": answers[1].headers["etag"]})
    await wired.post("/ours")
    changed = await wired.get("/ours")

    assert [answer.json()["run"] for answer in [*answers, changed]] == [1, 1, 2]
    assert answers[1].headers["content-encoding"]
    assert answers[1].headers["cache-control"] == "private, no-cache"
    assert answers[0].headers["x-request-id"] != answers[1].headers["x-request-id"]
    assert known.status_code == 304
    assert len(runs) == 2


async def test_an_application_runs_stock_code_on_its_cache(wired: AsyncClient, runs: Runs) -> None:
    answers = [await wired.get("/stock", headers={"X-API-Key": key}) for key in ("a", "a", "b")]

    assert [answer.headers["x-fastapi-cache"] for answer in answers] == ["MISS", "HIT", "MISS"]
    assert len(runs) == 2


async def test_a_method_that_a_public_route_does_not_know_stays_unknown(runs: Runs) -> None:
    app = service()

    @app.get("/a")
    @cached(MINUTE, public=True)
    async def get() -> dict[str, object]:
        return runs.next()

    async with running(app) as client:
        for _ in range(2):
            await client.get("/a")
        head = await client.head("/a")

    assert (head.status_code, len(runs)) == (405, 1)
