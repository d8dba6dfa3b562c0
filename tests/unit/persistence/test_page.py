from dataclasses import dataclass

from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_baseline.persistence import Page
from fastapi_baseline.testing import running


@dataclass
class Lamp:
    name: str
    secret: str


class LampOut(BaseModel):
    name: str


def _page() -> Page[Lamp]:
    return Page(items=[Lamp("a", "x")], total=3, limit=1, offset=2)


def test_converts_its_items() -> None:
    page = _page().map(lambda lamp: lamp.name)

    assert page == Page(items=["a"], total=3, limit=1, offset=2)


async def test_is_a_response_model() -> None:
    app = FastAPI()

    @app.get("/lamps", response_model=Page[LampOut])
    async def list_lamps() -> Page[Lamp]:
        return _page()

    async with running(app) as client:
        answer = (await client.get("/lamps")).json()

    assert answer == {"items": [{"name": "a"}], "total": 3, "limit": 1, "offset": 2}
