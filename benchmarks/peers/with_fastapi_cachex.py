"""A route that fastapi-cachex caches, as its documentation says, for all callers."""

from fastapi import FastAPI
from fastapi_cachex import BackendProxy, cache
from fastapi_cachex.backends import MemoryBackend

from benchmarks._http.service import FoundShelf, Item, ItemId, PartCount


def make(*, seconds: int, redis: str) -> FastAPI:
    """Return an application with the route, which keeps in memory: there is no URL of Redis."""
    del redis
    BackendProxy.set(MemoryBackend())
    app = FastAPI()

    # By default it does not cache for callers who have a credential.
    @app.get("/v1/items/{item_id}")
    @cache(ttl=seconds, public=True)
    async def get_item(item_id: ItemId, shelf: FoundShelf, part_count: PartCount = 3) -> Item:
        return shelf.get(item_id, part_count=part_count)

    return app
