import asyncio
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from fastapi_baseline.redis import create_redis
from fastapi_baseline.testing import RedisServer, ServerProcess, uvicorn_server

# Each process has an address of its own; a proxy in front of them gives them one name.
HOST = {"Host": "shop.example"}


@pytest.fixture(scope="module")
def redis_url(redis_server: RedisServer) -> Generator[str]:
    """Give the one that the servers share; each test counts the runs of another route."""
    with redis_server.database() as url:
        yield url


@pytest.fixture(scope="module")
def servers(redis_url: str) -> Generator[list[ServerProcess]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                uvicorn_server(
                    "served_responses:app",
                    ready_path="/ready",
                    cwd=Path(__file__).parent,
                    # Who has to wait for a core must not take Redis for dead.
                    env={
                        "REDIS_URL": redis_url,
                        "REDIS__DEADLINE": "5",
                        "ENVIRONMENT": "test",
                    },
                )
            )
            for _ in range(4)
        ]


async def test_of_thirty_at_once_in_four_processes_one_runs(
    servers: list[ServerProcess], redis_url: str
) -> None:
    redis: Any = create_redis(redis_url)
    async with redis, AsyncClient(headers=HOST, timeout=30) as client, asyncio.TaskGroup() as group:
        asked = [
            group.create_task(client.get(f"{servers[number % 4].base_url}/slow"))
            for number in range(30)
        ]
        while await redis.get("runs of slow") is None:  # noqa: ASYNC110 -- the server is another process
            await asyncio.sleep(0.01)
        await redis.set("go", "1")
        answers = await asyncio.gather(*asked)
        runs = await redis.get("runs of slow")

    assert runs == b"1"
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "1")}
    outcomes = [answer.headers["cache-status"] for answer in answers]
    assert outcomes.count("baseline; fwd=miss; stored") == 1


async def test_what_one_process_has_made_and_invalidated_is_so_for_all(
    servers: list[ServerProcess], redis_url: str
) -> None:
    redis: Any = create_redis(redis_url)
    async with redis, AsyncClient(headers=HOST, timeout=30) as client:
        urls = [f"{server.base_url}/text" for server in servers]
        first = [await client.get(url) for url in urls * 2]
        before = await redis.get("runs of text")
        await client.post(urls[0])
        second = [await client.get(url) for url in urls]
        after = await redis.get("runs of text")

    assert (before, after) == (b"1", b"2")
    assert len({answer.headers["etag"] for answer in [*first, *second]}) == 1
    assert [answer.headers["cache-status"].split(";")[1] for answer in first[1:]] == [" hit"] * 7
    assert first[-1].headers["content-encoding"]
