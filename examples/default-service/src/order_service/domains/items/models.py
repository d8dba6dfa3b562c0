"""How items are stored."""

from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey, Versioned
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column


class Item(Base, UUIDPrimaryKey, Timestamps, Versioned):
    """Something that is kept in stock, under a name that no other item has."""

    # What is cached under this tag is made anew after each commit that changes an item.
    __cache_tag__ = "items"

    name: Mapped[str] = mapped_column(String(100), unique=True)
    quantity: Mapped[int]
