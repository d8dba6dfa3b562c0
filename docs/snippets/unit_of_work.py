"""Transactions: savepoints, hooks, retries, streams, and where they are opened."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from httpx2 import AsyncClient
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline import Settings, create_app
from fastapi_baseline.persistence import (
    Base,
    CommitInTransactionError,
    Database,
    ReadRepository,
    ReadTransaction,
    Repository,
    StreamTransaction,
    Transaction,
    UniqueViolationError,
    WriteSession,
)
from fastapi_baseline.testing import create_schema, running

router = APIRouter()
sent: list[str] = []


class Account(Base):
    """An account."""

    name: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(default=0)


class Accounts(Repository[Account]):
    """Accounts, in the transaction of the caller."""


class AccountReader(ReadRepository[Account]):
    """Accounts, in a transaction that only reads."""


class AccountBody(BaseModel):
    """An account, as clients send and get it."""

    name: str
    balance: int = 0


async def send_welcome(name: str) -> None:
    """Write to somebody, as a service would over the network."""
    sent.append(name)


# <start-routes>
@router.post("/accounts", status_code=201)
async def add_account(body: AccountBody, session: Transaction) -> AccountBody:
    """Open an account, and welcome its owner once it is stored."""
    await Accounts(session).add(Account(name=body.name, balance=body.balance))
    session.on_commit(lambda: send_welcome(body.name))
    return body


@router.get("/accounts/{name}", response_model=AccountBody)
async def get_account(name: str, session: ReadTransaction) -> Account:
    """Return an account."""
    return await AccountReader(session).get(name)


# <end-routes>


# <start-stream>
@router.get("/accounts.csv")
async def export_accounts(session: StreamTransaction) -> StreamingResponse:
    """Return all accounts, as they are read."""

    async def lines() -> AsyncIterator[str]:
        async for account in AccountReader(session).stream(order_by=Account.name):
            yield f"{account.name},{account.balance}\n"

    return StreamingResponse(lines(), media_type="text/csv")


# <end-stream>


# <start-savepoint>
async def add_if_new(session: WriteSession, name: str) -> bool:
    """Add an account, and return whether there was none of this name."""
    try:
        async with session.begin_nested():
            await Accounts(session).add(Account(name=name))
    except UniqueViolationError:
        return False
    return True


# <end-savepoint>


# <start-retry>
async def move(database: Database, *, amount: int, source: str, target: str) -> int:
    """Move money, and return what is left; all of it may run more than once."""

    async def attempt(session: WriteSession) -> int:
        accounts = Accounts(session)
        giving, taking = await accounts.get(source), await accounts.get(target)
        await accounts.update(taking, {"balance": taking.balance + amount})
        await accounts.update(giving, {"balance": giving.balance - amount})
        return giving.balance

    return await database.run_in_transaction(attempt, isolation="serializable")


# <end-retry>


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[AsyncClient]:
    app = create_app(Settings(environment="test", database_url=SecretStr(database_url)))
    app.include_router(router)
    async with running(app) as client:
        await create_schema(app)
        sent.clear()
        yield client


async def test_a_hook_runs_when_it_is_stored_and_not_otherwise(client: AsyncClient) -> None:
    await client.post("/accounts", json={"name": "Ann"})
    again = await client.post("/accounts", json={"name": "Ann"})

    assert again.status_code == 409
    assert sent == ["Ann"]


async def test_a_body_is_streamed_from_the_database(client: AsyncClient) -> None:
    await client.post("/accounts", json={"name": "Ann", "balance": 3})
    await client.post("/accounts", json={"name": "Bob"})

    answer = await client.get("/accounts.csv")

    assert answer.text == "Ann,3\nBob,0\n"


async def test_a_savepoint_lets_a_transaction_go_on(session: WriteSession) -> None:
    outcomes = [await add_if_new(session, name) for name in ("Ann", "Ann", "Bob")]

    assert outcomes == [True, False, True]
    assert await Accounts(session).count() == 2


@pytest.mark.usefixtures("session")
async def test_money_is_moved(database: Database) -> None:
    # <start-outside>
    async with database.transaction() as session:
        await Accounts(session).add_many([Account(name="Ann", balance=9), Account(name="Bob")])
    # <end-outside>

    left = await move(database, amount=4, source="Ann", target="Bob")

    async with database.read_transaction() as session:
        assert left == 5
        assert (await AccountReader(session).get("Bob")).balance == 4


async def test_commit_says_why_it_is_refused(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(CommitInTransactionError, match="commits itself"):
            await session.commit()
