"""Items over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status
from fastapi_baseline.auth import RequireScopes
from fastapi_baseline.caching import cached
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.persistence import (
    CursorPage,
    IfMatch,
    InvalidCursorError,
    ReadTransaction,
    Transaction,
    UniqueViolationError,
    etag_of,
)
from fastapi_baseline.problems import problem_responses
from fastapi_baseline.rate_limiting import RateLimiter
from fastapi_baseline.response_headers import response_headers

from order_service.domains.items.models import Item
from order_service.domains.items.repository import ItemReader, ItemRepository
from order_service.domains.items.schemas import (
    ItemChanges,
    ItemIn,
    ItemOut,
    ItemQuery,
)
from order_service.domains.items.service import ItemInStockError, ItemService

router = APIRouter(
    prefix="/items",
    tags=["items"],
    dependencies=[Depends(RequireScopes(any=["items:read", "items:write"]))],
)
WRITERS = [Depends(RequireScopes(all=["items:write"]))]
limiter = RateLimiter()


async def _read(session: ReadTransaction) -> ItemReader:
    return ItemReader(session)


async def _write(session: Transaction) -> ItemRepository:
    return ItemRepository(session)


async def _serve(items: Annotated[ItemRepository, Depends(_write)]) -> ItemService:
    return ItemService(items)


ItemId = Annotated[UUID, Path(examples=["0199c2a4-7f3e-7b1c-9d52-3f0a6c8e1b47"])]
ItemsToRead = Annotated[ItemReader, Depends(_read)]
ItemsToWrite = Annotated[ItemRepository, Depends(_write)]
Items = Annotated[ItemService, Depends(_serve)]


@router.get(
    "",
    summary="List items",
    responses=response_headers(200, "ETag", "Link") | problem_responses(InvalidCursorError),
)
@cached(expire=30, tags=["items"])
async def list_items(
    query: Annotated[ItemQuery, Query()], items: ItemsToRead, request: Request, response: Response
) -> CursorPage[ItemOut]:
    """Return the items that meet every filter, a page at a time."""
    page = await items.scroll(query, as_=ItemOut)
    page.add_links(request, response)
    return page


@router.get(
    "/{item_id}",
    summary="Get an item",
    response_model=ItemOut,
    responses=response_headers(200, "ETag") | problem_responses(NotFoundError),
)
async def get_item(item_id: ItemId, items: ItemsToRead, response: Response) -> Item:
    """Return one item; its `ETag` is what a change asks for in `If-Match`."""
    item = await items.get(item_id)
    response.headers["ETag"] = etag_of(item)
    return item


@router.post(
    "",
    summary="Add an item",
    dependencies=WRITERS,
    response_model=ItemOut,
    status_code=status.HTTP_201_CREATED,
    responses=response_headers(201, "ETag", "Location") | problem_responses(UniqueViolationError),
)
@limiter.limit("60/minute")
async def add_item(body: ItemIn, items: Items, request: Request, response: Response) -> Item:
    """Add an item under a name that no other item has."""
    item = await items.add(name=body.name, quantity=body.quantity)
    response.headers["Location"] = request.url_for("get_item", item_id=item.id).path
    response.headers["ETag"] = etag_of(item)
    return item


@router.patch(
    "/{item_id}",
    summary="Change an item",
    dependencies=WRITERS,
    response_model=ItemOut,
    responses=response_headers(200, "ETag")
    | problem_responses(NotFoundError, UniqueViolationError),
)
async def change_item(
    item_id: ItemId, body: ItemChanges, items: ItemsToWrite, if_match: IfMatch, response: Response
) -> Item:
    """Change what the body names and leave the rest, if nobody else has changed it meanwhile."""
    item = await items.patch(item_id, body, expected_version=if_match)
    response.headers["ETag"] = etag_of(item)
    return item


@router.delete(
    "/{item_id}",
    summary="Remove an item",
    dependencies=WRITERS,
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(NotFoundError, ItemInStockError),
)
async def remove_item(item_id: ItemId, items: Items) -> None:
    """Remove an item that is out of stock."""
    await items.remove(item_id)
