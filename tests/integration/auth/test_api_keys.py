import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, event, select, text

from fastapi_baseline.auth import Principal
from fastapi_baseline.auth.api_keys import (
    ApiKey,
    ApiKeyNotFoundError,
    ApiKeys,
    InvalidApiKeyError,
    InvalidKeyDescriptionError,
    IssuedKey,
    KeyOwner,
)
from fastapi_baseline.auth.api_keys.keys import make_key
from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.errors import UnavailableError
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import ApiKeySettings
from fastapi_baseline.testing import ManualClock

ANN = KeyOwner("ann")
BOB = KeyOwner("bob")
MINUTE = timedelta(minutes=1)
SETTINGS = ApiKeySettings(enabled=True, prefix="shop")
NEVER = SETTINGS.model_copy(update={"cache_max_age": timedelta(0)})


class Events:
    def __init__(self) -> None:
        self.all: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.all.append(event)


async def create_table(database: Database) -> None:
    async with database.engine.begin() as connection:
        table: Table[Any] = ApiKey.metadata.tables[ApiKey.__tablename__]
        await connection.run_sync(table.create)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def database(any_database_url: str, clock: ManualClock) -> AsyncIterator[Database]:
    database = Database(any_database_url, clock=clock)
    await create_table(database)
    yield database
    await database.dispose()


@pytest.fixture
def keys(database: Database, clock: ManualClock, events: Events) -> ApiKeys:
    return ApiKeys(database, settings=SETTINGS, clock=clock, events=events)


@pytest.fixture
def elsewhere(database: Database, clock: ManualClock, events: Events) -> ApiKeys:
    """Give the keys as another process sees them."""
    return ApiKeys(database, settings=SETTINGS, clock=clock, events=events)


def secret_of(issued: IssuedKey) -> str:
    return issued.secret.get_secret_value()


async def is_good(keys: ApiKeys, issued: IssuedKey) -> bool:
    try:
        await keys.authenticate(secret_of(issued))
    except InvalidApiKeyError:
        return False
    return True


async def reason_of(keys: ApiKeys, key: str) -> str:
    with pytest.raises(InvalidApiKeyError) as caught:
        await keys.authenticate(key)
    return caught.value.reason


async def stored(database: Database, identifier: str) -> ApiKey:
    async with database.read_transaction() as session:
        return (await session.scalars(select(ApiKey).where(ApiKey.id == identifier))).one()


async def test_a_key_stands_for_its_owner(keys: ApiKeys) -> None:
    owner = KeyOwner("ann", "https://id.example")

    issued = await keys.issue("export", owner, scopes=["b", "a", "a"], roles=["clerk"])

    principal = await keys.authenticate(secret_of(issued))
    assert principal == Principal(
        issuer="https://id.example",
        subject="ann",
        transport="api_key",
        client_id=issued.record.id,
        scopes=frozenset({"a", "b"}),
        roles=frozenset({"clerk"}),
    )
    assert principal.auth_time is None
    assert principal.claims["key_name"] == "export"


async def test_only_a_digest_of_the_secret_is_stored(keys: ApiKeys, database: Database) -> None:
    issued = await keys.issue("export", ANN)

    secret = secret_of(issued).split("_")[2]
    async with database.engine.connect() as connection:
        rows = [list(row) for row in await connection.execute(text("SELECT * FROM auth_api_key"))]
    assert secret not in str(rows)
    assert secret not in repr(issued)
    assert hashlib.sha256(secret.encode()).hexdigest() in str(rows)


async def test_says_who_made_a_key(keys: ApiKeys, clock: ManualClock) -> None:
    principal = Principal(issuer=SELF, subject="admin", transport="session")
    token = request_context.set(RequestContext(request_id="1", principal=principal))

    issued = await keys.issue("export", ANN)

    request_context.reset(token)
    assert (issued.record.created_by, issued.record.created_at) == ("admin", clock.now())


WRONG: dict[str, Callable[[ApiKeys], Any]] = {
    "no name": lambda keys: keys.issue(" ", ANN),
    "a long name": lambda keys: keys.issue("x" * 101, ANN),
    "a NUL": lambda keys: keys.issue("x\0", ANN),
    "no owner": lambda keys: keys.issue("x", KeyOwner("")),
    "a long owner": lambda keys: keys.issue("x", KeyOwner("x" * 256)),
    "two scopes in one": lambda keys: keys.issue("x", ANN, scopes=["a b"]),
    "no role": lambda keys: keys.issue("x", ANN, roles=[""]),
    "no time": lambda keys: keys.issue("x", ANN, lifetime=timedelta(0)),
}


