"""The service that every contender serves: routers of ten routes, the first of which is asked."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from pydantic import BaseModel

ROUTES_IN_A_ROUTER = 10
PATH = "/v1/items/42"
QUERY = "part_count=3"
TARGET = f"{PATH}?{QUERY}"
ORIGIN = "https://app.example.com"
# What a client behind a proxy sends; also those headers that only some of the layers read.
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Authorization": "Bearer not-a-secret",
    "Host": "api.example.com",
    "Origin": ORIGIN,
    "User-Agent": "benchmark",
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Proto": "https",
}


class Part(BaseModel):
    """What an item is made of."""

    name: str
    weight: float


class Item(BaseModel):
    """What is answered: small enough not to be compressed."""

    id: int
    name: str
    tags: list[str]
    parts: list[Part]
    price: float
    in_stock: bool


class Shelf:
    """Where items are found; instead of a database, which would hide what is measured."""

    def get(self, item_id: int, *, part_count: int) -> Item:
        """Return an item."""
        parts = [Part(name=f"part {number}", weight=1.5) for number in range(part_count)]
        return Item(
            id=item_id,
            name="A thing that is sold",
            tags=["new", "blue"],
            parts=parts,
            price=9.5,
            in_stock=True,
        )


_SHELF = Shelf()


async def get_shelf() -> Shelf:
    """Return where items are found, as a dependency of every route."""
    return _SHELF


ItemId = Annotated[int, Path(ge=1)]
PartCount = Annotated[int, Query(ge=0, le=100)]
FoundShelf = Annotated[Shelf, Depends(get_shelf)]


def add_routes(app: FastAPI, count: int, *, asked_last: bool = False) -> FastAPI:
    """Add so many routes to an application, the one that is asked before or after the others."""
    others = max(count // ROUTES_IN_A_ROUTER - 1, 0)
    routers = [_items(), *(_others(number) for number in range(others))]
    for router in reversed(routers) if asked_last else routers:
        app.include_router(router, prefix="/v1")
    return app


async def _get_item(item_id: ItemId, shelf: FoundShelf, part_count: PartCount = 3) -> Item:
    return shelf.get(item_id, part_count=part_count)


def _items() -> APIRouter:
    router = APIRouter(prefix="/items")
    router.get("/{item_id}")(_get_item)
    for number in range(1, ROUTES_IN_A_ROUTER):
        router.get(f"/{{item_id}}/part-{number}")(_get_item)
    return router


def _others(number: int) -> APIRouter:
    router = APIRouter(prefix=f"/others-{number}")
    for part in range(ROUTES_IN_A_ROUTER):
        router.get(f"/part-{part}/{{item_id}}")(_get_item)
    return router
