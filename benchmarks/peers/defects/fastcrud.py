"""Probes of fastcrud."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from fastcrud import FastCRUD, FilterConfig, crud_router
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.peers.defects import scripts
from benchmarks.peers.defects.database import budget, counted, database_file, read, sessions
from benchmarks.peers.defects.models import Account, Base, Document, Member
from benchmarks.peers.defects.probe import Seen, client, defect, probe, sound

PEER = "fastcrud"
accounts = FastCRUD(Account)
members = FastCRUD(Member)
documents = FastCRUD(Document)


class AccountIn(BaseModel):
    """What is sent."""

    name: str
    rank: int | None = None


class AccountUpsert(AccountIn):
    """What is stored, whether it was there or not."""

    id: int


@asynccontextmanager
async def _served(make: async_sessionmaker[AsyncSession]) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of the endpoints that `crud_router` makes."""

    async def get_session() -> AsyncGenerator[AsyncSession]:
        async with make() as session:
            yield session

    app = FastAPI()
    router = crud_router(
        session=get_session,
        model=Account,
        create_schema=AccountIn,
        update_schema=AccountIn,
        filter_config=FilterConfig(name=None),
        path="/accounts",
    )
    app.include_router(router)
    async with client(app) as http:
        yield http


async def _statuses(*queries: str) -> dict[str, int]:
    async with sessions(Base.metadata) as make, _served(make) as http:
        return {q: (await http.get(f"/accounts?{q}")).status_code for q in queries}


@probe("visible_201", peer=PEER)
async def visible_201() -> Seen:
    """Look with another connection at the moment at which the answer is sent."""
    seen: list[int] = []
    with database_file() as path:
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        make = async_sessionmaker(engine, expire_on_commit=False)

        async def get_session() -> AsyncGenerator[AsyncSession]:
            async with make() as session:
                yield session

        app = FastAPI()

        @app.post("/accounts", status_code=201)
        async def create(db: Annotated[AsyncSession, Depends(get_session)]) -> None:
            await accounts.create(db, AccountIn(name="a"))

        async def looking(scope, receive, send) -> None:
            async def look(message) -> None:
                if message["type"] == "http.response.body":
                    seen.append(len(read(path, "SELECT 1 FROM account")))
                await send(message)

            await app(scope, receive, look)

        async with client(looking) as http:
            status = (await http.post("/accounts")).status_code
        await engine.dispose()
    return Seen(seen[0] == 0, f"{seen[0]} row visible when the {status} had been sent")


@probe("stale_version", peer=PEER)
async def stale_version() -> Seen:
    """Update a row that has a version, after somebody else did; no version can be expected."""
    async with sessions(Base.metadata) as make:
        async with make() as session:
            session.add(Document(id=1, title="first"))
            await session.commit()
        async with make() as one, make() as other:
            before = await documents.get(one, id=1)
            await documents.update(other, {"title": "second"}, id=1)
            await documents.update(one, {"title": "stale"}, id=1)
        async with make() as session:
            stored = await documents.get(session, id=1)
    seen = (
        f"two updates of version {before['version']}: stored {stored['title']!r}, "
        f"version {stored['version']}"
    )
    return Seen(stored["title"] == "stale", seen)


@probe("soft_delete", peer=PEER)
async def soft_delete() -> Seen:
    """Read a row after it was deleted."""
    async with sessions(Base.metadata) as make, make() as session:
        session.add(Member(id=1, name="a"))
        await session.commit()
        await members.delete(session, id=1)
        found = {
            "get": bool(await members.get(session, id=1)),
            "exists": await members.exists(session, id=1),
            "count": bool(await members.count(session)),
            "get_multi": bool((await members.get_multi(session))["data"]),
        }
    return Seen(any(found.values()), f"found after delete: {found}")


@probe("keyset_walk", peer=PEER)
async def keyset_walk() -> Seen:
    """Walk through 6 rows of the same rank, 2 at a time."""
    async with sessions(Base.metadata) as make, make() as session:
        session.add_all(Account(name=str(n), rank=1) for n in range(6))
        await session.flush()
        given, cursor = 0, None
        for _ in range(10):
            page = await accounts.get_multi_by_cursor(
                session, cursor=cursor, limit=2, sort_column="rank"
            )
            given += len(page["data"])
            cursor = page["next_cursor"]
            if cursor is None:
                break
    return Seen(given != 6, f"{given} of 6 rows that tie")


@probe("forged_cursor", peer=PEER)
async def forged_cursor() -> Seen:
    """Use the cursor of another sort, and one that nobody gave."""
    async with sessions(Base.metadata) as make, make() as session:
        session.add_all(Account(name=f"name {n}", rank=n) for n in range(6))
        await session.flush()
        seen = []
        page = await accounts.get_multi_by_cursor(session, limit=2, sort_column="name")
        for cursor in (page["next_cursor"], "forged"):
            try:
                found = await accounts.get_multi_by_cursor(
                    session, cursor=cursor, limit=2, sort_column="rank"
                )
                seen.append(f"{cursor!r}: {len(found['data'])} rows and no error")
            except (SQLAlchemyError, ValueError) as error:
                seen.append(f"{cursor!r}: {type(error).__name__}")
    return Seen(any("no error" in each for each in seen), "; ".join(seen))