@pytest.mark.parametrize("issue", WRONG.values(), ids=WRONG.keys())
async def test_refuses_to_issue_a_key_with(keys: ApiKeys, issue: Callable[[ApiKeys], Any]) -> None:
    with pytest.raises(InvalidKeyDescriptionError) as caught:
        await issue(keys)

    assert len(caught.value.fields) == 1


async def test_refuses_what_is_no_key(keys: ApiKeys) -> None:
    assert await reason_of(keys, "shop_1") == "malformed"
    assert await reason_of(keys, make_key("shop").text) == "unknown"


async def test_refuses_the_right_identifier_with_another_secret(
    database: Database, clock: ManualClock
) -> None:
    # The identifier is asked for first, so both keys have the same one.
    first = ApiKeys(database, clock=clock, token_bytes=lambda count: b"\x01" * count)
    await first.issue("export", ANN)
    forged = make_key(
        "key", token_bytes=lambda count: (b"\x01" if count == 12 else b"\x02") * count
    )

    assert await reason_of(first, forged.text) == "wrong_secret"
    assert await reason_of(first, forged.text) == "wrong_secret"


async def test_ends_at_its_very_end(keys: ApiKeys, clock: ManualClock) -> None:
    issued = await keys.issue("export", ANN, lifetime=MINUTE)

    clock.advance(MINUTE - timedelta(microseconds=1))
    before = await is_good(keys, issued)
    clock.advance(timedelta(microseconds=1))

    assert before
    assert await reason_of(keys, secret_of(issued)) == "expired"


async def test_ends_at_its_very_end_also_where_it_is_known(
    database: Database, clock: ManualClock
) -> None:
    keys = ApiKeys(database, settings=SETTINGS, clock=clock)
    issued = await keys.issue("export", ANN, lifetime=timedelta(seconds=2))
    await keys.authenticate(secret_of(issued))

    clock.advance(timedelta(seconds=2))

    assert await reason_of(keys, secret_of(issued)) == "expired"


async def test_is_revoked_at_once(keys: ApiKeys) -> None:
    issued = await keys.issue("export", ANN)
    await keys.authenticate(secret_of(issued))

    await keys.revoke(issued.record.id)

    assert await reason_of(keys, secret_of(issued)) == "revoked"


async def test_is_revoked_elsewhere_once_it_is_looked_up_again(
    keys: ApiKeys, elsewhere: ApiKeys, clock: ManualClock
) -> None:
    issued = await keys.issue("export", ANN)
    await elsewhere.authenticate(secret_of(issued))

    await keys.revoke(issued.record.id)
    clock.advance(SETTINGS.cache_max_age - timedelta(milliseconds=1))
    before = await is_good(elsewhere, issued)
    clock.advance(timedelta(milliseconds=1))

    assert before
    assert not await is_good(elsewhere, issued)


async def test_is_revoked_elsewhere_at_once_if_nothing_is_remembered(
    keys: ApiKeys, database: Database, clock: ManualClock
) -> None:
    careful = ApiKeys(database, settings=NEVER, clock=clock)
    issued = await keys.issue("export", ANN)
    before = await is_good(careful, issued)

    await keys.revoke(issued.record.id)

    assert before
    assert not await is_good(careful, issued)


