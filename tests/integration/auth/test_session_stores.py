import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update

from fastapi_baseline.auth.sessions import (
    MemorySessionStore,
    Owner,
    SessionRecord,
    SessionStore,
    SessionsUnavailableError,
)
from fastapi_baseline.auth.sessions.database import DatabaseSessionStore
from fastapi_baseline.auth.sessions.models import AuthSession
from fastapi_baseline.auth.sessions.redis import RedisSessionStore
from fastapi_baseline.persistence import Database
from fastapi_baseline.redis import create_redis
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.redis import redis_process

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IDLE = timedelta(minutes=30)
LIFE = timedelta(hours=12)
ANNA = Owner("self", "anna")
OTTO = Owner("self", "otto")
MICROSECOND = timedelta(microseconds=1)
AT_ONCE = timedelta(0)


def make(
    session_id: str = "1", owner: Owner = ANNA, *, at: datetime = NOW, **values: Any
) -> SessionRecord:
    return SessionRecord(
        id=session_id,
        issuer=owner.issuer,
        subject=owner.subject,
        created_at=at,
        last_seen_at=at,
        expires_at=at + LIFE,
        **values,
    )


async def add(
    store: SessionStore, digest: str, record: SessionRecord, *, max_per_owner: int = 50
) -> int:
    return await store.add(digest, record, idle_timeout=IDLE, max_per_owner=max_per_owner)


async def find(
    store: SessionStore, digest: str, *, after: timedelta = AT_ONCE
) -> SessionRecord | None:
    return await store.find(digest, now=NOW + after, idle_timeout=IDLE)


async def ids_of(
    store: SessionStore, owner: Owner = ANNA, *, after: timedelta = AT_ONCE
) -> list[str]:
    found = await store.list(owner, now=NOW + after, idle_timeout=IDLE)
    return [record.id for record in found]


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Database]:
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(AuthSession.__table__.create)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] -- it is a table
        yield database
    finally:
        await database.dispose()


