"""A test that asks every route of a service without credentials."""

import pytest
from fastapi import FastAPI

from fastapi_baseline import Settings, create_app

# <start-test>
from fastapi_baseline.testing import find_open_operations


async def test_every_route_asks_who_is_asking(app: FastAPI) -> None:
    assert await find_open_operations(app) == []


# <end-test>


@pytest.fixture
def app() -> FastAPI:
    """Give an application whose routes are all guarded, since it has none."""
    return create_app(Settings(environment="test"))


async def test_finds_a_route_that_was_forgotten(app: FastAPI) -> None:
    @app.get("/orders")
    async def list_orders() -> list[int]:
        return []

    assert await find_open_operations(app) == ["GET /orders: 200"]
