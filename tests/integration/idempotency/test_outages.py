import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline.idempotency import (
    IdempotencyCaptureMiddleware,
    IdempotencyUnavailableError,
    Idempotent,
    StoredResponse,
)
from fastapi_baseline.idempotency.redis import RedisIdempotencyStore
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers
from fastapi_baseline.redis import create_redis
from fastapi_baseline.testing.server import free_port

MINUTE = timedelta(minutes=1)
BRIEFLY = timedelta(milliseconds=50)


@asynccontextmanager
async def silent_server() -> AsyncGenerator[str]:
    """Give the URL of a server that accepts connections, and never says anything."""
    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        gone.set()


@asynccontextmanager
async def absent_server() -> AsyncGenerator[str]:
    yield f"redis://127.0.0.1:{free_port()}/0"


@pytest.mark.parametrize("server", [silent_server, absent_server], ids=["silent", "absent"])
async def test_nothing_is_carried_out_without_redis(server: Any) -> None:
    handlers: dict[Any, Any] = {**make_exception_handlers(validation_status=422)}
    bare = FastAPI(exception_handlers=handlers)
    carried_out: list[int] = []

    @bare.post("/", dependencies=[Depends(Idempotent())])
    async def work() -> None:
        carried_out.append(1)

    async with server() as url, create_redis(url, reply_timeout=BRIEFLY) as redis:
        app = IdempotencyCaptureMiddleware(bare, store=RedisIdempotencyStore(redis))
        transport = ASGITransport(app=app)
        async with AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.post("/", headers={"Idempotency-Key": "abc"})

    assert (response.status_code, response.json()["code"]) == (503, "idempotency_unavailable")
    assert response.headers["retry-after"] == "1"
    assert carried_out == []


async def test_every_method_says_that_redis_is_gone() -> None:
    response = StoredResponse(status=200, headers=[], body=b"")

    async with absent_server() as url, create_redis(url) as redis:
        store = RedisIdempotencyStore(redis)

        with pytest.raises(IdempotencyUnavailableError):
            await store.complete("k", token="t", response=response, lifetime=MINUTE)
        with pytest.raises(IdempotencyUnavailableError):
            await store.release("k", token="t")


async def test_goes_on_when_redis_has_forgotten_its_scripts_and_connections(
    redis: Any,
) -> None:
    store = RedisIdempotencyStore(redis)
    await store.claim("k", token="t", fingerprint="f", lock_timeout=MINUTE)
    await redis.script_flush()
    await redis.client_kill_filter(_type="normal", skipme=False)

    record = await store.claim("k", token="u", fingerprint="f", lock_timeout=MINUTE)

    assert record is not None


async def test_services_keep_their_keys_apart(redis: Any) -> None:
    stores = [RedisIdempotencyStore(redis, namespace=name) for name in ("shop", "bank")]

    found = [
        await store.claim("k", token="t", fingerprint="f", lock_timeout=MINUTE) for store in stores
    ]

    assert found == [None, None]
    assert await redis.dbsize() == 2
