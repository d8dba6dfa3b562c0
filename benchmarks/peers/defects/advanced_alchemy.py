"""Probes of advanced-alchemy."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from advanced_alchemy.base import BigIntBase
from advanced_alchemy.exceptions import AdvancedAlchemyError
from advanced_alchemy.extensions.fastapi import (
    AdvancedAlchemy,
    SQLAlchemyAsyncConfig,
    filters,
    providers,
)
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from fastapi import Depends, FastAPI
from sqlalchemy import UniqueConstraint, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from benchmarks.peers.defects import scripts
from benchmarks.peers.defects.database import (
    budget,
    check_types,
    counted,
    database_file,
    read,
    sessions,
)
from benchmarks.peers.defects.models import Account, Base, Document, Member, Order
from benchmarks.peers.defects.probe import Seen, client, defect, probe, sound

PEER = "advanced-alchemy"


class Accounts(SQLAlchemyAsyncRepository[Account]):
    """As the documentation shows it."""

    model_type = Account


class Members(SQLAlchemyAsyncRepository[Member]):
    """Likewise, of rows without a relationship."""

    model_type = Member


class Documents(SQLAlchemyAsyncRepository[Document]):
    """Likewise, of rows with a version."""

    model_type = Document


@asynccontextmanager
async def _application(path) -> AsyncGenerator[tuple[FastAPI, object]]:
    """Give an application that commits when its answer is a success, and its dependency."""
    config = SQLAlchemyAsyncConfig(
        connection_string=f"sqlite+aiosqlite:///{path}", commit_mode="autocommit"
    )
    app = FastAPI()
    alchemy = AdvancedAlchemy(config=config, app=app)
    async with config.get_engine().begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    session = Annotated[AsyncSession, Depends(alchemy.provide_session())]

    @app.post("/orders", status_code=201)
    async def create_order(account_id: int, db_session: session) -> dict[str, bool]:
        db_session.add(Order(account_id=account_id))
        await db_session.flush()
        return {"ok": True}

    @app.post("/accounts", status_code=201)
    async def create_account(name: str, db_session: session) -> dict[str, bool]:
        await Accounts(session=db_session).add(Account(name=name))
        return {"ok": True}

    async with alchemy.lifespan(app):
        yield app, session


@probe("failed_commit", peer=PEER)
async def failed_commit() -> Seen:
    """Post an order of an account that does not exist; then accounts, which are in order."""
    with database_file() as path:
        async with _application(path) as (app, _), client(app) as http:
            bad = (await http.post("/orders?account_id=700")).status_code
            after = [(await http.post(f"/accounts?name=a{n}")).status_code for n in range(10)]
        stored = len(read(path, "SELECT 1 FROM account"))
        orders = len(read(path, 'SELECT 1 FROM "order"'))
    seen = f"{bad} with {orders} rows stored; then 10 valid requests: {after}, {stored} rows stored"
    return Seen(bad != 409 or stored != 10, seen)


@probe("visible_201", peer=PEER)
async def visible_201() -> Seen:
    """Look with another connection at the moment at which the 201 is sent."""
    seen: list[int] = []
    with database_file() as path:
        async with _application(path) as (app, _):

            async def looking(scope, receive, send) -> None:
                async def look(message) -> None:
                    if message["type"] == "http.response.body":
                        seen.append(len(read(path, "SELECT 1 FROM account")))
                    await send(message)

                await app(scope, receive, look)

            async with client(looking) as http:
                status = (await http.post("/accounts?name=a")).status_code
    return Seen(seen[0] == 0, f"{seen[0]} rows visible when the {status} had been sent")


@probe("stale_version", peer=PEER)
async def stale_version() -> Seen:
    """Update by a version that is no longer the row's."""
    async with sessions(Base.metadata) as make:
        async with make() as session:
            documents = Documents(session=session, auto_commit=True)
            first = await documents.add(Document(title="first"))
            first.title = "second"
            await documents.update(first)
        async with make() as session:
            stale = Document(id=first.id, title="stale", version=1)
            try:
                await Documents(session=session, auto_commit=True).update(stale)
            except AdvancedAlchemyError as error:
                return sound(f"{type(error).__name__}: {error.detail}")
        async with make() as session:
            stored = await session.get_one(Document, first.id)
            seen = f"version 1 over version 2: stored {stored.title!r}, version {stored.version}"
            return Seen(stored.title == "stale", seen)


