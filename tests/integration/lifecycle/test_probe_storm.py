import asyncio
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import event

from fastapi_baseline.health import HealthMonitor, make_health_router
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import HealthSettings

PROBES = ("/readyz", "/health", "/startupz", "/livez", "/health/ready")


@pytest.fixture
def statements() -> list[str]:
    return []


@pytest.fixture
def database(any_database_url: str, statements: list[str]) -> Database:
    database = Database(any_database_url)

    @event.listens_for(database.read_engine.sync_engine, "before_cursor_execute")
    def count(*event: object) -> None:
        statements.append(str(event[2]))

    # It is called by SQLAlchemy.
    assert count
    return database


async def test_a_storm_of_probes_asks_the_database_once(
    database: Database, statements: list[str]
) -> None:
    # So long that no second run comes between.
    settings = HealthSettings(interval=timedelta(hours=1))
    monitor = HealthMonitor([database], settings=settings)
    app = FastAPI()
    app.include_router(make_health_router(monitor, details=True))

    async with (
        database.lifespan(app),
        monitor.lifespan(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test") as client,
    ):
        answers = [
            answer
            for _ in range(20)
            for answer in await asyncio.gather(
                *(client.get(path) for _ in range(10) for path in PROBES)
            )
        ]

    assert {answer.status_code for answer in answers} == {200}
    assert len([text for text in statements if text.startswith("SELECT")]) == 1
