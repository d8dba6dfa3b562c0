"""FastAPI and SQLAlchemy alone, with the routes and the model of the template's example."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 -- as such applications do


class Base(DeclarativeBase):
    """The declarative base."""


class Item(Base):
    """Something that is kept in stock, under a name that no other item has."""

    __tablename__ = "items"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    created_at: Mapped[datetime] = mapped_column(default=_now)
    updated_at: Mapped[datetime] = mapped_column(default=_now, onupdate=_now)
    version: Mapped[int] = mapped_column(default=1)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    quantity: Mapped[int]


class ItemIn(BaseModel):
    """A new item."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    quantity: Annotated[int, Field(ge=0)] = 0


class ItemChanges(BaseModel):
    """What to change about an item."""

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    quantity: Annotated[int, Field(ge=0)] | None = None


class ItemOut(BaseModel):
    """An item, as it is stored."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    quantity: int
    created_at: datetime
    updated_at: datetime
    version: int


class ItemPage(BaseModel):
    """Some of the items."""

    items: list[ItemOut]


engine = create_async_engine("sqlite+aiosqlite:///bare.db")
sessions = async_sessionmaker(engine)


async def _begin() -> AsyncGenerator[AsyncSession]:
    async with sessions.begin() as session:
        yield session


Session = Annotated[AsyncSession, Depends(_begin)]
router = APIRouter(prefix="/items", tags=["items"])


@router.get("")
async def list_items(session: Session, limit: Annotated[int, Field(le=100)] = 20) -> ItemPage:
    """Return the first items."""
    found = await session.scalars(select(Item).limit(limit))
    return ItemPage(items=[ItemOut.model_validate(item) for item in found])


@router.get("/{item_id}", response_model=ItemOut)
async def get_item(item_id: UUID, session: Session) -> Item:
    """Return one item."""
    return await session.get_one(Item, item_id)


@router.post("", response_model=ItemOut, status_code=201)
async def add_item(body: ItemIn, session: Session) -> Item:
    """Add an item."""
    item = Item(name=body.name, quantity=body.quantity)
    session.add(item)
    await session.flush()
    return item


@router.patch("/{item_id}", response_model=ItemOut)
async def change_item(item_id: UUID, body: ItemChanges, session: Session) -> Item:
    """Change what the body names."""
    item = await session.get_one(Item, item_id)
    for name, value in body.model_dump(exclude_unset=True).items():
        setattr(item, name, value)
    return item


@router.delete("/{item_id}", status_code=204)
async def remove_item(item_id: UUID, session: Session) -> None:
    """Remove an item."""
    await session.delete(await session.get_one(Item, item_id))


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    async with engine.connect():
        pass
    yield
    await engine.dispose()


app = FastAPI(lifespan=_lifespan)
app.include_router(router)


@app.get("/livez")
@app.get("/readyz")
@app.get("/startupz")
async def probe() -> dict[str, str]:
    """Say that the process is there."""
    return {"status": "ok"}