async def _statuses(config: dict, *queries: str) -> dict[str, int]:
    with database_file() as path:
        async with _application(path) as (app, session):

            @app.get("/accounts")
            async def list_accounts(
                db_session: session,
                found: Annotated[
                    list[filters.FilterTypes], Depends(providers.provide_filters(config))
                ],
            ) -> int:
                return len(await Accounts(session=db_session).list(*found))

            async with client(app) as http:
                return {q: (await http.get(f"/accounts?{q}")).status_code for q in queries}


@probe("sort_names", peer=PEER)
async def sort_names() -> Seen:
    """Make the filters of a list that can be sorted."""
    try:
        await _statuses({"sort_field": "name"})
    except TypeError as error:
        return defect(f"an application with a list that can be sorted fails: TypeError: {error}")
    return defect("the application starts: what it answers is seen with the older FastAPI")


@probe("page_size", peer=PEER)
async def page_size() -> Seen:
    """Ask for a page of a million."""
    statuses = await _statuses({"pagination_type": "limit_offset"}, "pageSize=1000000")
    return Seen(statuses["pageSize=1000000"] != 422, f"{statuses}")


@probe("unknown_parameter", peer=PEER)
async def unknown_parameter() -> Seen:
    """Misspell the size of the page."""
    statuses = await _statuses({"pagination_type": "limit_offset"}, "pageSzie=5")
    return Seen(statuses["pageSzie=5"] != 422, f"{statuses}")


async def _found(*conditions) -> list[str]:
    async with sessions(Base.metadata) as make, make() as session:
        accounts = Accounts(session=session)
        await accounts.add_many([Account(name="100%"), Account(name="Ada"), Account(name="Bo")])
        return [account.name for account in await accounts.list(*conditions)]


@probe("literal_search", peer=PEER)
async def literal_search() -> Seen:
    """Search for `%` with the filter's defaults."""
    found = await _found(filters.SearchFilter(field_name="name", value="%"))
    return Seen(found != ["100%"], f"% finds {found}")


@probe("malformed_filter", peer=PEER)
async def malformed_filter() -> Seen:
    """Misspell the name of a field, and the kind of a filter."""
    field = await _found(filters.SearchFilter(field_name="nmae", value="Ada"))
    condition = {"type": "saerch", "field_name": "name", "value": "Ada"}
    kind = await _found(filters.MultiFilter(filters={"and_": [condition]}))
    seen = f"a misspelt field gives {len(field)} of 3 rows, a misspelt kind of filter {len(kind)}"
    return Seen(bool(field or kind), seen)


@probe("unconditioned_delete", peer=PEER)
async def unconditioned_delete() -> Seen:
    """Call `delete_where` with nothing."""
    async with sessions(Base.metadata) as make, make() as session:
        accounts = Accounts(session=session)
        await accounts.add_many([Account(name="a"), Account(name="b")])
        deleted = await accounts.delete_where()
        return Seen(bool(deleted), f"delete_where() deleted {len(deleted)} of 2 rows")


@probe("total_past_the_end", peer=PEER)
async def total_past_the_end() -> Seen:
    """Ask for a page that begins behind the last row."""
    async with sessions(Base.metadata) as make, make() as session:
        accounts = Accounts(session=session)
        await accounts.add_many([Account(name="a"), Account(name="b")])
        _, total = await accounts.list_and_count(filters.LimitOffset(limit=20, offset=100))
        return Seen(total != 2, f"total {total} of 2 rows")


