"""The models that the guides to the data layer work with."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey, Versioned


# <start>
class Status(StrEnum):
    OPEN = "open"
    PAID = "paid"
    SHIPPED = "shipped"


class Customer(Base, UUIDPrimaryKey):
    name: Mapped[str]


class Order(Base, UUIDPrimaryKey, Timestamps, Versioned):
    number: Mapped[str] = mapped_column(unique=True)
    status: Mapped[Status] = mapped_column(default=Status.OPEN)
    total: Mapped[int]
    shipped_at: Mapped[datetime | None]
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer] = relationship()
    lines: Mapped[list["Line"]] = relationship()


class Line(Base, UUIDPrimaryKey):
    order_id: Mapped[UUID] = mapped_column(ForeignKey("order.id"))
    sku: Mapped[str]
    quantity: Mapped[int]


# <end>
