"""Limits and cached routes in applications as they are made and joined: without and with Redis."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from datetime import timedelta
from itertools import count

import pytest
from fastapi import APIRouter, FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.decorator import cache
from httpx2 import AsyncClient
from pydantic import SecretStr
from slowapi import Limiter as SlowapiLimiter
from slowapi.util import get_remote_address
from starlette.requests import Request

from fastapi_baseline import Settings, create_app, install
from fastapi_baseline.caching import cached
from fastapi_baseline.rate_limiting import Limiter
from fastapi_baseline.settings import RateLimitSettings
from fastapi_baseline.testing import running


class Orders:
    """Routes whose runs can be told apart."""

    def __init__(self) -> None:
        self.router = APIRouter(prefix="/orders")
        runs = count(1)

        @self.router.get("/{order_id}")
        @cached(timedelta(minutes=5), tags=["order:{order_id}"])
        async def get_order(order_id: int) -> dict[str, int]:
            await asyncio.sleep(0.01)
            return {"id": order_id, "run": next(runs)}


@pytest.fixture(params=["created", "installed", "with Redis"])
def settings(request: pytest.FixtureRequest) -> Settings:
    limits = RateLimitSettings(per_api_key=("2/minute",))
    if request.param != "with Redis":
        return Settings(environment="test", rate_limits=limits)
    url: str = request.getfixturevalue("redis_url")
    return Settings(environment="test", rate_limits=limits, redis_url=SecretStr(url))


@pytest.fixture
async def app(request: pytest.FixtureRequest, settings: Settings) -> FastAPI:
    is_installed = "installed" in request.node.callspec.id
    return FastAPI() if is_installed else create_app(settings, configure_logging=False)


@pytest.fixture
async def client(app: FastAPI, settings: Settings) -> AsyncGenerator[AsyncClient]:
    limiter = Limiter(key_func=get_remote_address)
    app.state.limiter = limiter

    # The two examples that people know, with no parameter for the request.
    @app.get("/api/v1/users")
    @limiter.limit("2/minute")
    async def get_users() -> None:
        pass

    users = APIRouter()

    @users.get("/users/{user_id}")
    @cache(expire=300)
    async def get_user(user_id: int) -> dict[str, int]:
        return {"id": user_id, "run": next(runs)}

    runs = count(1)
    app.include_router(users)
    app.include_router(Orders().router)
    served = app if hasattr(app.state, "baseline_settings") else install(app, settings)
    async with running(served) as client:
        yield client


async def test_a_declared_limit_holds(client: AsyncClient) -> None:
    answers = [await client.get("/api/v1/users") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["content-type"] == "application/problem+json"
    assert answers[2].json()["violated-policies"] == ["2-per-minute"]
    assert int(answers[2].headers["retry-after"]) > 0
    assert answers[0].headers["ratelimit"].startswith('"2-per-minute";r=1')


async def test_a_limit_of_the_settings_holds_for_paths_that_are_not_there(
    client: AsyncClient,
) -> None:
    key = {"X-API-Key": "a-key"}

    answers = [await client.get(f"/nothing/{number}", headers=key) for number in range(3)]

    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert (await client.get("/nothing", headers={"X-API-Key": "another"})).status_code == 404


async def test_probes_are_not_limited(client: AsyncClient) -> None:
    key = {"X-API-Key": "a-key"}

    statuses = {(await client.get("/livez", headers=key)).status_code for _ in range(5)}

    assert statuses == {200}


async def test_a_cached_route_runs_once_and_is_invalidated_by_its_tag(
    client: AsyncClient, app: FastAPI
) -> None:
    answers = await asyncio.gather(*[client.get("/orders/1") for _ in range(10)])
    unchanged = await client.get("/orders/1", headers={"If-None-Match": answers[0].headers["etag"]})
    await app.state.cache.invalidate("order:1")
    after = await client.get("/orders/1")

    assert {answer.json()["run"] for answer in answers} == {1}
    assert unchanged.status_code == 304
    assert unchanged.headers["cache-status"].startswith("baseline; hit")
    assert after.json()["run"] == 2


async def test_code_of_fastapi_cache_runs_on_the_cache_of_the_application(
    client: AsyncClient,
) -> None:
    first = await client.get("/users/7")
    second = await client.get("/users/7")

    assert first.json() == second.json() == {"id": 7, "run": 1}
    assert second.headers["x-fastapi-cache"] == "HIT"
    assert type(FastAPICache.get_backend()).__module__.startswith("fastapi_baseline.")


async def test_the_document_has_the_refusals_of_limited_routes(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    refused = document["paths"]["/api/v1/users"]["get"]["responses"]["429"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(refused["headers"])
    assert "application/problem+json" in refused["content"]
    assert "429" not in document["paths"]["/orders/{order_id}"]["get"]["responses"]


async def test_what_a_limiter_of_slowapi_declares_is_adopted_and_its_engine_never_runs() -> None:
    app = FastAPI()
    limiter = app.state.limiter = SlowapiLimiter(key_func=get_remote_address)

    @app.get("/reports")
    @limiter.limit("1/minute")  # pyright: ignore[reportUnknownMemberType, reportUntypedFunctionDecorator] -- slowapi's
    async def list_reports(request: Request) -> list[str]:
        return []

    async with running(install(app, Settings(environment="test"))) as client:
        statuses = [(await client.get("/reports")).status_code for _ in range(2)]

    assert statuses == [200, 429]
    assert limiter.enabled is False


_LATE = """
import asyncio, logging
logging.basicConfig(format="%(levelname)s %(message)s")
from fastapi_baseline import Settings, create_app
from fastapi_baseline.testing import running
app = create_app(Settings(environment="test"), package=None, configure_logging=False)
{late}
async def main():
    async with running(app) as client:
        print((await client.get("/livez")).status_code, hasattr(app.state, "cache"))
asyncio.run(main())
"""


@pytest.mark.parametrize("late", ["", "import fastapi_baseline.caching"])
def test_a_service_that_does_not_cache_has_no_cache_and_one_that_begins_too_late_is_told(
    late: str,
) -> None:
    ended = subprocess.run(
        (sys.executable, "-c", _LATE.format(late=late)), capture_output=True, check=True, text=True
    )

    assert ended.stdout == "200 False\n"
    assert ("WARNING Nothing is cached" in ended.stderr) == bool(late)
