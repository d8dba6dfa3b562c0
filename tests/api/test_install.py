import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, HTTPException, Request, Response  # noqa: TID251 -- as services do
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from httpx2 import ASGITransport, AsyncClient
from starlette.exceptions import HTTPException as StarletteHTTPException  # noqa: TID251
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline import ConfigurationError, NotFoundError, Settings, install
from fastapi_baseline.testing import running


class LegacyError(Exception):
    pass


class Stamp:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failures: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-stamp", b"theirs")]
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        except RuntimeError as error:
            scope["app"].state.seen_by_their_middleware = str(error)
            raise


@asynccontextmanager
async def _their_lifespan(app: FastAPI) -> AsyncGenerator[dict[str, str]]:
    app.state.events = ["start"]
    yield {"theirs": "kept"}
    app.state.events.append("stop")


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(title="Theirs", lifespan=_their_lifespan)
    app.add_middleware(Stamp)

    @app.exception_handler(LegacyError)
    async def legacy(request: Request, error: LegacyError) -> Response:
        return JSONResponse({"legacy": True}, status_code=499)

    @app.get("/state")
    async def state(request: Request) -> str:
        return request.state.theirs

    @app.get("/legacy")
    async def fail_as_before() -> None:
        raise LegacyError

    @app.get("/typed/{number}")
    async def typed(number: int) -> int:
        return number

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("broken")

    @app.get("/missing")
    async def missing() -> None:
        raise NotFoundError("No such order.")

    @app.get("/refused")
    async def refuse() -> None:
        raise HTTPException(403)

    return app


@pytest.fixture
def settings() -> Settings:
    return Settings(cors_origins=("https://a.example",))


async def test_adds_ours_and_keeps_their_routes_middleware_handlers_and_lifespan(
    app: FastAPI, settings: Settings
) -> None:
    served = install(app, settings)

    async with running(served) as client:
        state = await client.get("/state")
        legacy = await client.get("/legacy")
        missing = await client.get("/missing")
        alive = await client.get("/livez")
        document = await client.get("/openapi.json")

    assert state.json() == "kept"
    assert (legacy.status_code, legacy.json()) == (499, {"legacy": True})
    assert missing.json()["detail"] == "No such order."
    assert alive.status_code == 200
    for answer in (state, legacy, missing, alive):
        assert answer.headers["x-stamp"] == "theirs"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert len(answer.headers["x-request-id"]) == 32
    assert app.state.events == ["start", "stop"]
    assert document.json()["info"]["title"] == "Theirs"
    assert "/livez" not in document.json()["paths"]


async def test_makes_problems_where_they_left_the_defaults(
    app: FastAPI, settings: Settings
) -> None:
    install(app, settings)

    async with running(app) as client:
        wrong = await client.get("/typed/many")
        nothing = await client.get("/nothing")

    assert wrong.json()["code"] == "validation_failed"
    assert nothing.json()["code"] == "not_found"


async def test_lets_their_middleware_see_an_error_before_it_is_answered(
    app: FastAPI, settings: Settings
) -> None:
    install(app, settings)

    async with running(app) as client:
        answer = await client.get("/crash", headers={"Origin": "https://a.example"})

    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert app.state.seen_by_their_middleware == "broken"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (StarletteHTTPException, "/nothing"),
        (HTTPException, "/refused"),
        (RequestValidationError, "/typed/x"),
        (Exception, "/crash"),
    ],
)
async def test_never_replaces_a_handler_that_is_registered(
    kind: type[Exception], path: str, app: FastAPI, settings: Settings
) -> None:
    async def theirs(request: Request, error: Exception) -> Response:
        return PlainTextResponse("theirs", status_code=400)

    app.add_exception_handler(kind, theirs)
    install(app, settings)

    async with running(app) as client:
        assert (await client.get(path)).text == "theirs"


async def test_respects_a_handler_that_they_register_later(
    app: FastAPI, settings: Settings
) -> None:
    install(app, settings)

    @app.exception_handler(Exception)
    async def theirs(request: Request, error: Exception) -> Response:
        return PlainTextResponse("theirs", status_code=500)

    async with running(app) as client:
        assert (await client.get("/crash")).text == "theirs"


async def test_leaves_cors_to_them_if_they_have_it(app: FastAPI, settings: Settings) -> None:
    app.add_middleware(CORSMiddleware, allow_origins=["https://theirs.example"])
    install(app, settings)

    async with running(app) as client:
        ours = await client.get("/state", headers={"Origin": "https://a.example"})
        theirs = await client.get("/state", headers={"Origin": "https://theirs.example"})

    assert "access-control-allow-origin" not in ours.headers
    assert theirs.headers["access-control-allow-origin"] == "https://theirs.example"


async def test_leaves_their_probe_in_front_of_ours(app: FastAPI, settings: Settings) -> None:
    @app.get("/livez")
    async def theirs() -> str:
        return "theirs"

    install(app, settings)

    async with running(app) as client:
        assert (await client.get("/livez")).json() == "theirs"


async def test_reaches_an_application_that_is_mounted(app: FastAPI, settings: Settings) -> None:
    mounted = FastAPI()

    @mounted.get("/crash")
    async def crash() -> None:
        raise RuntimeError

    app.mount("/mounted", mounted)
    install(app, settings)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        crashed = await client.get("/mounted/crash")
        nothing = await client.get("/mounted/nothing")

    assert crashed.status_code == 500
    assert "x-request-id" in crashed.headers
    assert (nothing.status_code, "x-request-id" in nothing.headers) == (404, True)


async def test_does_not_touch_their_logging(app: FastAPI, settings: Settings) -> None:
    before = (list(logging.getLogger().handlers), logging.getLogger().level)

    install(app, settings)

    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before


async def test_refuses_an_application_that_has_started(app: FastAPI, settings: Settings) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/legacy")

    with pytest.raises(ConfigurationError, match="before the application starts"):
        install(app, settings)


def test_refuses_to_be_called_twice(app: FastAPI, settings: Settings) -> None:
    install(app, settings)

    with pytest.raises(ConfigurationError, match="already called"):
        install(app, settings)
