"""A service of which several processes run at once, and share what they keep of responses."""

import asyncio
from datetime import timedelta

from fastapi import Request

from fastapi_baseline import Settings, create_app
from fastapi_baseline.caching import cached

app = create_app(Settings.load())


@app.get("/slow")
@cached(timedelta(minutes=5))
async def answer_slowly(request: Request) -> int:
    redis = request.app.state.redis
    number: int = await redis.incr("runs of slow")
    while await redis.get("go") is None:  # noqa: ASYNC110 -- the test is another process
        await asyncio.sleep(0.01)
    return number


@app.get("/text")
@cached(timedelta(minutes=5), tags=["text"], public=True)
async def read(request: Request) -> str:
    await request.app.state.redis.incr("runs of text")
    return "a" * 2_000


@app.post("/text")
async def write(request: Request) -> None:
    await request.app.state.cache.invalidate("text")


@app.get("/ready")
async def is_ready() -> None: ...
