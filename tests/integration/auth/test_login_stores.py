import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login.database import DatabaseLoginStore
from fastapi_baseline.auth.login.id_tokens import IdToken
from fastapi_baseline.auth.login.memory import MemoryLoginStore
from fastapi_baseline.auth.login.models import AuthLoginEntry, AuthLoginGroup
from fastapi_baseline.auth.login.provider_sessions import ProviderSessions
from fastapi_baseline.auth.login.providers import Provider
from fastapi_baseline.auth.login.redis import RedisLoginStore
from fastapi_baseline.auth.login.refreshing import TokenRefresher
from fastapi_baseline.auth.login.store import LoginStore, Stored
from fastapi_baseline.auth.login.tokens import ProviderTokens
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.sessions import (
    MemorySessionStore,
    Sessions,
    SessionsUnavailableError,
)
from fastapi_baseline.persistence import Database
from fastapi_baseline.redis import create_redis
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.redis import redis_process

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)


@dataclass
class Opened:
    """A store and its clock."""

    store: LoginStore
    clock: ManualClock

    async def add(self, key: str = "mark:1", value: str = "a", *groups: str) -> bool:
        return await self.store.add_if_absent(key, value, lifetime=MINUTE, groups=groups)


@asynccontextmanager
async def opened_database(url: str) -> AsyncGenerator[Database]:
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            for model in (AuthLoginEntry, AuthLoginGroup):
                await connection.run_sync(model.__table__.create)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] -- it is a table
        yield database
    finally:
        await database.dispose()


