"""Transactions and repositories, without the rest."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.orm import Mapped, mapped_column

# <start>
from fastapi_baseline.persistence import (
    Base,
    Database,
    ReadRepository,
    ReadTransaction,
    Repository,
    Transaction,
    UUIDPrimaryKey,
)

# <end>
DATABASE_URL = f"sqlite:///{Path(mkdtemp()) / 'shop.db'}"


# <start-models>
class Lamp(Base, UUIDPrimaryKey):
    """A lamp; its table is called `lamp`."""

    name: Mapped[str] = mapped_column(unique=True)


class LampReader(ReadRepository[Lamp]):
    """Lamps, in a transaction that only reads."""


class LampRepository(LampReader, Repository[Lamp]):
    """Lamps, in a transaction that also writes."""


# <end-models>


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Make the tables, where an application that exists has its migrations."""
    await database.create_all()
    yield


app = FastAPI(lifespan=lifespan)
# <start-attach>
database = Database(DATABASE_URL)
database.attach(app)  # It connects when it is first used, and is closed when the application stops.
# <end-attach>


class LampBody(BaseModel):
    """A lamp, as clients send and get it."""

    name: str


# <start-routes>
@app.post("/lamps", status_code=201)
async def add_lamp(body: LampBody, session: Transaction) -> LampBody:
    """Add a lamp; it is committed before the response is sent."""
    lamp = await LampRepository(session).add(Lamp(name=body.name))
    return LampBody(name=lamp.name)


@app.get("/lamps")
async def list_lamps(session: ReadTransaction) -> list[LampBody]:
    """Return lamps by name."""
    return [*await LampReader(session).list(as_=LampBody, order_by=Lamp.name)]


# <end-routes>