async def test_a_revocation_is_not_undone_by_a_look_up_that_was_under_way(
    keys: ApiKeys, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    issued = await keys.issue("export", ANN)
    read_transaction = database.read_transaction

    class Slow:
        def __init__(self) -> None:
            self._inner = read_transaction()

        async def __aenter__(self) -> Any:
            return await self._inner.__aenter__()

        async def __aexit__(self, *_: object) -> None:
            await self._inner.__aexit__(None, None, None)
            monkeypatch.undo()
            await keys.revoke(issued.record.id)

    monkeypatch.setattr(database, "read_transaction", Slow)
    during = await is_good(keys, issued)

    assert during
    assert not await is_good(keys, issued)


async def test_the_time_of_the_first_revocation_stays(
    keys: ApiKeys, database: Database, clock: ManualClock
) -> None:
    issued = await keys.issue("export", ANN)
    revoked_at = clock.now()
    await keys.revoke(issued.record.id)
    clock.advance(MINUTE)

    await keys.revoke(issued.record.id)

    assert (await stored(database, issued.record.id)).revoked_at == revoked_at


async def test_s27_nobody_revokes_or_exchanges_keys_of_others(keys: ApiKeys) -> None:
    issued = await keys.issue("export", ANN)

    with pytest.raises(ApiKeyNotFoundError):
        await keys.revoke(issued.record.id, owner=BOB)
    with pytest.raises(ApiKeyNotFoundError):
        await keys.rotate(issued.record.id, owner=BOB)
    with pytest.raises(ApiKeyNotFoundError):
        await keys.revoke(issued.record.id, owner=KeyOwner("ann", "https://id.example"))
    with pytest.raises(ApiKeyNotFoundError):
        await keys.revoke("unknown")

    assert await is_good(keys, issued)


async def test_owners_revoke_their_own(keys: ApiKeys) -> None:
    issued = await keys.issue("export", ANN)
    principal = await keys.authenticate(secret_of(issued))

    await keys.revoke(issued.record.id, owner=KeyOwner.of(principal))

    assert not await is_good(keys, issued)


async def test_lists_the_keys_of_an_owner(keys: ApiKeys, clock: ManualClock) -> None:
    names = ["first", "second", "third"]
    issued: list[IssuedKey] = []
    for name in names:
        issued.append(await keys.issue(name, ANN, lifetime=MINUTE if name == "first" else None))
        clock.advance(timedelta(seconds=30))
    await keys.issue("other", BOB)
    await keys.revoke(issued[1].record.id)

    good = [key.name for key in await keys.list_keys(ANN)]
    every = [key.name for key in await keys.list_keys(ANN, includes_ended=True)]
    of_all = [key.name for key in await keys.list_keys()]

    assert good == ["third"]
    assert every == ["third", "second", "first"]
    assert of_all == ["other", "third"]


async def test_all_keys_of_an_owner_end_together(keys: ApiKeys) -> None:
    first, second, other = [
        await keys.issue("export", owner)
        for owner in (ANN, ANN, KeyOwner("ann", "https://id.example"))
    ]

    count = await keys.revoke_all(SELF, "ann")

    assert count == 2
    assert [await is_good(keys, key) for key in (first, second, other)] == [False, False, True]
    assert await keys.revoke_all(SELF, "ann") == 0


async def test_all_keys_but_one_end(keys: ApiKeys) -> None:
    first, second = [await keys.issue("export", ANN) for _ in range(2)]

    await keys.revoke_all(SELF, "ann", except_=first.record.id)

    assert [await is_good(keys, key) for key in (first, second)] == [True, False]


async def test_is_exchanged_for_one_that_may_do_the_same(keys: ApiKeys, clock: ManualClock) -> None:
    old = await keys.issue("export", ANN, scopes=["a"], roles=["r"], lifetime=timedelta(days=90))
    clock.advance(timedelta(days=80))

    new = await keys.rotate(old.record.id, overlap=timedelta(hours=1))

    principal = await keys.authenticate(secret_of(new))
    assert (principal.subject, principal.scopes, principal.roles) == ("ann", {"a"}, {"r"})
    assert new.record.expires_at == clock.now() + timedelta(days=90)
    assert await is_good(keys, old)
    clock.advance(timedelta(hours=1))
    assert [await is_good(keys, key) for key in (old, new)] == [False, True]


async def test_an_exchange_makes_no_key_last_longer(keys: ApiKeys, clock: ManualClock) -> None:
    old = await keys.issue("export", ANN, lifetime=MINUTE)

    await keys.rotate(old.record.id, overlap=timedelta(hours=1))
    clock.advance(MINUTE)

    assert not await is_good(keys, old)


async def test_a_key_without_an_end_is_exchanged_for_another(keys: ApiKeys) -> None:
    old = await keys.issue("export", ANN)

    new = await keys.rotate(old.record.id, overlap=timedelta(0))

    assert new.record.expires_at is None
    assert [await is_good(keys, key) for key in (old, new)] == [False, True]


async def test_is_exchanged_once(keys: ApiKeys) -> None:
    old = await keys.issue("export", ANN)

    outcomes = await asyncio.gather(
        *(keys.rotate(old.record.id) for _ in range(8)), return_exceptions=True
    )

    made = [outcome for outcome in outcomes if isinstance(outcome, IssuedKey)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, ApiKeyNotFoundError)]
    assert (len(made), len(refused)) == (1, 7)


async def test_what_has_ended_is_not_exchanged(keys: ApiKeys) -> None:
    old = await keys.issue("export", ANN)
    await keys.revoke(old.record.id)

    with pytest.raises(ApiKeyNotFoundError):
        await keys.rotate(old.record.id)


async def test_no_exchange_survives_the_end_of_all_keys(keys: ApiKeys) -> None:
    # Several times, since they meet at another moment each time.
    for _ in range(5):
        old = await keys.issue("export", ANN)
        exchange, _ = await asyncio.gather(
            keys.rotate(old.record.id), keys.revoke_all(SELF, "ann"), return_exceptions=True
        )
        made = [exchange] if isinstance(exchange, IssuedKey) else []

        assert [key.name for key in await keys.list_keys(ANN)] == []
        assert [await is_good(keys, key) for key in [old, *made]] == [False] * (1 + len(made))


async def test_says_when_it_was_last_used(
    keys: ApiKeys, database: Database, clock: ManualClock
) -> None:
    issued = await keys.issue("export", ANN)
    clock.advance(MINUTE)

    await keys.authenticate(secret_of(issued))
    await keys.write_usage()

    assert (await stored(database, issued.record.id)).last_used_at == clock.now()


