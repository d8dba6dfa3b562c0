"""One route whose answer is cached or limited, as every contender of those benchmarks serves it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi import FastAPI

from benchmarks._http.apps import Wanted, ours
from benchmarks._http.service import FoundShelf, Item, ItemId, PartCount
from fastapi_baseline.redis import CircuitBreaker, GuardedRedis, create_redis

ROUTE = "/v1/items/{item_id}"
DEADLINE = timedelta(milliseconds=50)
Decorate = Callable[[Callable[..., Any]], Callable[..., Any]]


async def get_item(item_id: ItemId, shelf: FoundShelf, part_count: PartCount = 3) -> Item:
    """Return an item."""
    return shelf.get(item_id, part_count=part_count)


def add_route(app: FastAPI, decorate: Decorate | None = None) -> FastAPI:
    """Add the route to an application, decorated or not."""
    app.get(ROUTE, response_model=Item)(decorate(get_item) if decorate else get_item)
    return app


def in_create_app(decorate: Decorate | None = None) -> FastAPI:
    """Return what `create_app` makes, with the route, which comes before all that it has."""
    app = add_route(ours(Wanted(routes=0)), decorate)
    routes = app.router.routes
    routes.insert(0, routes.pop())
    return app


def make_guard(url: str) -> GuardedRedis:
    """Return what the cache and the limits ask Redis through, as a service is set up."""
    return GuardedRedis(create_redis(url), deadline=DEADLINE, breaker=CircuitBreaker())


@asynccontextmanager
async def guarded(guard: GuardedRedis, app: FastAPI) -> AsyncGenerator[None]:
    """Try whether Redis is back while an application runs, and close the client afterwards."""
    async with guard.lifespan(app):
        yield
    await guard.client.aclose()