@pytest.fixture(params=["memory", "redis", "sqlite", "asyncpg", "psycopg"])
async def store(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncGenerator[SessionStore]:
    kind: str = request.param
    if kind == "memory":
        clock = ManualClock(NOW)
        yield MemorySessionStore(clock=clock)
    elif kind == "redis":
        url: str = request.getfixturevalue("redis_url")
        async with create_redis(url) as client:
            yield RedisSessionStore(client, namespace="shop")
    else:
        url = f"sqlite:///{tmp_path / 'sessions.db'}"
        if kind != "sqlite":
            postgres: str = request.getfixturevalue("postgres_url")
            url = postgres.replace("postgresql://", f"postgresql+{kind}://", 1)
        async with opened(url) as database:
            yield DatabaseSessionStore(database)


async def test_finds_a_session_as_it_was_kept(store: SessionStore) -> None:
    record = make(
        client_id="pages",
        scopes=frozenset({"orders:read", "orders:write"}),
        roles=frozenset({"staff"}),
        auth_time=NOW - timedelta(seconds=1, microseconds=1),
        acr="2",
        amr=frozenset({"pwd", "otp"}),
        user_agent='Mozilla/5.0 "é" \\',
        address="2001:db8::1",
    )

    await add(store, "a", record)

    assert await find(store, "a") == record


async def test_finds_a_session_of_which_little_is_known(store: SessionStore) -> None:
    await add(store, "a", make())

    assert await find(store, "a") == make()


async def test_finds_nothing_under_another_digest(store: SessionStore) -> None:
    await add(store, "a", make())

    assert await find(store, "b") is None
    assert await find(store, "1") is None


async def test_a_session_is_there_until_the_last_microsecond_of_its_idle_timeout(
    store: SessionStore,
) -> None:
    await add(store, "a", make())
    await add(store, "b", make("2"))

    assert await find(store, "a", after=IDLE - MICROSECOND) == make()
    assert await find(store, "b", after=IDLE) is None


async def test_a_session_that_was_idle_for_too_long_does_not_come_back(
    store: SessionStore,
) -> None:
    await add(store, "a", make())

    assert await find(store, "a", after=IDLE) is None
    assert await find(store, "a", after=IDLE) is None
    assert await ids_of(store, after=IDLE) == []


async def test_a_session_that_is_used_goes_on_until_it_is_over(store: SessionStore) -> None:
    await add(store, "a", make())
    moment = timedelta(0)
    while moment + IDLE / 2 < LIFE:
        moment += IDLE / 2
        assert await find(store, "a", after=moment) is not None

    assert await find(store, "a", after=LIFE - MICROSECOND) is not None
    assert await find(store, "a", after=LIFE) is None


async def test_that_a_session_is_used_is_written_once_a_minute(store: SessionStore) -> None:
    minute = timedelta(minutes=1)
    await add(store, "a", make())

    await find(store, "a", after=minute - MICROSECOND)
    before = await find(store, "a", after=minute)
    after = await find(store, "a", after=minute + minute - MICROSECOND)

    assert before is not None
    assert before.last_seen_at == NOW
    assert after is not None
    assert after.last_seen_at == NOW + minute


async def test_lists_the_sessions_of_one_owner_the_newest_first(store: SessionStore) -> None:
    await add(store, "a", make("1"))
    await add(store, "b", make("2", at=NOW + timedelta(seconds=2)))
    await add(store, "c", make("3", at=NOW + timedelta(seconds=1)))
    await add(store, "d", make("4", OTTO))
    await add(store, "e", make("5", Owner("https://issuer.example", "anna")))

    assert await ids_of(store) == ["2", "3", "1"]
    assert await ids_of(store, OTTO) == ["4"]
    assert await ids_of(store, Owner("self", "nobody")) == []


async def test_lists_what_has_not_ended_with_when_it_was_last_seen(store: SessionStore) -> None:
    await add(store, "a", make("1"))
    await add(store, "b", make("2"))
    await find(store, "b", after=IDLE / 2)

    found = await store.list(ANNA, now=NOW + IDLE, idle_timeout=IDLE)

    assert found == [replace(make("2"), last_seen_at=NOW + IDLE / 2)]


async def test_owners_are_not_mixed_up_by_how_they_are_spelled(store: SessionStore) -> None:
    await add(store, "a", make("1", Owner("self", "x|y")))
    await add(store, "b", make("2", Owner("self|x", "y")))

    assert await store.remove_all(Owner("self", "x|y")) == 1
    assert await find(store, "b") is not None


async def test_the_oldest_session_ends_if_there_is_one_too_many(store: SessionStore) -> None:
    for number in range(3):
        at = NOW + timedelta(seconds=number)
        assert await add(store, f"d{number}", make(str(number), at=at), max_per_owner=3) == 0
    await add(store, "other", make("other", OTTO), max_per_owner=3)

    ended = await add(store, "d3", make("3", at=NOW + timedelta(seconds=3)), max_per_owner=3)

    assert ended == 1
    assert await find(store, "d0") is None
    assert await ids_of(store) == ["3", "2", "1"]
    assert await ids_of(store, OTTO) == ["other"]


async def test_a_session_that_is_over_takes_no_room_of_one_that_is_used(
    store: SessionStore,
) -> None:
    await add(store, "old", make("old"))
    await find(store, "old", after=IDLE - MICROSECOND)
    await add(store, "idle", make("idle", at=NOW + MICROSECOND))
    later = NOW + MICROSECOND + IDLE

    ended = await add(store, "new", make("new", at=later), max_per_owner=2)

    assert ended == 0
    assert await ids_of(store, after=IDLE) == ["new", "old"]


async def test_many_at_once_are_not_too_many(store: SessionStore) -> None:
    await asyncio.gather(*(add(store, f"d{n}", make(str(n)), max_per_owner=3) for n in range(12)))

    assert len(await ids_of(store)) == 3


async def test_a_session_ends_once(store: SessionStore) -> None:
    await add(store, "a", make())

    assert await store.remove("a") == make()
    assert await store.remove("a") is None
    assert await find(store, "a") is None
    assert await ids_of(store) == []


async def test_of_many_who_end_a_session_one_has_ended_it(store: SessionStore) -> None:
    await add(store, "a", make())

    found = await asyncio.gather(*(store.remove("a") for _ in range(10)))

    assert found.count(None) == 9


async def test_ends_one_session_of_its_owner_by_its_id(store: SessionStore) -> None:
    await add(store, "a", make("1"))
    await add(store, "b", make("2"))

    assert await store.remove_by_id(ANNA, "1")
    assert not await store.remove_by_id(ANNA, "1")
    assert await find(store, "a") is None
    assert await ids_of(store) == ["2"]


async def test_does_not_end_the_session_of_somebody_else(store: SessionStore) -> None:
    await add(store, "a", make("1"))

    assert not await store.remove_by_id(OTTO, "1")
    assert not await store.remove_by_id(Owner("other", "anna"), "1")
    assert await find(store, "a") is not None


async def test_ends_all_sessions_of_an_owner_at_once(store: SessionStore) -> None:
    await add(store, "a", make("1"))
    await add(store, "b", make("2"))
    await add(store, "c", make("3", OTTO))

    assert await store.remove_all(ANNA) == 2
    assert await store.remove_all(ANNA) == 0
    assert [await find(store, digest) for digest in ("a", "b")] == [None, None]
    assert await ids_of(store, OTTO) == ["3"]


async def test_ends_all_sessions_but_one(store: SessionStore) -> None:
    await add(store, "a", make("1"))
    await add(store, "b", make("2"))
    await add(store, "c", make("3"))

    assert await store.remove_all(ANNA, except_="2") == 2
    assert await ids_of(store) == ["2"]
    assert await find(store, "b") is not None


async def test_a_session_goes_on_under_another_digest(store: SessionStore) -> None:
    await add(store, "a", make("1"))
    await add(store, "b", make("2", at=NOW + MICROSECOND))
    changed = replace(
        make("1"), last_seen_at=NOW + MICROSECOND, roles=frozenset({"admin"}), acr="2"
    )

    assert await store.replace("a", "z", changed)

    assert await find(store, "a") is None
    assert await find(store, "z") == changed
    assert await ids_of(store) == ["2", "1"]
    assert await store.remove_by_id(ANNA, "1")
    assert await find(store, "z") is None


async def test_a_session_that_has_ended_does_not_go_on(store: SessionStore) -> None:
    await add(store, "a", make("1"))
    await store.remove_all(ANNA)

    assert not await store.replace("a", "z", make("1"))
    assert await find(store, "z") is None
    assert await ids_of(store) == []


async def test_of_many_who_rotate_a_session_one_has_it(store: SessionStore) -> None:
    await add(store, "a", make("1"))

    done = await asyncio.gather(*(store.replace("a", f"z{n}", make("1")) for n in range(10)))

    assert done.count(True) == 1
    assert [await find(store, f"z{n}") for n in range(10)].count(None) == 9
    assert await ids_of(store) == ["1"]


async def test_nothing_is_left_of_those_that_end_all_while_others_rotate(
    store: SessionStore,
) -> None:
    for number in range(5):
        await add(store, f"d{number}", make(str(number)))

    await asyncio.gather(
        *(store.replace(f"d{n}", f"z{n}", make(str(n))) for n in range(5)),
        store.remove_all(ANNA),
    )

    found = [await find(store, f"{kind}{n}") for kind in "dz" for n in range(5)]
    # What was rotated before all ended is gone as well; what came after had nothing to rotate.
    assert found == [None] * 10
    assert await ids_of(store) == []


# What follows is about one kind of store.


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    async with create_redis(redis_url) as client:
        yield client


async def keys_of(redis: Redis, pattern: str = "*") -> list[bytes]:
    execute: Any = redis.execute_command  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] -- untyped keywords
    keys: list[bytes] = await execute("KEYS", pattern)
    return keys