async def test_its_use_is_written_once_a_minute(
    keys: ApiKeys, database: Database, clock: ManualClock
) -> None:
    issued = await keys.issue("export", ANN)
    first = clock.now()
    seen: list[timedelta] = []
    for _ in range(3):
        await keys.authenticate(secret_of(issued))
        await keys.write_usage()
        last = (await stored(database, issued.record.id)).last_used_at
        assert last is not None
        seen.append(last - first)
        clock.advance(timedelta(seconds=30))

    assert seen == [timedelta(0), timedelta(0), MINUTE]


async def test_a_process_that_writes_late_does_not_turn_the_time_back(
    keys: ApiKeys, elsewhere: ApiKeys, database: Database, clock: ManualClock
) -> None:
    issued = await keys.issue("export", ANN)
    await keys.authenticate(secret_of(issued))
    clock.advance(timedelta(seconds=30))
    await elsewhere.authenticate(secret_of(issued))
    await elsewhere.write_usage()

    await keys.write_usage()

    assert (await stored(database, issued.record.id)).last_used_at == clock.now()


async def test_a_wrong_secret_is_no_use(database: Database, clock: ManualClock) -> None:
    keys = ApiKeys(database, clock=clock, token_bytes=lambda count: b"\x01" * count)
    issued = await keys.issue("export", ANN)
    forged = make_key(
        "key", token_bytes=lambda count: (b"\x01" if count == 12 else b"\x02") * count
    )

    await reason_of(keys, forged.text)
    await keys.write_usage()

    assert (await stored(database, issued.record.id)).last_used_at is None


async def test_its_use_is_written_while_the_application_serves(
    keys: ApiKeys, database: Database
) -> None:
    issued = await keys.issue("export", ANN)
    is_written = asyncio.Event()

    @event.listens_for(database.engine.sync_engine, "commit")
    def notice(connection: object) -> None:
        is_written.set()

    async with keys.lifespan(None):
        await keys.authenticate(secret_of(issued))
        # What fails is the test, if nothing is ever written.
        async with asyncio.timeout(5):
            await is_written.wait()

    assert (await stored(database, issued.record.id)).last_used_at is not None


async def test_its_use_is_written_at_the_end(keys: ApiKeys, database: Database) -> None:
    issued = await keys.issue("export", ANN)

    async with keys.lifespan(None):
        await keys.authenticate(secret_of(issued))

    assert (await stored(database, issued.record.id)).last_used_at is not None


def test_a_service_may_start_again_in_another_event_loop(any_database_url: str) -> None:
    database = Database(any_database_url)
    keys = ApiKeys(database, settings=SETTINGS)

    async def serve() -> datetime | None:
        async with keys.lifespan(None):
            issued = await keys.issue("export", ANN)
            # The writer waits by now, and is woken.
            await keys.authenticate(secret_of(issued))
        last = (await stored(database, issued.record.id)).last_used_at
        await database.dispose()
        return last

    with closing(asyncio.new_event_loop()) as first, closing(asyncio.new_event_loop()) as second:
        first.run_until_complete(create_table(database))
        written = [loop.run_until_complete(serve()) for loop in (first, second)]

    assert None not in written


async def test_a_database_that_takes_no_notes_holds_up_nobody(
    keys: ApiKeys, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    issued = await keys.issue("export", ANN)
    await keys.authenticate(secret_of(issued))
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE auth_api_key RENAME COLUMN last_used_at TO other"))

    await keys.write_usage()

    assert await is_good(keys, issued)
    assert "last use of API keys could not be noted" in caplog.text
    assert secret_of(issued) not in caplog.text


async def test_nobody_is_let_in_while_the_database_is_away(keys: ApiKeys) -> None:
    issued = await keys.issue("export", ANN)
    nowhere = Database("postgresql://a:b@127.0.0.1:1/nothing")
    others = ApiKeys(nowhere, settings=SETTINGS)

    with pytest.raises(UnavailableError):
        await others.authenticate(secret_of(issued))

    await nowhere.dispose()


async def test_says_what_happened(keys: ApiKeys, events: Events) -> None:
    old = await keys.issue("export", ANN)
    new = await keys.rotate(old.record.id)
    await keys.revoke(old.record.id)
    await keys.revoke_all(SELF, "ann")

    assert [(one.name, one.details["key_id"]) for one in events.all] == [
        ("api_key_issued", old.record.id),
        ("api_key_issued", new.record.id),
        ("api_key_revoked", old.record.id),
        ("api_key_revoked", new.record.id),
    ]
    assert events.all[1].details["replaces"] == old.record.id
    assert {one.subject for one in events.all} == {"ann"}
