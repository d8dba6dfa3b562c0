from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing import LifespanFailedError, create_schema, running


async def test_runs_the_lifespan_around_the_requests() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, str]]:
        seen.append("start")
        yield {"greeting": "hello"}
        seen.append("stop")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def greet(request: Request) -> str:
        seen.append("request")
        return request.state.greeting

    async with running(app) as client:
        response = await client.get("/")

    assert response.json() == "hello"
    assert seen == ["start", "request", "stop"]


async def test_answers_an_exception_with_500_as_a_server_does() -> None:
    app = FastAPI()

    @app.get("/")
    async def fail() -> None:
        raise RuntimeError("oh")

    async with running(app) as client:
        response = await client.get("/")

    assert response.status_code == 500


async def test_lets_an_exception_through_when_asked_to() -> None:
    app = FastAPI()

    @app.get("/")
    async def fail() -> None:
        raise RuntimeError("oh")

    async with running(app, raise_app_exceptions=True) as client:
        with pytest.raises(RuntimeError, match="oh"):
            await client.get("/")


async def test_says_why_the_application_does_not_start() -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        raise ConfigurationError("no database today")
        yield

    with pytest.raises(LifespanFailedError, match="no database today") as caught:
        async with running(FastAPI(lifespan=lifespan)):
            pytest.fail("it started")

    assert isinstance(caught.value.__cause__, ConfigurationError)


async def test_says_why_the_application_does_not_stop() -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        yield
        raise RuntimeError("still busy")

    with pytest.raises(LifespanFailedError, match=r"shutdown.*still busy"):
        async with running(FastAPI(lifespan=lifespan)):
            pass


async def test_refuses_an_application_that_ignores_the_lifespan() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    with pytest.raises(LifespanFailedError, match="without an answer"):
        async with running(app):
            pytest.fail("it started")


async def test_creates_the_schema_of_the_application() -> None:
    class Database:
        is_created = False

        async def create_all(self) -> None:
            self.is_created = True

    app = FastAPI()
    app.state.database = Database()

    await create_schema(app)

    assert app.state.database.is_created


async def test_says_that_an_application_without_a_database_has_no_schema() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        await create_schema(FastAPI())
