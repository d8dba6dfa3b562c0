"""What every test may ask for."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from fastapi_baseline import create_app
from fastapi_baseline.testing import as_user, create_schema, running
from httpx2 import AsyncClient
from pydantic import SecretStr

from order_service.settings import Settings


@pytest.fixture
def app(database_url: str) -> FastAPI:
    """Return the service, which has an empty database of its own."""
    return create_app(Settings(environment="test", database_url=SecretStr(database_url)))


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Return a client that does not say who it is."""
    async with running(app) as client:
        await create_schema(app)
        yield client


@pytest.fixture
async def client(app: FastAPI, anonymous: AsyncClient) -> AsyncIterator[AsyncClient]:
    """Return a client of somebody who may do everything."""
    async with as_user(app, scopes=["items:read", "items:write"]) as client:
        yield client
