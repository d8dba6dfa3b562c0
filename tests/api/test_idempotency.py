import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from fastapi import Depends, FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr

from fastapi_baseline import Settings, create_app, install
from fastapi_baseline.idempotency import Idempotent
from fastapi_baseline.settings import RequestSettings
from fastapi_baseline.testing import running

KEY = {"Idempotency-Key": '"abc"'}


class Payments:
    def __init__(self) -> None:
        self.count = 0

    def add_to(self, app: FastAPI) -> None:
        @app.post("/payments", dependencies=[Depends(Idempotent())], status_code=201)
        async def pay(body: dict[str, int]) -> dict[str, str]:
            self.count += 1
            return {"number": str(self.count), "text": "x" * 2_000}


@pytest.fixture(params=["created", "installed", "with Redis"])
async def client(request: pytest.FixtureRequest) -> AsyncGenerator[AsyncClient]:
    settings = Settings(environment="test")
    if request.param == "with Redis":
        url: str = request.getfixturevalue("redis_url")
        settings = Settings(environment="test", redis_url=SecretStr(url))
    app = FastAPI() if request.param == "installed" else create_app(settings)
    served = install(app, settings) if request.param == "installed" else app
    Payments().add_to(app)
    async with running(served) as client:
        yield client


async def test_a_request_that_is_repeated_is_carried_out_once(client: AsyncClient) -> None:
    first = await client.post("/payments", json={"amount": 1}, headers=KEY)
    second = await client.post("/payments", json={"amount": 1}, headers=KEY)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["number"] == second.json()["number"] == "1"
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


async def test_a_repeated_answer_has_the_headers_of_this_request(client: AsyncClient) -> None:
    plain = await client.post(
        "/payments", json={"amount": 1}, headers={**KEY, "Accept-Encoding": "identity"}
    )
    packed = await client.post(
        "/payments", json={"amount": 1}, headers={**KEY, "Accept-Encoding": "gzip"}
    )

    assert packed.json() == plain.json()
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers["x-request-id"] != plain.headers["x-request-id"]
    assert packed.headers["x-content-type-options"] == "nosniff"
    assert all(len(packed.headers.get_list(name)) == 1 for name in packed.headers)


async def test_a_request_without_a_key_gets_a_problem(client: AsyncClient) -> None:
    response = await client.post("/payments", json={"amount": 1})

    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_missing")
    assert response.json()["request_id"] == response.headers["x-request-id"]


def test_the_document_says_what_is_answered() -> None:
    app = create_app(Settings(environment="test"))
    Payments().add_to(app)

    operation = app.openapi()["paths"]["/payments"]["post"]

    assert {"201", "400", "409", "422", "default"} == operation["responses"].keys()
    assert [parameter["required"] for parameter in operation["parameters"]] == [True]
    assert "X-Request-ID" in operation["responses"]["409"]["headers"]


async def test_a_request_that_took_too_long_can_be_sent_again() -> None:
    brief = RequestSettings(timeout=timedelta(milliseconds=50))
    app = create_app(Settings(environment="test", requests=brief))
    began: list[int] = []

    @app.post("/slow", dependencies=[Depends(Idempotent())])
    async def work() -> int:
        began.append(1)
        if len(began) == 1:
            await asyncio.Event().wait()
        return len(began)

    async with running(app) as client:
        answers = [await client.post("/slow", headers=KEY) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [504, 200, 200]
    assert [answer.text for answer in answers[1:]] == ["2", "2"]
