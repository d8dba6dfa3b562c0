import asyncio
from collections.abc import Generator
from functools import partial
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from redis.asyncio import Redis

from fastapi_baseline.testing import RedisServer, ServerProcess, uvicorn_server

KEY = {"Idempotency-Key": "abc"}


@pytest.fixture(scope="module")
def redis_url(redis_server: RedisServer) -> Generator[str]:
    """Give the one that the servers share."""
    with redis_server.database() as url:
        yield url


@pytest.fixture(autouse=True)
async def empty(redis: Redis) -> None:
    """Have nothing left of another test: the servers keep nothing themselves."""
    await redis.execute_command("FLUSHDB")  # pyright: ignore[reportUnknownMemberType] -- what it returns is not used


@pytest.fixture(scope="module")
def servers(redis_url: str) -> Generator[list[ServerProcess]]:
    serve = partial(
        uvicorn_server,
        "served:app",
        ready_path="/ready",
        cwd=Path(__file__).parent,
        env={"REDIS_URL": redis_url},
    )
    with serve() as first, serve() as second:
        yield [first, second]


async def test_of_twenty_at_once_in_two_processes_one_is_carried_out(
    servers: list[ServerProcess], redis: Redis
) -> None:
    async with AsyncClient(headers=KEY) as client:
        answers = await asyncio.gather(
            *(
                client.post(f"{server.base_url}/payments", json={"amount": 1})
                for server in servers
                for _ in range(10)
            )
        )
        last = await client.post(f"{servers[1].base_url}/payments", json={"amount": 1})

    carried_out = [
        answer
        for answer in answers
        if answer.status_code == 200 and "idempotency-replayed" not in answer.headers
    ]
    assert len(carried_out) == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert (last.text, last.headers["idempotency-replayed"]) == ("1", "true")
    assert await redis.get("payments") == b"1"


async def test_a_client_that_has_gone_finds_its_answer(
    servers: list[ServerProcess], redis: Redis
) -> None:
    server = servers[0]
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nIdempotency-Key: abc\r\n\r\n"
    )
    async with asyncio.timeout(30):
        while await redis.get("payments") is None:  # noqa: ASYNC110 -- the server is another process
            await asyncio.sleep(0.01)
    writer.close()
    await redis.set("go", "1")

    async with asyncio.timeout(30), AsyncClient(base_url=server.base_url, headers=KEY) as client:
        answer = await client.post("/slow")
        while answer.status_code == 409:
            await asyncio.sleep(0.01)
            answer = await client.post("/slow")

    assert (answer.status_code, answer.text) == (200, "1")
    assert answer.headers["idempotency-replayed"] == "true"
