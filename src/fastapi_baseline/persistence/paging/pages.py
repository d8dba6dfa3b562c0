"""Parts of a list, as responses: numbered pages, slices that are not counted, and cursor pages.

All of them are response models, `Page[OrderOut]`, and say in `Link` headers where to go on
(RFC 8288), so that a client need not know their parameters:

    page = await orders.page(query, as_=OrderOut)
    return page.add_links(request, response)
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Literal, Self, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import Response

ItemT = TypeVar("ItemT")
OtherT = TypeVar("OtherT")

TotalIs = Literal["exact", "at_least", "estimated", "unknown"]
"""How far a total can be relied on."""

_Parameters = Mapping[str, str | int | None]

# What a path may hold unescaped (RFC 3986, section 3.3); the rest could end the header's URL.
_PATH_CHARACTERS = "/%:@!$&'()*+,;=~"


class _Part(BaseModel, Generic[ItemT]):
    """What all parts of lists have in common."""

    model_config = ConfigDict(arbitrary_types_allowed=True, from_attributes=True, frozen=True)

    items: list[ItemT]

    def links(self, url: str | URL) -> dict[str, str]:
        """Return the URLs of other parts of the list, by relation: `next`, `prev`, ...

        They are that of this part with other parameters, and relative to its host, which a
        service behind a proxy may not know.
        """
        parts = URL(url) if isinstance(url, str) else url
        path = quote(parts.path, safe=_PATH_CHARACTERS)
        asked = parse_qsl(parts.query, keep_blank_values=True)
        return {
            relation: _relative(path, asked, parameters)
            for relation, parameters in self._neighbours().items()
        }

    def add_links(self, request: Request, response: Response) -> Self:
        """Name other parts of the list in the response's `Link` header, and return this one."""
        links = self.links(request.url).items()
        value = ", ".join(f'<{url}>; rel="{relation}"' for relation, url in links)
        response.headers.append("Link", value)
        return self

    @abstractmethod
    def _neighbours(self) -> dict[str, _Parameters]:
        """Return what other parts are asked for with, by relation."""
        ...


class Page(_Part[ItemT], Generic[ItemT]):
    """One page of a list, with the number of everything in the list."""

    total: int | None = Field(description="How many items there are on all pages, if known")
    total_is: TotalIs = Field(default="exact", description="How far the total can be relied on")
    limit: int = Field(description="How many items a page holds at most")
    offset: int = Field(description="How many items come before this page")

    def map(self, convert: Callable[[ItemT], OtherT]) -> "Page[OtherT]":
        """Return the page with each item converted."""
        return Page(
            items=[convert(item) for item in self.items],
            total=self.total,
            total_is=self.total_is,
            limit=self.limit,
            offset=self.offset,
        )

    def _neighbours(self) -> dict[str, _Parameters]:
        end = self.offset + self.limit
        has_next = len(self.items) == self.limit
        last: int | None = None
        if self.total is not None and self.total_is == "exact":
            has_next = has_next and end < self.total
            last = max(self.total - 1, 0) // self.limit * self.limit
        return _numbered(self.offset, self.limit, has_next=has_next, last=last)


class Slice(_Part[ItemT], Generic[ItemT]):
    """One page of a list that is not counted; it says whether there is another one."""

    limit: int = Field(description="How many items a slice holds at most")
    offset: int = Field(description="How many items come before this slice")
    has_next: bool = Field(description="Whether there are items after this slice")

    def map(self, convert: Callable[[ItemT], OtherT]) -> "Slice[OtherT]":
        """Return the slice with each item converted."""
        return Slice(
            items=[convert(item) for item in self.items],
            limit=self.limit,
            offset=self.offset,
            has_next=self.has_next,
        )

    def _neighbours(self) -> dict[str, _Parameters]:
        return _numbered(self.offset, self.limit, has_next=self.has_next)


class CursorPage(_Part[ItemT], Generic[ItemT]):
    """One page of a list that is asked for by where the one before or after it ends.

    However far it is from the beginning, it is found as fast as the first one, and what is added
    or removed meanwhile makes no item come twice or get lost.
    """

    limit: int = Field(description="How many items a page holds at most")
    next: str | None = Field(default=None, description="The cursor of the page that follows")
    previous: str | None = Field(default=None, description="The cursor of the page before")

    def map(self, convert: Callable[[ItemT], OtherT]) -> "CursorPage[OtherT]":
        """Return the page with each item converted."""
        return CursorPage(
            items=[convert(item) for item in self.items],
            limit=self.limit,
            next=self.next,
            previous=self.previous,
        )

    def _neighbours(self) -> dict[str, _Parameters]:
        neighbours: dict[str, _Parameters] = {"first": {"cursor": None}}
        if self.previous is not None:
            neighbours["prev"] = {"cursor": self.previous}
        if self.next is not None:
            neighbours["next"] = {"cursor": self.next}
        return neighbours


def _numbered(
    offset: int, limit: int, *, has_next: bool, last: int | None = None
) -> dict[str, _Parameters]:
    neighbours: dict[str, _Parameters] = {"first": {"offset": None}}
    if offset > 0:
        neighbours["prev"] = {"offset": max(offset - limit, 0) or None}
    if has_next:
        neighbours["next"] = {"offset": offset + limit}
    if last is not None:
        neighbours["last"] = {"offset": last or None}
    return neighbours


def _relative(path: str, asked: Iterable[tuple[str, str]], parameters: _Parameters) -> str:
    kept: list[tuple[str, Any]] = [(name, value) for name, value in asked if name not in parameters]
    given = [(name, value) for name, value in parameters.items() if value is not None]
    query = urlencode([*kept, *given])
    return f"{path}?{query}" if query else path