@probe("statement_budget", peer=PEER)
async def statement_budget() -> Seen:
    """Count the statements of single operations, in transactions of the caller."""
    async with sessions(Base.metadata) as make:
        async with make() as session:
            await Members(session=session, auto_commit=True).add_many(
                [Member(id=n, name=str(n)) for n in range(1, 8)]
            )
        operations = {
            "create": lambda members: members.add(Member(name="new")),
            "patch": lambda members: members.update(Member(id=1, name="new")),
            "upsert": lambda members: members.upsert(Member(id=2, name="new")),
            "exists": lambda members: members.exists(name="new"),
            "delete": lambda members: members.delete(3),
            "delete_where": lambda members: members.delete_where(Member.id > 4),
        }
        seen: dict[str, list[str]] = {}
        for name, operation in operations.items():
            async with make() as session:
                with counted() as sent:
                    await operation(Members(session=session))
                seen[name] = [*sent]
                await session.commit()
    return budget(seen)


@probe("lost_updates", peer=PEER)
async def lost_updates() -> Seen:
    """Let 5 transactions read a number, and write it back increased."""
    with database_file() as path:
        config = SQLAlchemyAsyncConfig(connection_string=f"sqlite+aiosqlite:///{path}")
        async with config.get_engine().begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with config.get_session() as session:
            await Accounts(session=session, auto_commit=True).add(Account(id=1, name="a", rank=0))

        async def increment() -> None:
            async with config.get_session() as session:
                accounts = Accounts(session=session, auto_commit=True)
                account = await accounts.get(1)
                await asyncio.sleep(0.05)
                account.rank += 1
                await accounts.update(account)

        done = await asyncio.gather(*(increment() for _ in range(5)), return_exceptions=True)
        await config.get_engine().dispose()
        ((final,),) = read(path, "SELECT rank FROM account")
    errors = sum(result is not None for result in done)
    return Seen(final != 5, f"{final}, with {errors} errors")


@probe("unavailable", peer=PEER)
async def unavailable() -> Seen:
    """Write while another connection holds the lock of the database."""
    with database_file() as path, scripts.locked(path):
        url = f"sqlite+aiosqlite:///{path}?timeout=0.1"
        config = SQLAlchemyAsyncConfig(connection_string=url)
        try:
            async with config.get_session() as session:
                await Accounts(session=session).add(Account(name="a"))
        except AdvancedAlchemyError as error:
            seen = f"{type(error).__name__}: {error.detail}"
            return Seen(type(error).__name__ == "IntegrityError", seen)
        finally:
            await config.get_engine().dispose()
    return sound("no error")


@probe("leaking_options", peer=PEER)
async def leaking_options() -> Seen:
    """List the rows of a join, before and after another call asked for unique ones."""
    async with sessions(Base.metadata) as make, make() as session:
        session.add(Account(name="a", orders=[Order(), Order()]))
        await session.flush()
        accounts = Accounts(session=session)
        joined = select(Account).join(Account.orders)
        before = len(await accounts.list(statement=joined))
        await accounts.list(uniquify=True)
        after = len(await accounts.list(statement=joined))
    seen = f"the same call gave {before} rows, and {after} after another call with uniquify=True"
    return Seen(before != after, seen)


class Membership(BigIntBase):
    """A table with two unique constraints that begin with the same column."""

    __table_args__ = (UniqueConstraint("tenant_id", "email"), UniqueConstraint("tenant_id", "name"))
    tenant_id: Mapped[int]
    email: Mapped[str]
    name: Mapped[str]


@probe("constraint_names", peer=PEER)
async def constraint_names() -> Seen:
    """Name two unique constraints by the convention of its base classes."""
    constraints = Membership.__table__.constraints
    names = sorted(str(c.name) for c in constraints if isinstance(c, UniqueConstraint))
    return Seen(len(set(names)) < 2, f"{names}")


@probe("process_exit", peer=PEER)
async def process_exit() -> Seen:
    """Start and stop an application as the documentation shows it, and wait for the process."""
    return scripts.ends(scripts.ADVANCED_ALCHEMY)


@probe("typing", peer=PEER)
async def typing() -> Seen:
    """Check a call that passes a statement."""
    return check_types(
        """
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Account

class Accounts(SQLAlchemyAsyncRepository[Account]):
    model_type = Account

async def accounts(session: AsyncSession) -> list[Account]:
    statement = select(Account).where(Account.id > 7)
    return list(await Accounts(session=session).list(statement=statement))
"""
    )