@pytest.mark.counts_commands
async def test_a_check_is_one_command_to_redis(redis_url: str) -> None:
    async with create_redis(redis_url) as client:
        store = RedisSessionStore(client)
        await add(store, "a", make())
        await find(store, "a")
        execute: Any = client.execute_command  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] -- untyped keywords
        await execute("CONFIG", "RESETSTAT")

        await find(store, "a", after=timedelta(minutes=2))

        counted: dict[str, Any] = await execute("INFO", "commandstats")

    calls = {
        name: statistics["calls"]
        for name, statistics in counted.items()
        # Valkey counts `CONFIG RESETSTAT` by itself.
        if not name.startswith("cmdstat_config")
    }
    # The script itself asks the last three.
    within = ("cmdstat_hmget", "cmdstat_hset", "cmdstat_pexpire")
    assert calls == {"cmdstat_evalsha": 1, **dict.fromkeys(within, 1)}


async def test_redis_forgets_by_itself_what_is_over(redis: Redis) -> None:
    store = RedisSessionStore(redis)

    await add(store, "a", make())

    keys = await keys_of(redis)
    lives = [await redis.pttl(key) for key in keys]
    assert len(keys) == 2
    assert all(0 < life <= (LIFE.total_seconds() + 60) * 1000 for life in lives)
    assert min(lives) <= (IDLE.total_seconds() + 60) * 1000


