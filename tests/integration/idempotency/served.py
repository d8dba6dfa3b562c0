"""A service of which several processes run at once, and share a Redis."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI

from fastapi_baseline import Settings
from fastapi_baseline.idempotency import IdempotencyCaptureMiddleware, Idempotent
from fastapi_baseline.idempotency.redis import RedisIdempotencyStore
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers
from fastapi_baseline.redis import create_redis

_url = Settings.load().redis_url
assert _url is not None
redis = create_redis(_url.get_secret_value())


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with redis:
        yield


handlers: dict[Any, Any] = {**make_exception_handlers(validation_status=422)}
bare = FastAPI(lifespan=lifespan, exception_handlers=handlers)


@bare.post("/payments", dependencies=[Depends(Idempotent())])
async def pay(body: dict[str, int]) -> int:
    return await redis.incr("payments")


@bare.post("/slow", dependencies=[Depends(Idempotent())])
async def pay_slowly() -> int:
    number: int = await redis.incr("payments")
    while await redis.get("go") is None:  # noqa: ASYNC110 -- the test is another process
        await asyncio.sleep(0.01)
    return number


@bare.get("/ready")
async def is_ready() -> None: ...


app = IdempotencyCaptureMiddleware(bare, store=RedisIdempotencyStore(redis))