@pytest.fixture(params=["memory", "redis", "sqlite", "asyncpg", "psycopg"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Opened]:
    kind: str = request.param
    clock = ManualClock(NOW)
    if kind == "memory":
        yield Opened(MemoryLoginStore(clock=clock), clock)
    elif kind == "redis":
        url: str = request.getfixturevalue("redis_url")
        async with create_redis(url) as client:
            store = RedisLoginStore(client, namespace="shop", clock=clock)
            yield Opened(store, clock)
    else:
        url = f"sqlite:///{tmp_path / 'logins.db'}"
        if kind != "sqlite":
            postgres: str = request.getfixturevalue("postgres_url")
            url = postgres.replace("postgresql://", f"postgresql+{kind}://", 1)
        async with opened_database(url) as database:
            yield Opened(DatabaseLoginStore(database, clock=clock), clock)


@pytest.fixture
def store(opened: Opened) -> LoginStore:
    return opened.store


async def test_keeps_a_value(opened: Opened) -> None:
    value = json.dumps(["https://op.example", "é", "x" * 50_000], ensure_ascii=False)

    assert await opened.add("session:1", value)

    assert await opened.store.get("session:1") == Stored(value, 1)


async def test_keeps_what_is_there_already(opened: Opened, store: LoginStore) -> None:
    await opened.add()

    assert not await opened.add("mark:1", "b")

    assert await store.get("mark:1") == Stored("a", 1)


async def test_finds_nothing_under_another_key(opened: Opened, store: LoginStore) -> None:
    await opened.add()

    assert await store.get("mark:2") is None
    assert await store.take("mark:2") is None
    assert not await store.remove("mark:2")
    assert not await store.replace_if("mark:2", "b", version=1, lifetime=MINUTE)


async def test_a_value_is_there_until_the_last_microsecond(
    opened: Opened, store: LoginStore
) -> None:
    await opened.add("mark:1", "a", "group")

    opened.clock.advance(MINUTE - MICROSECOND)
    assert await store.get("mark:1") == Stored("a", 1)
    assert await store.list_group("group") == ["mark:1"]
    opened.clock.advance(MICROSECOND)

    assert await store.get("mark:1") is None
    assert await store.list_group("group") == []
    assert not await store.replace_if("mark:1", "b", version=1, lifetime=MINUTE)


@pytest.mark.parametrize("how", ["take", "remove"])
async def test_what_is_over_cannot_be_removed(opened: Opened, how: str) -> None:
    await opened.add()
    opened.clock.advance(MINUTE)

    assert not await getattr(opened.store, how)("mark:1")


async def test_what_is_over_makes_room_for_another(opened: Opened, store: LoginStore) -> None:
    await opened.add("mark:1", "a", "old")
    opened.clock.advance(MINUTE)

    assert await opened.add("mark:1", "b", "new")

    assert await store.get("mark:1") == Stored("b", 1)
    assert await store.list_group("old") == []
    assert await store.list_group("new") == ["mark:1"]


async def test_takes_a_value_once(opened: Opened, store: LoginStore) -> None:
    await opened.add()

    assert await store.take("mark:1") == "a"
    assert await store.take("mark:1") is None
    assert await store.get("mark:1") is None


async def test_replaces_the_version_that_was_read(opened: Opened, store: LoginStore) -> None:
    await opened.add()

    assert await store.replace_if("mark:1", "b", version=1, lifetime=MINUTE)
    assert not await store.replace_if("mark:1", "c", version=1, lifetime=MINUTE)
    assert await store.replace_if("mark:1", "d", version=2, lifetime=MINUTE)

    assert await store.get("mark:1") == Stored("d", 3)


async def test_a_value_that_is_replaced_lasts_anew_and_stays_in_its_groups(
    opened: Opened, store: LoginStore
) -> None:
    await opened.add("mark:1", "a", "group")
    opened.clock.advance(MINUTE / 2)

    await store.replace_if("mark:1", "b", version=1, lifetime=5 * MINUTE)
    opened.clock.advance(4 * MINUTE)

    assert await store.get("mark:1") == Stored("b", 2)
    assert await store.list_group("group") == ["mark:1"]


async def test_does_not_bring_back_what_was_removed(opened: Opened, store: LoginStore) -> None:
    await opened.add()
    await store.remove("mark:1")

    assert not await store.replace_if("mark:1", "b", version=1, lifetime=MINUTE)

    assert await store.get("mark:1") is None


async def test_removes_the_version_that_was_read_only(opened: Opened, store: LoginStore) -> None:
    await opened.add("mark:1", "a", "group")
    await store.replace_if("mark:1", "b", version=1, lifetime=MINUTE)

    assert not await store.remove("mark:1", version=1)
    assert await store.get("mark:1") == Stored("b", 2)
    assert await store.remove("mark:1", version=2)
    assert not await store.remove("mark:1", version=2)
    assert await store.list_group("group") == []


async def test_removes_any_version(opened: Opened, store: LoginStore) -> None:
    await opened.add()
    await store.replace_if("mark:1", "b", version=1, lifetime=MINUTE)

    assert await store.remove("mark:1")
    assert not await store.remove("mark:1")


async def test_finds_values_by_each_of_their_groups(opened: Opened, store: LoginStore) -> None:
    await opened.add("session:1", "a", "sid:1", "subject:anna")
    await opened.add("session:2", "a", "sid:2", "subject:anna")
    await opened.add("session:3", "a", "sid:3", "subject:otto")

    assert await store.list_group("sid:1") == ["session:1"]
    assert sorted(await store.list_group("subject:anna")) == ["session:1", "session:2"]
    assert await store.list_group("subject:nobody") == []
    await store.take("session:1")
    assert await store.list_group("subject:anna") == ["session:2"]
    assert await store.list_group("sid:1") == []


async def test_of_many_who_add_a_value_at_once_one_does(opened: Opened) -> None:
    added = await asyncio.gather(*(opened.add("mark:1", str(n)) for n in range(20)))

    assert sum(added) == 1


async def test_of_many_who_take_a_value_at_once_one_gets_it(
    opened: Opened, store: LoginStore
) -> None:
    await opened.add()

    taken = await asyncio.gather(*(store.take("mark:1") for _ in range(20)))

    assert [value for value in taken if value is not None] == ["a"]


async def test_of_many_who_replace_a_value_at_once_one_does(
    opened: Opened, store: LoginStore
) -> None:
    await opened.add()

    done = await asyncio.gather(
        *(store.replace_if("mark:1", str(n), version=1, lifetime=MINUTE) for n in range(20))
    )

    assert sum(done) == 1
    assert await store.get("mark:1") == Stored(str(done.index(True)), 2)


async def test_a_value_that_is_removed_while_it_is_replaced_is_gone(
    opened: Opened, store: LoginStore
) -> None:
    for n in range(5):
        await opened.add(f"mark:{n}")
        await asyncio.gather(
            store.replace_if(f"mark:{n}", "b", version=1, lifetime=MINUTE),
            store.remove(f"mark:{n}"),
        )

        assert await store.get(f"mark:{n}") is None


async def test_nothing_that_is_kept_can_be_read_without_the_keys(opened: Opened) -> None:
    keys = KeyRing(["k" * 32])
    sessions = ProviderSessions(opened.store, keys=keys, clock=opened.clock)
    session = Principal(
        issuer="https://op.example",
        subject="anna",
        transport="session",
        session_id="5e55",
        expires_at=NOW + timedelta(hours=12),
    )
    tokens = ProviderTokens(
        access_token="access-secret",
        expires_at=NOW + MINUTE,
        refresh_token="refresh-secret",
        id_token="id-secret",
    )
    id_token = IdToken(issuer="https://op.example", subject="anna", sid="sid-of-anna")

    await sessions.keep(session, provider="default", tokens=tokens, id_token=id_token)

    held = await sessions.find("5e55")
    assert held is not None
    assert held.session.access_token == "access-secret"
    stored = await opened.store.get("session:5e55")
    assert stored is not None
    assert "secret" not in stored.value
    assert "sid-of-anna" not in stored.value


class Client:
    """A provider that takes its time."""

    provider = Provider(
        name="default", issuer="https://op.example", client_id="shop", client_secret=SecretStr("s")
    )
    id_tokens: Any = None

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def refresh(self, refresh_token: str) -> ProviderTokens:
        self.seen.append(refresh_token)
        await asyncio.sleep(0.02)
        return ProviderTokens(
            access_token="new", expires_at=NOW + timedelta(hours=1), refresh_token="next"
        )


async def test_b17_of_many_processes_that_wait_for_tokens_one_refreshes(opened: Opened) -> None:
    anna = Principal(
        issuer="https://op.example",
        subject="anna",
        transport="session",
        session_id="5e55",
        expires_at=NOW + timedelta(hours=12),
    )
    held = ProviderSessions(opened.store, keys=KeyRing(["k" * 32]), clock=opened.clock)
    tokens = ProviderTokens(access_token="old", expires_at=NOW, refresh_token="first")
    id_token = IdToken(issuer="https://op.example", subject="anna")
    await held.keep(anna, provider="default", tokens=tokens, id_token=id_token)
    client = Client()
    refreshers = [
        TokenRefresher(
            held,
            clients={"default": client},
            sessions=Sessions(MemorySessionStore(clock=opened.clock), clock=opened.clock),
            refresh_before=timedelta(seconds=30),
            clock=opened.clock,
        )
        for _ in range(8)
    ]

    given = await asyncio.gather(*(one.get(anna) for one in refreshers))

    assert set(given) == {"new"}
    assert client.seen == ["first"]


async def test_new_values_sweep_away_what_is_over(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with opened_database(f"sqlite:///{tmp_path / 'logins.db'}") as database:
        opened = Opened(DatabaseLoginStore(database, clock=clock), clock)
        for n in range(25):
            await opened.add(f"mark:{n}", "a", f"group:{n}")
        clock.advance(MINUTE)

        await opened.add("mark:new", "a")
        await opened.add("mark:newer", "a")

        async with database.transaction() as transaction:
            assert await transaction.scalar(select(func.count()).select_from(AuthLoginEntry)) == 2
            assert await transaction.scalar(select(func.count()).select_from(AuthLoginGroup)) == 0


async def test_what_redis_keeps_goes_by_itself(redis_url: str) -> None:
    async with create_redis(redis_url) as client:
        clock = ManualClock(NOW)
        opened = Opened(RedisLoginStore(client, namespace="own", clock=clock), clock)
        await opened.add("session:1", "a", "group")
        await opened.store.replace_if("session:1", "b", version=1, lifetime=2 * MINUTE)

        redis: Any = client
        lives = [await redis.pttl(key) async for key in redis.scan_iter("logins:*:own:*")]

    assert len(lives) == 2
    assert all(120_000 < life <= 180_000 for life in lives)


async def test_says_so_while_redis_is_frozen() -> None:
    with redis_process() as server:
        async with create_redis(server.url) as client:
            store = RedisLoginStore(client, timeout=timedelta(milliseconds=50))
            server.freeze()

            await refuses_all(store)


async def test_says_so_while_the_database_is_gone() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    try:
        await refuses_all(DatabaseLoginStore(database))
    finally:
        await database.dispose()


async def refuses_all(store: LoginStore) -> None:
    for call in (
        store.get("a:1"),
        store.take("a:1"),
        store.remove("a:1"),
        store.list_group("a"),
        store.add_if_absent("a:1", "", lifetime=MINUTE),
        store.replace_if("a:1", "", version=1, lifetime=MINUTE),
    ):
        with pytest.raises(SessionsUnavailableError):
            await call
