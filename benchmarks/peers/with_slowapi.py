"""A route that slowapi limits, as its documentation says, with headers as ours has them."""

from fastapi import FastAPI, Request, Response
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIMiddleware
from slowapi.util import get_remote_address

from benchmarks._http.service import FoundShelf, Item, ItemId, PartCount


def make(*, quota: str, redis: str | None, has_layer: bool) -> FastAPI:
    """Return an application with the route; without the URL of Redis it counts in memory.

    With the layer the limit is the default of all routes, as ours may be. Without, it is the
    route's own, and nothing else could be limited.
    """
    limiter = Limiter(
        key_func=get_remote_address,
        headers_enabled=True,
        storage_uri=redis,
        default_limits=[quota] if has_layer else [],
    )
    app = FastAPI()
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    if has_layer:
        app.add_middleware(SlowAPIMiddleware)
        app.get(_ROUTE, response_model=Item)(_get_item)
    else:
        app.get(_ROUTE, response_model=Item)(limiter.limit(quota)(_get_limited_item))
    return app


_ROUTE = "/v1/items/{item_id}"


async def _get_item(item_id: ItemId, shelf: FoundShelf, part_count: PartCount = 3) -> Item:
    return shelf.get(item_id, part_count=part_count)


# It is by the names of the first two that slowapi finds what it needs.
async def _get_limited_item(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request,  # noqa: ARG001 - as above
    response: Response,  # noqa: ARG001 - as above
    item_id: ItemId,
    shelf: FoundShelf,
    part_count: PartCount = 3,
) -> Item:
    return shelf.get(item_id, part_count=part_count)
