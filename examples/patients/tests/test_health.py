"""The service as a whole."""

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
