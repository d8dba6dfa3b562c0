"""What clients send and get."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi_baseline.persistence import CursorQuery, Range
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from order_service.domains.items.models import Item

# And without NUL, which PostgreSQL cannot store.
NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=NOT_BLANK)
]
Quantity = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]


class ItemIn(BaseModel):
    """A new item."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Blue lamp", "quantity": 3}]}
    )

    name: Name
    quantity: Quantity = 0


class ItemChanges(BaseModel):
    """What to change about an item; what is left out stays, whatever its default here."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"quantity": 2}]})

    name: Name = ""
    quantity: Quantity = 0


class ItemQuery(
    CursorQuery[Item],
    sort=(Item.name, Item.quantity, Item.created_at),
    default_sort="name",
    search=(Item.name,),
):
    """What a list of items can be filtered, searched and sorted by; nothing else can."""

    quantity: Annotated[Range[int] | None, Field(examples=[1])] = None
    created_at: Annotated[Range[datetime] | None, Field(examples=["2026-01-31T09:30:00Z"])] = None


class ItemOut(BaseModel):
    """An item, as it is stored."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0199c2a4-7f3e-7b1c-9d52-3f0a6c8e1b47",
                    "name": "Blue lamp",
                    "quantity": 3,
                    "created_at": "2026-01-31T09:30:00Z",
                    "updated_at": "2026-01-31T09:30:00Z",
                    "version": 1,
                }
            ]
        },
    )

    id: UUID
    name: str
    quantity: int
    created_at: datetime
    updated_at: datetime
    version: int