@probe("sort_names", peer=PEER)
async def sort_names() -> Seen:
    """Sort by a secret column, by what is no column, and by nothing that exists."""
    statuses = await _statuses("sort=secret", "sort=metadata", "sort=nosuch")
    return Seen(any(status != 422 for status in statuses.values()), f"{statuses}")


@probe("page_size", peer=PEER)
async def page_size() -> Seen:
    """Ask for a page of a million, and for one of less than nothing."""
    statuses = await _statuses("page=1&itemsPerPage=1000000", "page=1&itemsPerPage=-1")
    return Seen(any(status != 422 for status in statuses.values()), f"{statuses}")


@probe("unknown_parameter", peer=PEER)
async def unknown_parameter() -> Seen:
    """Misspell the name of a filter."""
    statuses = await _statuses("nmae=Ada")
    return Seen(statuses["nmae=Ada"] != 422, f"{statuses}")


@probe("literal_search", peer=PEER)
async def literal_search() -> Seen:
    """Search for `%` in the middle of a name."""
    async with sessions(Base.metadata) as make, make() as session:
        session.add_all([Account(name="100%"), Account(name="Ada"), Account(name="Bo")])
        await session.flush()
        found = await accounts.get_multi(session, name__contains="%")
    names = [row["name"] for row in found["data"]]
    return Seen(names != ["100%"], f"% finds {names}")


@probe("malformed_filter", peer=PEER)
async def malformed_filter() -> Seen:
    """Misspell the name of a field, and an operator."""
    seen = {}
    async with sessions(Base.metadata) as make, make() as session:
        session.add(Account(name="Ada"))
        await session.flush()
        for name in ("nmae", "name__eqq"):
            try:
                found = await accounts.get_multi(session, **{name: "Bo"})
                seen[name] = f"{len(found['data'])} of 1 rows"
            except ValueError as error:
                seen[name] = type(error).__name__
    return Seen(any("rows" in each for each in seen.values()), f"{seen}")


@probe("unconditioned_delete", peer=PEER)
async def unconditioned_delete() -> Seen:
    """Call `delete` without a condition."""
    async with sessions(Base.metadata) as make, make() as session:
        session.add(Account(name="a"))
        await session.flush()
        try:
            await accounts.delete(session, allow_multiple=True)
        except ValueError as error:
            return sound(f"ValueError: {error}".partition(". ")[0])
        return defect(f"{await accounts.count(session)} of 1 rows left")


@probe("total_past_the_end", peer=PEER)
async def total_past_the_end() -> Seen:
    """Ask for a page that begins behind the last row."""
    async with sessions(Base.metadata) as make, make() as session:
        session.add_all([Account(name="a"), Account(name="b")])
        await session.flush()
        page = await accounts.get_multi(session, offset=100, limit=20)
    return Seen(page["total_count"] != 2, f"total {page['total_count']} of 2 rows")


@probe("statement_budget", peer=PEER)
async def statement_budget() -> Seen:
    """Count the statements of single operations, with the defaults."""
    operations = {
        "create": lambda db: accounts.create(db, AccountIn(name="new")),
        "patch": lambda db: accounts.update(db, {"name": "new"}, id=1),
        "upsert": lambda db: accounts.upsert(db, AccountUpsert(id=2, name="new")),
        "exists": lambda db: accounts.exists(db, name="new"),
        "delete": lambda db: accounts.delete(db, id=3),
        "delete where": lambda db: accounts.delete(db, id__gt=4, allow_multiple=True),
    }
    seen: dict[str, list[str]] = {}
    async with sessions(Base.metadata) as make:
        async with make() as session:
            session.add_all(Account(id=n, name=str(n)) for n in range(1, 8))
            await session.commit()
        for name, operation in operations.items():
            async with make() as session:
                with counted() as sent:
                    await operation(session)
                seen[name] = sent
    return budget(seen)


@probe("lost_updates", peer=PEER)
async def lost_updates() -> Seen:
    """Let 5 transactions read a number, and write it back increased."""
    async with sessions(Base.metadata) as make:
        async with make() as session:
            session.add(Account(id=1, name="a", rank=0))
            await session.commit()

        async def increment() -> None:
            async with make() as session:
                account = await accounts.get(session, id=1)
                await asyncio.sleep(0.05)
                await accounts.update(session, {"rank": account["rank"] + 1}, id=1)

        done = await asyncio.gather(*(increment() for _ in range(5)), return_exceptions=True)
        async with make() as session:
            final = await session.scalar(select(Account.rank))
    errors = sum(result is not None for result in done)
    return Seen(final != 5, f"{final}, with {errors} errors")


@probe("unavailable", peer=PEER)
async def unavailable() -> Seen:
    """Write through its endpoint while another connection holds the lock of the database."""
    with database_file() as path, scripts.locked(path):
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}?timeout=0.1")
        async with _served(async_sessionmaker(engine)) as http:
            status = (await http.post("/accounts", json={"name": "a"})).status_code
        await engine.dispose()
    return Seen(status not in {503, 504}, f"{status}")


@probe("process_exit", peer=PEER)
async def process_exit() -> Seen:
    """Start and stop an application as the documentation shows it, and wait for the process."""
    return scripts.ends(scripts.UNDISPOSED)
