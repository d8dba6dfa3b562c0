from collections.abc import AsyncGenerator

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette
from starlette.exceptions import HTTPException  # noqa: TID251 -- what services may have
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.middleware.body_limit import BodyLimitMiddleware, ContentTooLargeError
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers
from fastapi_baseline.problems import MEDIA_TYPE

LIMIT = 100


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(exception_handlers=dict(make_exception_handlers(validation_status=422)))  # pyright: ignore[reportArgumentType] -- of subclasses
    roomy = APIRouter(prefix="/roomy")
    inner = FastAPI()

    @app.post("/json")
    @inner.post("/json")
    async def take_json(value: list[int]) -> int:
        return len(value)

    @app.post("/bytes")
    @app.post("/large", max_body_size=10 * LIMIT)
    @app.post("/small", max_body_size=LIMIT // 10)
    @roomy.post("/bytes")
    @roomy.post("/small", max_body_size=LIMIT // 10)
    @inner.post("/bytes")
    async def take_bytes(request: Request) -> int:
        return len(await request.body())

    @app.post("/deaf")
    async def take_nothing() -> str:
        return "did not listen"

    @app.post("/stubborn")
    async def take_no_refusal(request: Request) -> str:
        try:
            await request.body()
        except HTTPException:
            return "whatever"
        return "fine"

    @app.post("/renamed")
    async def rename(request: Request) -> None:
        try:
            await request.body()
        except HTTPException as error:
            raise RuntimeError from error

    async def take_plainly(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app.include_router(roomy, max_body_size=10 * LIMIT)
    app.mount("/inner", inner)
    app.mount("/roomier", FastAPI(routes=inner.routes, max_body_size=10 * LIMIT))
    app.mount("/plain", Starlette(routes=[Route("/bytes", take_plainly, methods=["POST"])]))
    return app


async def _parts(size: int) -> AsyncGenerator[bytes]:
    for _ in range(size // 10):
        yield b"1" * 10


async def _post(
    app: ASGIApp, path: str, size: int, *, announced: int | None = None, limit: int | None = LIMIT
) -> Response:
    layer = BodyLimitMiddleware(app, max_size=limit)
    headers = {} if announced is None else {"content-length": str(announced)}

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app
        await layer(scope, receive, send)

    transport = ASGITransport(served, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        content = b"1" * size if announced is None and path.endswith("/json") else _parts(size)
        return await client.post(
            path, content=content, headers={"content-type": "application/json"} | headers
        )


def _assert_refused(answer: Response) -> None:
    assert answer.status_code == 413
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["code"] == "content_too_large"


READERS = [
    "/bytes",
    "/json",
    "/inner/bytes",
    "/inner/json",
    "/plain/bytes",
    "/stubborn",
    "/renamed",
]


@pytest.mark.parametrize("path", READERS)
async def test_refuses_a_body_that_announces_too_much(app: FastAPI, path: str) -> None:
    _assert_refused(await _post(app, path, 10, announced=LIMIT + 1))


@pytest.mark.parametrize("path", READERS)
async def test_refuses_a_body_that_announces_nothing(app: FastAPI, path: str) -> None:
    _assert_refused(await _post(app, path, LIMIT + 10))


@pytest.mark.parametrize("path", READERS)
async def test_refuses_a_body_that_announces_too_little(app: FastAPI, path: str) -> None:
    _assert_refused(await _post(app, path, LIMIT + 10, announced=1))


@pytest.mark.parametrize("path", ["/bytes", "/inner/bytes", "/plain/bytes"])
async def test_takes_a_body_that_is_just_not_too_large(app: FastAPI, path: str) -> None:
    answer = await _post(app, path, LIMIT)

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/large", "/roomy/bytes", "/roomier/bytes"])
async def test_lets_a_route_a_router_and_a_mounted_application_take_more(
    app: FastAPI, path: str
) -> None:
    more = await _post(app, path, 10 * LIMIT)
    too_much = await _post(app, path, 10 * LIMIT + 10)

    assert more.json() == 10 * LIMIT
    _assert_refused(too_much)


@pytest.mark.parametrize("path", ["/small", "/roomy/small"])
@pytest.mark.parametrize("limit", [LIMIT, None])
async def test_lets_a_route_take_less(app: FastAPI, path: str, limit: int | None) -> None:
    _assert_refused(await _post(app, path, LIMIT // 10 + 10, limit=limit))
    _assert_refused(await _post(app, path, 10, announced=LIMIT, limit=limit))


async def test_takes_any_body_if_there_is_no_limit(app: FastAPI) -> None:
    answer = await _post(app, "/bytes", 1_000 * LIMIT, limit=None)

    assert answer.json() == 1_000 * LIMIT


async def test_does_not_refuse_what_nobody_reads(app: FastAPI) -> None:
    answer = await _post(app, "/deaf", 10, announced=10 * LIMIT)
    unknown = await _post(app, "/nothing", 10, announced=10 * LIMIT)

    assert answer.json() == "did not listen"
    assert unknown.status_code == 404


async def test_reads_no_more_than_it_must() -> None:
    asked = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"1" * 60, "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await BodyLimitMiddleware(app, max_size=LIMIT)(scope, receive, send)

    assert asked == 2
    assert sent[0]["status"] == 413


async def test_leaves_it_to_the_server_to_cut_a_response_off_that_has_begun() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await Request(scope, receive).body()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"1" * 60, "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    with pytest.raises(ContentTooLargeError):
        await BodyLimitMiddleware(app, max_size=LIMIT)(scope, receive, send)

    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_leaves_the_form_of_the_refusal_to_the_application(app: FastAPI) -> None:
    def respond(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("zu groß", 413)

    app.add_exception_handler(413, respond)

    direct = await _post(app, "/bytes", LIMIT + 10)
    mounted = await _post(app, "/inner/bytes", LIMIT + 10)

    assert direct.text == mounted.text == "zu groß"


async def test_passes_other_scopes_through() -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await BodyLimitMiddleware(app, max_size=LIMIT)({"type": "websocket"}, receive, send)

    assert reached == ["websocket"]


@pytest.mark.parametrize("announced", [None, 500])
async def test_takes_over_the_limit_of_the_application(announced: int | None) -> None:
    handlers = make_exception_handlers(validation_status=422)
    app = FastAPI(max_body_size=50, exception_handlers=dict(handlers))  # pyright: ignore[reportArgumentType] -- of subclasses
    app.add_middleware(BodyLimitMiddleware, max_size=LIMIT)

    @app.post("/bytes")
    @app.post("/roomy", max_body_size=1_000)
    async def take_bytes(request: Request) -> int:
        return len(await request.body())

    headers = {} if announced is None else {"content-length": str(announced)}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        refused = await client.post("/bytes", content=_parts(500), headers=headers)
        taken = await client.post("/roomy", content=_parts(500), headers=headers)

    _assert_refused(refused)
    assert taken.json() == 500


async def test_lets_the_inner_limit_count_if_there_are_two(app: FastAPI) -> None:
    answer = await _post(BodyLimitMiddleware(app, max_size=10 * LIMIT), "/bytes", 5 * LIMIT)

    assert answer.json() == 5 * LIMIT
