from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from fastapi_baseline.auth.api_keys import ApiKey
from fastapi_baseline.auth.api_keys.usage import KeyUsage
from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import ManualClock


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Give a database with the keys a, b and c."""
    database = Database(f"sqlite:///{tmp_path / 'keys.db'}")
    async with database.engine.begin() as connection:
        table: Table[Any] = ApiKey.metadata.tables[ApiKey.__tablename__]
        await connection.run_sync(table.create)
    async with database.transaction() as session:
        for key in "abc":
            session.add(
                ApiKey(
                    id=key,
                    digest="0",
                    name=key,
                    issuer="self",
                    subject="ann",
                    created_at=ManualClock().now(),
                )
            )
    yield database
    await database.dispose()


async def last_used(database: Database) -> list[datetime | None]:
    async with database.read_transaction() as session:
        return list(await session.scalars(select(ApiKey.last_used_at).order_by(ApiKey.id)))


async def test_writes_all_that_were_used(database: Database) -> None:
    clock = ManualClock()
    usage = KeyUsage(database, clock=clock)

    usage.note("a", last=None)
    usage.note("c", last=None)
    await usage.write()

    assert await last_used(database) == [clock.now(), None, clock.now()]


async def test_waits_for_no_more_keys_than_it_may(database: Database) -> None:
    clock = ManualClock()
    usage = KeyUsage(database, clock=clock, max_notes=2)

    for key in "abc":
        usage.note(key, last=None)
    await usage.write()

    assert await last_used(database) == [clock.now(), clock.now(), None]


async def test_writes_nothing_where_there_is_nothing_to_write(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nowhere = Database("postgresql://a:b@127.0.0.1:1/nothing")
    usage = KeyUsage(nowhere, clock=ManualClock())

    await usage.write()
    before = caplog.text
    usage.note("a", last=None)
    await usage.write()

    assert "could not be noted" not in before
    assert "could not be noted" in caplog.text
