from dataclasses import dataclass
from typing import Any, cast

import pytest
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from fastapi_baseline.persistence.paging.pages import CursorPage, Page, Slice
from fastapi_baseline.testing import running


@dataclass
class Lamp:
    name: str
    secret: str


class LampOut(BaseModel):
    name: str


_LAMPS = [Lamp("a", "x"), Lamp("b", "x")]
_URL = "http://host/lamps?on=true&offset=4"


def _page(**changes: Any) -> Page[Lamp]:
    values: dict[str, Any] = {"items": _LAMPS, "total": 9, "limit": 2, "offset": 4, **changes}
    return Page(**values)


@pytest.mark.parametrize(
    "part",
    [
        _page(total_is="at_least"),
        Slice(items=_LAMPS, limit=2, offset=4, has_next=True),
        CursorPage(items=_LAMPS, limit=2, next="n", previous="p"),
    ],
)
def test_converts_its_items_and_nothing_else(
    part: Page[Lamp] | Slice[Lamp] | CursorPage[Lamp],
) -> None:
    converted = part.map(lambda lamp: lamp.name)

    assert converted.items == ["a", "b"]
    assert converted.model_dump(exclude={"items"}) == part.model_dump(exclude={"items"})


async def test_are_response_models() -> None:
    app = FastAPI()

    @app.get("/page", response_model=Page[LampOut])
    async def page() -> Page[Lamp]:
        return _page()

    @app.get("/slice", response_model=Slice[LampOut])
    async def slice_() -> Slice[Lamp]:
        return Slice(items=_LAMPS, limit=2, offset=4, has_next=True)

    @app.get("/scroll", response_model=CursorPage[LampOut])
    async def scroll() -> CursorPage[Lamp]:
        return CursorPage(items=_LAMPS, limit=2, next="n")

    async with running(app) as client:
        answers = [(await client.get(path)).json() for path in ("/page", "/slice", "/scroll")]

    items = [{"name": "a"}, {"name": "b"}]
    assert answers == [
        {"items": items, "total": 9, "total_is": "exact", "limit": 2, "offset": 4},
        {"items": items, "limit": 2, "offset": 4, "has_next": True},
        {"items": items, "limit": 2, "next": "n", "previous": None},
    ]


@pytest.mark.parametrize(
    ("page", "links"),
    [
        (
            _page(),
            {
                "first": "/lamps?on=true",
                "prev": "/lamps?on=true&offset=2",
                "next": "/lamps?on=true&offset=6",
                "last": "/lamps?on=true&offset=8",
            },
        ),
        (_page(offset=0, total=2), {"first": "/lamps?on=true", "last": "/lamps?on=true"}),
        (
            _page(offset=1, total=3),
            {
                "first": "/lamps?on=true",
                "prev": "/lamps?on=true",
                "last": "/lamps?on=true&offset=2",
            },
        ),
        (
            _page(offset=0, total=4),
            {
                "first": "/lamps?on=true",
                "next": "/lamps?on=true&offset=2",
                "last": "/lamps?on=true&offset=2",
            },
        ),
        (
            _page(offset=0, total=None, total_is="unknown"),
            {"first": "/lamps?on=true", "next": "/lamps?on=true&offset=2"},
        ),
        (
            _page(offset=0, total=2, total_is="estimated"),
            {"first": "/lamps?on=true", "next": "/lamps?on=true&offset=2"},
        ),
        (
            _page(offset=8, items=[], total=4, total_is="at_least"),
            {"first": "/lamps?on=true", "prev": "/lamps?on=true&offset=6"},
        ),
        (
            Slice(items=_LAMPS, limit=2, offset=2, has_next=True),
            {
                "first": "/lamps?on=true",
                "prev": "/lamps?on=true",
                "next": "/lamps?on=true&offset=4",
            },
        ),
        (Slice(items=_LAMPS, limit=2, offset=0, has_next=False), {"first": "/lamps?on=true"}),
    ],
)
def test_knows_where_other_pages_are(page: Page[Lamp] | Slice[Lamp], links: dict[str, str]) -> None:
    assert page.links(_URL) == links


def test_knows_the_cursors_of_other_pages() -> None:
    page = CursorPage(items=_LAMPS, limit=2, next="n-_", previous="p")

    assert page.links("http://host/lamps?cursor=old&limit=2") == {
        "first": "/lamps?limit=2",
        "prev": "/lamps?limit=2&cursor=p",
        "next": "/lamps?limit=2&cursor=n-_",
    }


def test_keeps_other_parameters_as_they_are() -> None:
    page = CursorPage(items=_LAMPS, limit=2, next="n")

    links = page.links("http://host/lamps?status=a&status=b&made%5Bgte%5D=1%2B1&empty=&cursor=x")

    assert links["next"] == "/lamps?status=a&status=b&made%5Bgte%5D=1%2B1&empty=&cursor=n"


async def test_names_other_pages_in_the_link_header() -> None:
    app = FastAPI()

    @app.get("/lamps/{room}")
    async def lamps(room: str, request: Request, response: Response) -> CursorPage[LampOut]:
        page = CursorPage(items=[LampOut(name="a")], limit=1, next="n", previous="p")
        return page.add_links(request, response)

    async with running(app) as client:
        answer = await client.get("/lamps/hall?cursor=old&limit=1", headers={"Host": "evil"})
        following = cast("dict[str, Any]", answer.links)["next"]["url"]

    assert answer.headers["Link"] == (
        '</lamps/hall?limit=1>; rel="first", '
        '</lamps/hall?limit=1&cursor=p>; rel="prev", '
        '</lamps/hall?limit=1&cursor=n>; rel="next"'
    )
    assert following == "/lamps/hall?limit=1&cursor=n"


async def test_lets_no_path_or_query_end_the_header_early() -> None:
    app = FastAPI()

    @app.get("/lamps/{room}")
    async def lamps(room: str, request: Request, response: Response) -> Page[LampOut]:
        page = Page(items=[LampOut(name="a")], total=2, limit=1, offset=0)
        return page.add_links(request, response)

    async with running(app) as client:
        answer = await client.get('/lamps/%3E; rel="x"%0D%0AX-Evil: 1?q=%3E,%0D%0A"é')

    assert answer.status_code == 200
    assert "X-Evil" not in answer.headers
    assert answer.headers["Link"].count(">") == 3
