"""The service as a whole."""

from fastapi import FastAPI
from fastapi_baseline.testing import find_open_operations
from httpx2 import AsyncClient


async def test_is_alive_and_ready(client: AsyncClient) -> None:
    for probe in ("/livez", "/readyz"):
        response = await client.get(probe)

        assert response.status_code == 200, response.text


async def test_describes_an_error_as_a_problem(client: AsyncClient) -> None:
    response = await client.get("/nowhere")

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_lets_nobody_in_who_does_not_say_who_it_is(app: FastAPI) -> None:
    assert await find_open_operations(app) == []
