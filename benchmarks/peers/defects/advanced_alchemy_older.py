"""Probes of advanced-alchemy that need a FastAPI with which its filters work."""

from typing import Annotated

from advanced_alchemy.extensions.fastapi import (
    AdvancedAlchemy,
    SQLAlchemyAsyncConfig,
    filters,
    providers,
)
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers.defects.database import database_file
from benchmarks.peers.defects.models import Account, Base
from benchmarks.peers.defects.probe import Seen, client, probe


class Accounts(SQLAlchemyAsyncRepository[Account]):
    """As the documentation shows it."""

    model_type = Account


@probe("sort_names", peer="advanced-alchemy", environment="older")
async def sort_names() -> Seen:
    """Sort by a secret column, by what is no column, and by nothing that exists."""
    queries = ("orderBy=secret", "orderBy=metadata", "orderBy=nosuch")
    with database_file() as path:
        config = SQLAlchemyAsyncConfig(connection_string=f"sqlite+aiosqlite:///{path}")
        app = FastAPI()
        alchemy = AdvancedAlchemy(config=config, app=app)
        async with config.get_engine().begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        found_filters = providers.provide_filters({"sort_field": "name"})

        @app.get("/accounts")
        async def list_accounts(
            session: Annotated[AsyncSession, Depends(alchemy.provide_session())],
            found: Annotated[list[filters.FilterTypes], Depends(found_filters)],
        ) -> int:
            return len(await Accounts(session=session).list(*found))

        async with alchemy.lifespan(app), client(app) as http:
            statuses = {q: (await http.get(f"/accounts?{q}")).status_code for q in queries}
    return Seen(any(status != 422 for status in statuses.values()), f"{statuses}")
