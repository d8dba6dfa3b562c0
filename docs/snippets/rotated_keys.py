"""The keys that tokens are signed with, changed by a job and in an emergency."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from fastapi_baseline.auth.server import AuthorizationServer
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.testing.issuing import IssuingService, open_issuing_service


# <start-job>
async def rotate_quarterly(server: AuthorizationServer) -> None:
    """Publish a new key if the last signs for three months; call it once a day."""
    last, *_ = await server.signing_keys.list()
    if last.activates_at <= server.clock.now() - timedelta(days=90):
        await server.signing_keys.rotate()


# <end-job>


class Buyer(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "rotated_keys_buyer"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[IssuingService]:
    async with open_issuing_service(Buyer, f"sqlite:///{tmp_path / 'shop.db'}") as service:
        yield service


async def test_a_key_is_published_a_day_before_it_signs(service: IssuingService) -> None:
    states: list[list[str]] = []

    for days in (0, 89, 1, 1, 1):
        service.clock.advance(timedelta(days=days))
        await rotate_quarterly(service.server)
        states.append([key.state for key in await service.server.signing_keys.list()])

    assert states == [["active"], ["active"], ["next", "active"], ["active", "retired"], ["active"]]
