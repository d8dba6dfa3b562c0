import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from redis.asyncio import Redis

from fastapi_baseline.testing import RedisServer, ServerProcess, uvicorn_server


@pytest.fixture(scope="module")
def redis_url(redis_server: RedisServer) -> Generator[str]:
    """Give the one that the servers share; each test has names of its own in it."""
    with redis_server.database() as url:
        yield url


@pytest.fixture(scope="module")
def servers(redis_url: str) -> Generator[list[ServerProcess]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                uvicorn_server(
                    "served:app",
                    ready_path="/ready",
                    cwd=Path(__file__).parent,
                    env={"REDIS_URL": redis_url},
                )
            )
            for _ in range(4)
        ]


@pytest.fixture
async def http() -> AsyncGenerator[AsyncClient]:
    async with AsyncClient(timeout=60) as http:
        yield http


async def read(http: AsyncClient, server: ServerProcess, name: str) -> Any:
    response = await http.get(f"{server.base_url}/values/{name}")
    assert response.status_code == 200
    return response.json()


async def made(client: Redis, name: str) -> int:
    return int(await client.get(f"made {name}") or 0)


async def begin(client: Redis, name: str) -> None:
    async with asyncio.timeout(30):
        while not await made(client, name):  # noqa: ASYNC110 -- the servers are other processes
            await asyncio.sleep(0.005)


async def test_thirty_requests_to_four_processes_make_it_once(
    servers: list[ServerProcess], http: AsyncClient, client: Redis
) -> None:
    async with asyncio.TaskGroup() as group:
        wanted = [
            group.create_task(read(http, servers[number % 4], "once")) for number in range(30)
        ]
        await begin(client, "once")
        await client.set("go once", 1)

    assert [task.result() for task in wanted] == [1] * 30
    assert await made(client, "once") == 1


async def test_what_one_process_invalidates_none_believes(
    servers: list[ServerProcess], http: AsyncClient, client: Redis
) -> None:
    await client.set("go believed", 1)
    for server in servers:
        assert await read(http, server, "believed") == 1
    await http.post(f"{servers[0].base_url}/invalidate/believed")

    async with asyncio.timeout(4):  # Sooner than copies would cease to be believed.
        while {await read(http, server, "believed") for server in servers} != {2}:  # noqa: ASYNC110 -- the servers are other processes
            await asyncio.sleep(0.005)

    assert await made(client, "believed") == 2
