"""Probes of fastapi-pagination, with sqlakeyset for its cursors."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from fastapi_pagination import Page, add_pagination
from fastapi_pagination.cursor import CursorPage
from fastapi_pagination.ext.sqlalchemy import apaginate
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers.defects.database import check_types, counted, sessions
from benchmarks.peers.defects.models import Account, Base
from benchmarks.peers.defects.probe import Seen, client, probe

PEER = "fastapi-pagination"


class AccountOut(BaseModel):
    """What is answered."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    name: str
    rank: int | None


class OrderOut(BaseModel):
    """An order in an account."""

    model_config = ConfigDict(from_attributes=True)
    id: int


class AccountWithOrders(AccountOut):
    """What is answered with a relation that no loader option names."""

    orders: list[OrderOut]


@asynccontextmanager
async def _served(rows: Sequence[Account]) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of an application that has these rows."""
    async with sessions(Base.metadata) as make:
        async with make() as session:
            session.add_all(rows)
            await session.commit()

        async def get_session() -> AsyncGenerator[AsyncSession]:
            async with make() as session:
                yield session

        db_session = Annotated[AsyncSession, Depends(get_session)]
        app = FastAPI()

        @app.get("/pages")
        async def pages(session: db_session) -> Page[AccountOut]:
            return await apaginate(session, select(Account).order_by(Account.id))

        @app.get("/cursors")
        async def cursors(session: db_session) -> CursorPage[AccountOut]:
            return await apaginate(session, select(Account).order_by(Account.rank, Account.id))

        @app.get("/names")
        async def names(session: db_session) -> CursorPage[AccountOut]:
            return await apaginate(session, select(Account).order_by(Account.name, Account.id))

        @app.get("/orders")
        async def orders(session: db_session) -> Page[AccountWithOrders]:
            return await apaginate(session, select(Account).order_by(Account.id))

        add_pagination(app)
        async with client(app) as http:
            yield http


@probe("keyset_walk", peer=PEER)
async def keyset_walk() -> Seen:
    """Walk through 9 rows, of which 4 have no rank, 2 at a time."""
    ranks = (None, None, None, None, 1, 1, 2, 2, 3)
    rows = [Account(name=str(number), rank=rank) for number, rank in enumerate(ranks)]
    given = 0
    async with _served(rows) as http:
        page = (await http.get("/cursors?size=2")).json()
        for _ in range(10):
            given += len(page["items"])
            if page["next_page"] is None:
                break
            query = {"size": 2, "cursor": page["next_page"]}
            page = (await http.get("/cursors", params=query)).json()
    return Seen(given != 9, f"{given} of 9 rows, some of them without a rank")


@probe("forged_cursor", peer=PEER)
async def forged_cursor() -> Seen:
    """Use the cursor of another list, and one that nobody gave."""
    async with _served([Account(name=f"name {n}", rank=n) for n in range(6)]) as http:
        foreign = (await http.get("/names?size=2")).json()["next_page"]
        cursors = {"of another list": foreign, "forged": "Zm9yZ2Vk", "of wrong type": "PmE6Yg=="}
        seen = {
            name: (await http.get("/cursors", params={"size": 2, "cursor": cursor})).status_code
            for name, cursor in cursors.items()
        }
    return Seen(any(status != 400 for status in seen.values()), f"{seen}")


async def _status(query: str) -> int:
    async with _served([]) as http:
        return (await http.get(f"/pages?{query}")).status_code


@probe("page_size", peer=PEER)
async def page_size() -> Seen:
    """Ask for a page of a million."""
    status = await _status("size=1000000")
    return Seen(status != 422, f"{status}")


@probe("unknown_parameter", peer=PEER)
async def unknown_parameter() -> Seen:
    """Misspell the size of the page."""
    status = await _status("szie=5")
    return Seen(status != 422, f"{status}")


@probe("total_past_the_end", peer=PEER)
async def total_past_the_end() -> Seen:
    """Ask for a page behind the last one."""
    async with _served([Account(name="a"), Account(name="b")]) as http:
        total = (await http.get("/pages?page=100")).json()["total"]
    return Seen(total != 2, f"total {total} of 2 rows")


@probe("statement_budget", peer=PEER)
async def statement_budget() -> Seen:
    """Count the statements of a page whose rows have a relation that is not loaded."""
    async with _served([Account(name=str(number)) for number in range(9)]) as http:
        with counted() as sent:
            status = (await http.get("/orders")).status_code
    return Seen(len(sent) > 3, f"{len(sent)} statements for a page of 9 rows, answered {status}")


@probe("typing", peer=PEER)
async def typing() -> Seen:
    """Check a call that passes a statement."""
    return check_types(
        """
from fastapi_pagination import Page
from fastapi_pagination.ext.sqlalchemy import apaginate
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Account

async def accounts(session: AsyncSession) -> Page[Account]:
    statement = select(Account).where(Account.id > 7)
    page: Page[Account] = await apaginate(session, statement)
    return page
"""
    )
