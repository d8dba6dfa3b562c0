import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import Table

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.server.signing_key_errors import RotationPendingError
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.auth.server.signing_key_storage import Algorithm
from fastapi_baseline.auth.server.signing_keys import ListedSigningKey, SigningKeys
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings.auth import AuthorizationServerSettings

SETTINGS = AuthorizationServerSettings(algorithm="ES256")


def make_quick_key(_algorithm: Algorithm) -> ECKey:
    return ECKey.generate_key("P-256")


@pytest.fixture
async def processes(any_database_url: str) -> AsyncGenerator[list[SigningKeys]]:
    """Give the keys of five processes, each with connections of its own."""
    databases = [Database(any_database_url) for _ in range(5)]
    async with databases[0].engine.begin() as connection:
        table: Table[Any] = OAuthSigningKey.metadata.tables["oauth_signing_key"]
        await connection.run_sync(table.create)
    ring = KeyRing(["a secret of the tests, 32 letters or more"])
    yield [
        SigningKeys(database, keys=ring, settings=SETTINGS, make_key=make_quick_key)
        for database in databases
    ]
    for database in databases:
        await database.dispose()


async def test_one_of_all_processes_that_start_makes_the_first_key(
    processes: list[SigningKeys],
) -> None:
    await asyncio.gather(*(keys.refresh() for keys in processes))

    assert len({keys.jwks for keys in processes}) == 1
    assert len(json.loads(processes[0].jwks)["keys"]) == 1


async def test_one_of_all_rotations_at_once_publishes_a_key(processes: list[SigningKeys]) -> None:
    await processes[0].refresh()

    done = await asyncio.gather(*(keys.rotate() for keys in processes), return_exceptions=True)

    made = [each for each in done if isinstance(each, ListedSigningKey)]
    assert len(made) == 1
    assert sum(isinstance(each, RotationPendingError) for each in done) == len(processes) - 1
    assert [key.state for key in await processes[1].list()] == ["next", "active"]


async def test_a_key_that_is_revoked_while_it_is_replaced_is_gone(
    processes: list[SigningKeys],
) -> None:
    await processes[0].refresh()
    (first,) = await processes[0].list()

    await asyncio.gather(
        processes[1].revoke(first.kid),
        processes[2].rotate(is_immediate=True),
        processes[3].rotate(is_immediate=True),
    )

    found = await processes[4].list()
    assert first.kid not in {key.kid for key in found}
    assert [key.state for key in found].count("active") == 1
