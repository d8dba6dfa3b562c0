import logging
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline.middleware import make_exception_handlers
from fastapi_baseline.observability.logging import LogLevels, make_loggers_router
from fastapi_baseline.testing import ManualClock

NAME = "tests.routes.shop"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def levels(clock: ManualClock) -> Iterator[LogLevels]:
    logging.getLogger(NAME).setLevel(logging.NOTSET)
    levels = LogLevels(clock=clock)
    yield levels
    levels.close()


@pytest.fixture
async def client(levels: LogLevels) -> AsyncIterator[AsyncClient]:
    app = FastAPI()
    app.include_router(make_loggers_router(levels))
    for kind, handler in make_exception_handlers(validation_status=422).items():
        app.exception_handlers[kind] = handler
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_shows_all_loggers(client: AsyncClient) -> None:
    found = (await client.get("/loggers")).json()

    assert found[0]["name"] == "root"
    assert NAME in {logger["name"] for logger in found}


async def test_changes_a_level_for_a_quarter_of_an_hour(
    client: AsyncClient, clock: ManualClock
) -> None:
    answer = await client.put(f"/loggers/{NAME}", json={"level": "DEBUG"})

    assert answer.status_code == 200
    assert answer.json()["effective"] == "DEBUG"
    assert datetime.fromisoformat(answer.json()["until"]) == clock.now() + timedelta(minutes=15)
    assert logging.getLogger(NAME).isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize("duration", [30, "PT30S"])
async def test_changes_a_level_for_as_long_as_it_is_told(
    duration: object, client: AsyncClient, clock: ManualClock
) -> None:
    await client.put(f"/loggers/{NAME}", json={"level": "DEBUG", "duration": duration})

    found = (await client.get(f"/loggers/{NAME}")).json()

    assert datetime.fromisoformat(found["until"]) == clock.now() + timedelta(seconds=30)


async def test_gives_a_level_back(client: AsyncClient) -> None:
    await client.put(f"/loggers/{NAME}", json={"level": "DEBUG"})

    answer = await client.delete(f"/loggers/{NAME}")

    assert answer.json()["is_changed"] is False
    assert logging.getLogger(NAME).level == logging.NOTSET


@pytest.mark.parametrize(
    "change",
    [
        {"level": "LOUD"},
        {"level": "DEBUG", "duration": 0},
        {"level": "DEBUG", "duration": 86_401},
        {"level": "DEBUG", "for": 5},
        {},
    ],
    ids=["level", "no time", "too long", "unknown name", "empty"],
)
async def test_refuses_what_it_does_not_understand(
    change: dict[str, object], client: AsyncClient
) -> None:
    answer = await client.put(f"/loggers/{NAME}", json=change)

    assert answer.status_code == 422
    assert logging.getLogger(NAME).level == logging.NOTSET


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_does_not_know_other_loggers(method: str, client: AsyncClient) -> None:
    answer = await client.request(method, "/loggers/nobody.there", json={"level": "DEBUG"})

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_logger")


def test_is_in_no_documentation(levels: LogLevels) -> None:
    app = FastAPI()
    app.include_router(make_loggers_router(levels))

    assert app.openapi()["paths"] == {}
