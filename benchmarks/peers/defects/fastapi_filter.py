"""Probes of fastapi-filter, on the SQLAlchemy that it asks for."""

from collections.abc import AsyncGenerator
from typing import Annotated, ClassVar

from fastapi import Depends, FastAPI
from fastapi_filter import FilterDepends
from fastapi_filter.contrib.sqlalchemy import Filter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers.defects.database import sessions
from benchmarks.peers.defects.models import Account, Base
from benchmarks.peers.defects.probe import Seen, client, probe

PEER = "fastapi-filter"


class AccountFilter(Filter):
    """As the documentation shows it."""

    name: str | None = None
    rank__gte: int | None = None
    order_by: list[str] | None = None
    search: str | None = None

    class Constants(Filter.Constants):
        """What it filters, and where it searches."""

        model = Account
        search_model_fields: ClassVar = ["name"]


async def _answers(*queries: str) -> dict[str, tuple[int, list[str]]]:
    """Return the status and the names of each answer, of three accounts."""
    async with sessions(Base.metadata) as make:
        async with make() as session:
            session.add_all([Account(name="100%"), Account(name="Ada"), Account(name="Bo")])
            await session.commit()

        async def get_session() -> AsyncGenerator[AsyncSession]:
            async with make() as session:
                yield session

        app = FastAPI()

        @app.get("/accounts")
        async def list_accounts(
            found: Annotated[AccountFilter, FilterDepends(AccountFilter)],
            session: Annotated[AsyncSession, Depends(get_session)],
        ) -> list[str]:
            statement = found.sort(found.filter(select(Account)))
            return [account.name for account in await session.scalars(statement)]

        answers = {}
        async with client(app) as http:
            for query in queries:
                answer = await http.get(f"/accounts?{query}")
                names = answer.json() if answer.status_code == 200 else []
                answers[query] = answer.status_code, names
    return answers


async def _statuses(*queries: str) -> Seen:
    statuses = {query: status for query, (status, _) in (await _answers(*queries)).items()}
    return Seen(any(status != 422 for status in statuses.values()), f"{statuses}")


@probe("sort_names", peer=PEER, environment="older")
async def sort_names() -> Seen:
    """Sort by a secret column, by what is no column, and by nothing that exists."""
    return await _statuses("order_by=secret", "order_by=metadata", "order_by=nosuch")


@probe("unknown_parameter", peer=PEER, environment="older")
async def unknown_parameter() -> Seen:
    """Misspell the name of a filter."""
    return await _statuses("nmae=Ada")


@probe("malformed_filter", peer=PEER, environment="older")
async def malformed_filter() -> Seen:
    """Give a filter a value of another type."""
    return await _statuses("rank__gte=high")


@probe("literal_search", peer=PEER, environment="older")
async def literal_search() -> Seen:
    """Search for `%`."""
    ((_, names),) = (await _answers("search=%25")).values()
    return Seen(names != ["100%"], f"% finds {names}")
