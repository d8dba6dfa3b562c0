"""A part of a list, with the number of everything in it."""

from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

ItemT = TypeVar("ItemT")
OtherT = TypeVar("OtherT")


class Page(BaseModel, Generic[ItemT]):
    """One page of a list; usable as a response model: `Page[ItemOut]`."""

    model_config = ConfigDict(arbitrary_types_allowed=True, from_attributes=True, frozen=True)

    items: list[ItemT]
    total: int = Field(description="How many there are on all pages")
    limit: int = Field(description="How many a page holds at most")
    offset: int = Field(description="How many come before this page")

    def map(self, convert: Callable[[ItemT], OtherT]) -> "Page[OtherT]":
        """Return the page with each item converted."""
        items = [convert(item) for item in self.items]
        return Page(items=items, total=self.total, limit=self.limit, offset=self.offset)
