"""The tables of the data benchmark, which all contenders share, and what fills them."""

from dataclasses import dataclass
from itertools import count
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Uuid,
    inspect,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from fastapi_baseline.ids import uuid7

# On SQLite only INTEGER is the key of the table itself.
_Id = BigInteger().with_variant(Integer(), "sqlite")


class Plain(DeclarativeBase):
    """A base that is nobody's in particular."""


class Product(Plain):
    """What is written: a key that the service makes, and a unique column beside it."""

    __tablename__ = "product"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=lambda: uuid7())  # noqa: PLW0108 - SQLAlchemy would pass its context
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    price: Mapped[int]
    stock: Mapped[int] = mapped_column(default=0)


class Event(Plain):
    """What is listed: many rows, in the order of an index, with ties."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "rank", "id"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    rank: Mapped[int]
    amount: Mapped[int]
    kind: Mapped[str]
    title: Mapped[str]
    note: Mapped[str | None]


class Counter(Plain):
    """What several writers increase at once."""

    __tablename__ = "counter"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as SQLAlchemy declares it


class Customer(Plain):
    """Who has orders."""

    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Line(Plain):
    """A line of an order."""

    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    sku: Mapped[str]


class Order(Plain):
    """What has a relation to one, and one to many."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer] = relationship()
    lines: Mapped[list[Line]] = relationship(order_by=Line.id)


class Wide(Plain):
    """30 columns, of which 6 are asked for."""

    __table__ = Table(
        "wide",
        Plain.metadata,
        Column("id", Integer, primary_key=True),
        *(Column(f"c{number:02}", String) for number in range(29)),
    )


class Item(Plain):
    """What is posted: row 16."""

    __tablename__ = "item"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str]


class _Schema(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ProductPatch(_Schema):
    """What a client changes of a product."""

    price: int | None = None


class ProductIn(_Schema):
    """What a client sends to make a product, or to replace it."""

    id: UUID
    code: str
    name: str
    price: int
    stock: int = 0


class EventOut(_Schema):
    """An event, as it is answered."""

    id: int
    rank: int
    amount: int
    kind: str
    title: str
    note: str | None


class CustomerOut(_Schema):
    """A customer, as it is answered."""

    id: int
    name: str


class LineOut(_Schema):
    """A line, as it is answered."""

    id: int
    sku: str


class OrderOut(_Schema):
    """An order with its customer and its lines, as it is answered."""

    id: int
    customer: CustomerOut
    lines: list[LineOut]


class Narrow(_Schema):
    """6 of the 30 columns."""

    id: int
    c00: str
    c01: str
    c02: str
    c03: str
    c04: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many rows there are, and how many an operation is for."""

    events: int = 1_000_000
    products: int = 10_000
    wide: int = 1_000
    orders: int = 500
    many: tuple[int, int] = (1_000, 10_000)
    bulk: tuple[int, int] = (10_000, 100_000)
    deleted: int = 10_000
    posts: int = 1_000
    increments: int = 25
    rounds: int = 7
    row_seconds: float = 6.0
    """How long a row takes, once each contender has had its turns."""

    @property
    def deep(self) -> int:
        """Return the offset of a page that is deep in the table: 900,000 of 1,000,000."""
        return self.events * 9 // 10

    @property
    def shallow(self) -> int:
        """Return the offset of a page that is not so deep: 10,000 of 1,000,000."""
        return self.events // 100


QUICK = Sizes(
    events=50_000,
    products=1_000,
    many=(100, 1_000),
    bulk=(1_000, 5_000),
    deleted=1_000,
    posts=100,
    increments=5,
    rounds=3,
    row_seconds=1.5,
)
PAGE = 50
FEW_RANKS = 10
"""How many ranks have fewer events together than a page."""
TIES = 3
"""How many events have the same rank."""


def table_of(model: type[Plain]) -> Table:
    """Return the table of a model, for statements that make no entities."""
    return cast("Table", inspect(model).local_table)


def rank_of(event_id: int) -> int:
    """Return the rank of an event, by which they are in the order of their keys."""
    return event_id // TIES


def product(number: int, prefix: str = "new") -> dict[str, Any]:
    """Return the values of a product, but for its key."""
    return {"code": f"{prefix}-{number}", "name": f"Product {number}", "price": number % 997}


_prices = count(-1, -1)


def new_price() -> int:
    """Return a price that no product has had."""
    return next(_prices)


def changed(number: int, known: int) -> dict[str, Any]:
    """Return the values of one of the known products, with a new price."""
    return {**product(number % known, "old"), "price": new_price()}
