from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import JSON, Enum, ForeignKey, LargeBinary, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from fastapi_baseline import create_app
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database, UTCDateTime, UUIDPrimaryKey
from fastapi_baseline.settings import Settings
from fastapi_baseline.testing import add_row


class Base(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {datetime: UTCDateTime, dict[str, Any]: JSON}  # noqa: RUF012 -- as declared


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Shop(Base):
    __tablename__ = "rows_shop"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(8), unique=True)


class Shelf(Base, UUIDPrimaryKey):
    __tablename__ = "rows_shelf"

    shop_id: Mapped[int] = mapped_column(ForeignKey("rows_shop.id"))
    name: Mapped[str]
    size: Mapped[Size] = mapped_column(Enum(Size))
    kind: Mapped[str] = mapped_column(Enum("open", "closed"))
    made_at: Mapped[datetime]
    price: Mapped[Decimal]
    facts: Mapped[dict[str, Any]]
    photo: Mapped[bytes] = mapped_column(LargeBinary)
    token: Mapped[UUID]
    note: Mapped[str | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("rows_shelf.id"))
    count: Mapped[int] = mapped_column(default=7)


class Chain(Base):
    __tablename__ = "rows_chain"

    id: Mapped[int] = mapped_column(primary_key=True)
    next_id: Mapped[int] = mapped_column(ForeignKey("rows_chain.id"))


class Point(UserDefinedType[Any]):
    def get_col_spec(self, **kw: Any) -> str:
        return "BLOB"


class Odd(Base):
    __tablename__ = "rows_odd"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(Point)


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[FastAPI]:
    app = FastAPI()
    app.state.database = Database(database_url, metadata=Base.metadata)
    await app.state.database.create_all()
    yield app
    await app.state.database.dispose()


async def test_makes_up_what_a_row_needs(app: FastAPI) -> None:
    shelf = await add_row(app, Shelf)

    assert (shelf.size, shelf.kind, shelf.count) == (Size.SMALL, "open", 7)
    assert (shelf.note, shelf.parent_id) == (None, None)
    async with app.state.database.transaction() as session:
        assert await session.get(Shop, shelf.shop_id) is not None


async def test_takes_the_values_that_it_is_given(app: FastAPI) -> None:
    shop = await add_row(app, Shop, code="a")

    shelf = await add_row(app, Shelf, shop_id=shop.id, name="Upper", note="heavy")

    assert (shelf.shop_id, shelf.name, shelf.note) == (shop.id, "Upper", "heavy")


async def test_makes_texts_that_are_new_and_short_enough(app: FastAPI) -> None:
    codes = {(await add_row(app, Shop)).code for _ in range(3)}

    assert len(codes) == 3
    assert {len(code) for code in codes} == {8}


async def test_says_what_it_cannot_make_up(app: FastAPI) -> None:
    with pytest.raises(ConfigurationError, match="No value of Odd can be made up"):
        await add_row(app, Odd)

    with pytest.raises(ConfigurationError, match="no row of that can be made up"):
        await add_row(app, Chain)


async def test_asks_for_a_database() -> None:
    app = create_app(Settings(environment="test", database_url=None))

    with pytest.raises(ConfigurationError, match="set DATABASE_URL"):
        await add_row(app, Shop)
