from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table
from starlette.requests import HTTPConnection

from fastapi_baseline.auth.api_keys import (
    ApiKey,
    ApiKeyAuthenticator,
    ApiKeys,
    InvalidApiKeyError,
    KeyOwner,
    RepeatedApiKeyError,
)
from fastapi_baseline.auth.api_keys.keys import make_key
from fastapi_baseline.auth.authentication import Authenticator
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import ApiKeySettings

SETTINGS = ApiKeySettings(enabled=True, header="X-Shop-Key", prefix="shop")


class Events:
    def __init__(self) -> None:
        self.all: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.all.append(event)


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[ApiKeys]:
    database = Database(f"sqlite:///{tmp_path / 'keys.db'}")
    async with database.engine.begin() as connection:
        table: Table[Any] = ApiKey.metadata.tables[ApiKey.__tablename__]
        await connection.run_sync(table.create)
    yield ApiKeys(database, settings=SETTINGS)
    await database.dispose()


@pytest.fixture
def authenticator(keys: ApiKeys, events: Events) -> ApiKeyAuthenticator:
    return ApiKeyAuthenticator(keys, settings=SETTINGS, events=events)


def request_with(*values: bytes, name: bytes = b"x-shop-key") -> HTTPConnection:
    headers = [(b"host", b"testserver"), *((name, value) for value in values)]
    scope = {"type": "http", "headers": headers, "query_string": b"X-Shop-Key=shop_1"}
    return HTTPConnection(scope)


def test_is_an_authenticator(authenticator: ApiKeyAuthenticator) -> None:
    way: Authenticator = authenticator

    assert way.scheme_name == "apiKey"
    assert way.scheme["type"] == "apiKey"
    assert (way.scheme["in"], way.scheme["name"]) == ("header", "X-Shop-Key")
    assert way.challenge == 'ApiKey header="X-Shop-Key"'


def test_only_its_header_offers_a_key(authenticator: ApiKeyAuthenticator) -> None:
    offered = [
        authenticator.is_offered(request)
        for request in (
            request_with(b"shop_1"),
            request_with(b""),
            request_with(),
            request_with(b"shop_1", name=b"x-api-key"),
            request_with(b"Bearer shop_1", name=b"authorization"),
            request_with(b"X-Shop-Key=shop_1", name=b"cookie"),
        )
    ]

    assert offered == [True, True, False, False, False, False]


async def test_returns_whom_a_key_stands_for(
    authenticator: ApiKeyAuthenticator, keys: ApiKeys, events: Events
) -> None:
    issued = await keys.issue("export", KeyOwner("exporter"))

    key = issued.secret.get_secret_value().encode()
    principal = await authenticator.authenticate(request_with(key))

    assert principal.subject == "exporter"
    assert events.all == []


async def test_refuses_two_keys(authenticator: ApiKeyAuthenticator) -> None:
    with pytest.raises(RepeatedApiKeyError):
        await authenticator.authenticate(request_with(b"shop_1", b"shop_2"))


WRONG = {
    "empty": b"",
    "not ASCII": "shöp_1".encode(),
    "no UTF-8": b"\xff\xfe",
    "a line end": b"shop_1\n",
    "with a scheme": b"Bearer shop_1",
    "100 kB": b"shop_" * 20_000,
}


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG.keys())
async def test_refuses_what_is_no_key(
    authenticator: ApiKeyAuthenticator, events: Events, value: bytes
) -> None:
    with pytest.raises(InvalidApiKeyError) as caught:
        await authenticator.authenticate(request_with(value))

    assert caught.value.challenge == 'ApiKey header="X-Shop-Key", error="invalid_key"'
    assert [(event.name, event.outcome, event.details) for event in events.all] == [
        ("api_key_refused", "failure", {"reason": "malformed"})
    ]


async def test_says_to_the_log_which_key_it_was_and_to_nobody_else(
    authenticator: ApiKeyAuthenticator, keys: ApiKeys, events: Events
) -> None:
    unknown = make_key("shop")
    issued = await keys.issue("export", KeyOwner("exporter"))
    await keys.revoke(issued.record.id)
    texts = [unknown.text, issued.secret.get_secret_value()]
    said: list[tuple[str, str | None]] = []
    for text in texts:
        with pytest.raises(InvalidApiKeyError) as caught:
            await authenticator.authenticate(request_with(text.encode()))
        said.append((caught.value.message, caught.value.challenge))

    assert said[0] == said[1]
    assert [event.details for event in events.all] == [
        {"reason": "unknown", "key_id": unknown.id},
        {"reason": "revoked", "key_id": issued.record.id},
    ]
    assert not any(text.split("_")[2] in str(events.all) for text in texts)