async def test_redis_has_neither_names_nor_what_is_in_cookies_in_its_keys(redis: Redis) -> None:
    store = RedisSessionStore(redis)

    await add(store, "a" * 64, make(owner=Owner("self", "anna@shop.example")))

    keys = await keys_of(redis)
    assert not any(b"anna" in key for key in keys)


async def test_services_that_share_a_redis_do_not_share_sessions(redis: Redis) -> None:
    await add(RedisSessionStore(redis, namespace="shop"), "a", make())

    assert await find(RedisSessionStore(redis, namespace="bank"), "a") is None


async def test_a_record_that_cannot_be_read_lets_nobody_in(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    store = RedisSessionStore(redis)
    await add(store, "a", make())
    for key in await keys_of(redis, "*:session:*"):
        await redis.hset(key, "r", b'{"id":')

    assert await find(store, "a") is None
    assert await ids_of(store) == []
    assert "cannot be read" in caplog.text


async def test_sessions_outlast_a_restart_of_the_scripts(redis: Redis) -> None:
    store = RedisSessionStore(redis)
    await add(store, "a", make())
    await redis.script_flush()

    assert await find(store, "a") == make()


async def test_says_that_nobody_can_tell_while_redis_is_frozen_or_gone() -> None:
    with redis_process() as server:
        async with create_redis(server.url) as client:
            store = RedisSessionStore(client, timeout=timedelta(milliseconds=50))
            await add(store, "a", make())

            server.freeze()
            with pytest.raises(SessionsUnavailableError):
                await find(store, "a")
            server.thaw()
            found = await find(RedisSessionStore(client, timeout=timedelta(seconds=5)), "a")
            server.kill()
            with pytest.raises(SessionsUnavailableError):
                await find(store, "a")

    assert found == make()


async def test_says_that_nobody_can_tell_while_the_database_is_gone() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    try:
        with pytest.raises(SessionsUnavailableError):
            await find(DatabaseSessionStore(database), "a")
    finally:
        await database.dispose()


@pytest.fixture
async def database(any_database_url: str) -> AsyncGenerator[Database]:
    async with opened(any_database_url) as database:
        yield database


async def test_the_table_shrinks_as_sessions_begin(database: Database) -> None:
    store = DatabaseSessionStore(database)
    for number in range(5):
        await add(store, f"d{number}", make(str(number), Owner("self", str(number))))

    await add(store, "new", make("new", at=NOW + LIFE))

    async with database.read_transaction() as session:
        assert (await session.scalars(select(AuthSession.id))).all() == ["new"]


async def test_sessions_of_one_owner_begin_one_after_the_other(database: Database) -> None:
    store = DatabaseSessionStore(database)
    later = make("2", at=NOW + MICROSECOND)

    async with database.transaction() as session:
        await add(store.within(session), "a", make("1"), max_per_owner=1)
        second = asyncio.ensure_future(add(store, "b", later, max_per_owner=1))
        done, _ = await asyncio.wait({second}, timeout=0.3)

    assert not done
    assert await second == 1
    assert await ids_of(store) == ["2"]


async def test_whoever_ends_all_sessions_waits_for_one_that_begins(database: Database) -> None:
    store = DatabaseSessionStore(database)

    async with database.transaction() as session:
        await add(store.within(session), "a", make("1"))
        ending = asyncio.ensure_future(store.remove_all(ANNA))
        done, _ = await asyncio.wait({ending}, timeout=0.3)

    assert not done
    assert await ending == 1
    assert await find(store, "a") is None


async def test_a_change_can_be_part_of_a_transaction_that_has_written(database: Database) -> None:
    store = DatabaseSessionStore(database)
    await add(store, "a", make("1"))
    await add(store, "b", make("2"))

    async with database.transaction() as session:
        await session.execute(update(AuthSession).values(acr="2"))
        joined = store.within(session)
        await joined.remove("a")
        inside = await find(joined, "b")
        await session.rollback()

    assert inside is not None
    assert inside.acr == "2"
    assert await find(store, "a") == make("1")


async def test_a_session_that_cannot_be_touched_is_found_all_the_same(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(f"sqlite:///{tmp_path / 'sessions.db'}?timeout=0.01") as database:
        store = DatabaseSessionStore(database)
        await add(store, "a", make())
        async with database.transaction() as session:
            await session.execute(update(AuthSession).values(acr="2"))

            found = await find(store, "a", after=timedelta(minutes=2))

    assert found == make()
    assert "could not be noted" in caplog.text
