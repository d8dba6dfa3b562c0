"""What every test may ask for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi_baseline.testing import create_schema, running
from httpx2 import AsyncClient
from pydantic import SecretStr

from patients.main import make_app
from patients.settings import Settings


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database: SQLite, or PostgreSQL with each of its drivers."""
    driver: str = request.param
    if driver == "sqlite":
        return f"sqlite:///{tmp_path / 'patients.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)


@pytest.fixture
def app(database_url: str) -> FastAPI:
    """Return the service, which has an empty database of its own."""
    return make_app(
        Settings(
            environment="test",
            database_url=SecretStr(database_url),
            cors_origins=("http://localhost:5173",),
        )
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Return a client of the service."""
    async with running(app) as client:
        await create_schema(app)
        yield client


@pytest.fixture
def ada() -> dict[str, Any]:
    """Return a patient that may be registered."""
    return {
        "patientID": "P1",
        "name": "Ada Lovelace",
        "age": 36,
        "gender": "Female",
        "medicalCondition": "Healthy",
        "lastVisit": "2024-02-29",
    }
