from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr

from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.server.clients import ClientDescription, ClientRegistry
from fastapi_baseline.auth.server.digests import digest_of
from fastapi_baseline.auth.server.errors import (
    ClientExistsError,
    ClientNotFoundError,
    InvalidClientDescriptionError,
)
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import ManualClock

JOB = ClientDescription(
    name=" Job ", grant_types=("client_credentials",), scopes=("orders", "orders")
)
PAGE = ClientDescription(
    name="Shop",
    client_id="shop",
    auth_method="none",
    redirect_uris=("https://shop.example.com/callback", "https://shop.example.com/callback"),
)


class Events:
    def __init__(self) -> None:
        self.changes: list[str] = []

    async def record(self, event: SecurityEvent) -> None:
        self.changes.append(f"{event.details['client']} {event.details['change']}")


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def clients(events: Events, clock: ManualClock) -> AsyncIterator[ClientRegistry]:
    database = Database("sqlite://", clock=clock)
    async with database.engine.begin() as connection:
        for name in ("oauth_client", "oauth_grant"):
            await connection.run_sync(OAuthClient.metadata.tables[name].create)
    yield ClientRegistry(database, scopes=("openid", "orders"), clock=clock, events=events)
    await database.dispose()


def digest_of_secret(secret: SecretStr | None) -> str:
    assert secret is not None
    return digest_of(secret.get_secret_value())


async def test_adds_a_client_with_a_secret_of_which_a_digest_is_kept(
    clients: ClientRegistry, clock: ManualClock
) -> None:
    added = await clients.add(JOB)

    stored = await clients.get(added.client.client_id)
    assert stored.secret_digest == digest_of_secret(added.secret)
    assert (stored.name, stored.scopes, stored.created_at) == ("Job", ["orders"], clock.now())
    assert not stored.is_public


async def test_a_public_client_has_no_secret(clients: ClientRegistry, events: Events) -> None:
    added = await clients.add(PAGE)

    assert added.secret is None
    assert added.client.is_public
    assert added.client.redirect_uris == ["https://shop.example.com/callback"]
    assert events.changes == ["shop added"]
    with pytest.raises(InvalidClientDescriptionError):
        await clients.rotate_secret("shop")


async def test_two_clients_have_not_one_identifier(clients: ClientRegistry) -> None:
    await clients.add(PAGE)

    with pytest.raises(ClientExistsError):
        await clients.add(PAGE)

    assert [one.client_id for one in await clients.list()] == ["shop"]


async def test_what_is_not_safe_is_not_added(clients: ClientRegistry, events: Events) -> None:
    with pytest.raises(InvalidClientDescriptionError):
        await clients.add(ClientDescription(name="Shop", redirect_uris=("http://a.example/",)))

    assert await clients.list() == []
    assert events.changes == []


async def test_a_new_secret_leaves_the_old_one_for_a_while(
    clients: ClientRegistry, clock: ManualClock, events: Events
) -> None:
    first = await clients.add(JOB)
    name = first.client.client_id

    second = await clients.rotate_secret(name, overlap=timedelta(hours=1))

    stored = await clients.get(name)
    assert stored.secret_digest == digest_of_secret(second.secret)
    assert stored.previous_secret_digest == digest_of_secret(first.secret)
    assert stored.previous_secret_expires_at == clock.now() + timedelta(hours=1)
    assert events.changes == [f"{name} added", f"{name} secret_rotated"]


async def test_a_new_secret_can_end_the_old_one_at_once(clients: ClientRegistry) -> None:
    name = (await clients.add(JOB)).client.client_id

    await clients.rotate_secret(name, overlap=timedelta(0))

    stored = await clients.get(name)
    assert stored.previous_secret_digest is stored.previous_secret_expires_at is None


async def test_removes_a_client(clients: ClientRegistry, events: Events) -> None:
    await clients.add(PAGE)

    await clients.remove("shop")

    assert await clients.find("shop") is None
    assert events.changes == ["shop added", "shop removed"]


@pytest.mark.parametrize("text", ["nobody", "", "\x00", "é", "a\nb"])
async def test_who_is_not_there_is_not_found(clients: ClientRegistry, text: str) -> None:
    assert await clients.find(text) is None
    for change in (clients.get, clients.remove, clients.rotate_secret):
        with pytest.raises(ClientNotFoundError):
            await change(text)
