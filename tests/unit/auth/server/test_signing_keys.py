import asyncio
import base64
import json
import logging
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey
from sqlalchemy import select, update

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.server import signing_key_reading
from fastapi_baseline.auth.server.held_signing_keys import HeldKeys, sign
from fastapi_baseline.auth.server.signing_key_errors import (
    RotationPendingError,
    SigningKeyNotFoundError,
    SigningKeysUnavailableError,
)
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.auth.server.signing_key_storage import (
    Algorithm,
    make_key,
    read_keys,
    read_rows,
)
from fastapi_baseline.auth.server.signing_keys import SigningKeys
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings.auth import AuthorizationServerSettings
from fastapi_baseline.testing import ManualClock, max_queries
from tests.recorded_events import RecordedEvents

RING = KeyRing(["first secret of the tests, 32 letters"])
NOTICE = timedelta(hours=24)
MINUTE = timedelta(minutes=1)
CLAIMS = {"iss": "https://x.example.com", "sub": "somebody"}


def make_quick_key(_algorithm: Algorithm) -> ECKey:
    return ECKey.generate_key("P-256")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(tmp_path: Path, clock: ManualClock) -> AsyncGenerator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}", clock=clock)
    await database.create_all()
    yield database
    await database.dispose()


def make(database: Database, clock: ManualClock, **options: Any) -> SigningKeys:
    settings = options.pop("settings", AuthorizationServerSettings(algorithm="ES256"))
    options = {"keys": RING, "make_key": make_quick_key, **options}
    return SigningKeys(database, settings=settings, clock=clock, **options)


async def start(database: Database, clock: ManualClock) -> SigningKeys:
    """Return the keys of a process that has read them, once there is one."""
    keys = make(database, clock)
    await keys.refresh()
    return keys


async def start_with_a_key(database: Database, clock: ManualClock) -> tuple[SigningKeys, str]:
    """Return the keys of the first process, and the name of the only one that there is."""
    keys = await start(database, clock)
    (first,) = kids_of(keys)
    return keys, first


def kids_of(keys: SigningKeys) -> list[str]:
    return [key["kid"] for key in json.loads(keys.jwks)["keys"]]


def header_of(token: str) -> dict[str, Any]:
    return jws.extract_compact(token.encode()).headers()


def is_signed_by(token: str, key: Key | None) -> bool:
    assert key is not None
    signature = jws.extract_compact(token.encode())
    return jws.validate_compact(signature, key, algorithms=["ES256", "RS256"])


async def states_of(keys: SigningKeys) -> dict[str, str]:
    return {key.kid: key.state for key in await keys.list()}


async def test_the_first_key_is_made_when_one_is_needed_and_told_of(
    database: Database, clock: ManualClock
) -> None:
    events = RecordedEvents()
    keys = make(database, clock, events=events)

    await keys.refresh()

    (kid,) = kids_of(keys)
    assert await states_of(keys) == {kid: "active"}
    (event,) = events.recorded
    assert (event.name, event.details) == ("signing_key_changed", {"key": kid, "change": "made"})


async def test_all_processes_that_start_at_once_agree_on_one_key(
    database: Database, clock: ManualClock
) -> None:
    processes = [make(database, clock) for _ in range(5)]

    await asyncio.gather(*(keys.refresh() for keys in processes))

    assert len({keys.jwks for keys in processes}) == 1
    assert len(kids_of(processes[0])) == 1


async def test_what_is_signed_names_its_key_and_its_type(
    database: Database, clock: ManualClock
) -> None:
    keys = await start(database, clock)

    token = keys.sign(CLAIMS, typ="at+jwt")

    (kid,) = kids_of(keys)
    assert header_of(token) == {"alg": "ES256", "kid": kid, "typ": "at+jwt"}
    assert is_signed_by(token, await keys.find_key(kid, "ES256"))


async def test_what_is_published_has_no_private_part(
    database: Database, clock: ManualClock
) -> None:
    keys = await start(database, clock)

    (key,) = json.loads(keys.jwks)["keys"]
    found = await keys.find_key(key["kid"], "ES256")

    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["use"], key["alg"]) == ("sig", "ES256")
    assert found is not None
    assert not found.is_private


async def test_the_private_part_is_in_the_database_encrypted_only(
    database: Database, clock: ManualClock
) -> None:
    made: list[ECKey] = []

    def make_known_key(algorithm: Algorithm) -> ECKey:
        made.append(make_quick_key(algorithm))
        return made[-1]

    await make(database, clock, make_key=make_known_key).refresh()

    secret = made[0].as_dict(private=True)["d"]
    content = b"".join(
        path.read_bytes() for path in Path(database.url.database or "").parent.iterdir()
    )
    assert isinstance(secret, str)
    assert secret.encode() not in content
    assert base64.urlsafe_b64decode(f"{secret}==") not in content


async def test_keys_are_read_once_a_minute_however_much_is_signed(
    database: Database, clock: ManualClock
) -> None:
    keys = await start(database, clock)

    with max_queries(0, database=database):
        for _ in range(10):
            await keys.refresh()
            await keys.find_key(kids_of(keys)[0], "ES256")
    clock.advance(MINUTE)
    with max_queries(1, database=database) as queries:
        await asyncio.gather(*(keys.refresh() for _ in range(10)))

    assert len(queries) == 1


async def test_the_next_key_is_published_before_it_signs(
    database: Database, clock: ManualClock
) -> None:
    keys, first = await start_with_a_key(database, clock)

    listed = await keys.rotate()

    assert listed.state == "next"
    assert listed.activates_at == clock.now() + NOTICE
    assert set(kids_of(keys)) == {first, listed.kid}
    assert header_of(keys.sign(CLAIMS, typ="JWT"))["kid"] == first


async def test_all_processes_change_to_the_next_key_at_the_same_moment(
    database: Database, clock: ManualClock
) -> None:
    keys, other = await start(database, clock), await start(database, clock)
    following = (await keys.rotate()).kid
    clock.advance(MINUTE)
    await other.refresh()

    clock.advance(NOTICE - MINUTE - timedelta(microseconds=1))
    before = {
        header_of(each.sign(CLAIMS, typ="JWT"))["kid"]
        for each in (keys, other)
        if await fresh(each)
    }
    clock.advance(timedelta(microseconds=1))
    after = {
        header_of(each.sign(CLAIMS, typ="JWT"))["kid"]
        for each in (keys, other)
        if await fresh(each)
    }

    assert following not in before
    assert len(before) == 1
    assert after == {following}


async def fresh(keys: SigningKeys) -> bool:
    await keys.refresh()
    return True


async def test_a_retired_key_is_believed_for_as_long_as_a_token_lasts(
    database: Database, clock: ManualClock
) -> None:
    settings = AuthorizationServerSettings(
        algorithm="ES256", access_token_lifetime=timedelta(minutes=5)
    )
    keys = make(database, clock, settings=settings, clock_skew=timedelta(seconds=30))
    await keys.refresh()
    (first,) = kids_of(keys)
    following = (await keys.rotate()).kid
    # It may sign for another minute where nobody has noticed.
    clock.advance(NOTICE + timedelta(minutes=5, seconds=30) + MINUTE - timedelta(microseconds=1))
    await keys.refresh()

    is_believed = await keys.find_key(first, "ES256") is not None
    states = await states_of(keys)
    clock.advance(timedelta(microseconds=1))

    assert is_believed
    assert states == {following: "active", first: "retired"}
    assert await keys.find_key(first, "ES256") is None
    clock.advance(MINUTE)
    await keys.refresh()
    assert kids_of(keys) == [following]


async def test_a_key_that_is_over_is_removed_by_the_next_rotation(
    database: Database, clock: ManualClock
) -> None:
    keys, first = await start_with_a_key(database, clock)
    await keys.rotate()
    clock.advance(2 * NOTICE)

    await keys.rotate()

    async with database.read_transaction() as session:
        kids = set(await session.scalars(select(OAuthSigningKey.kid)))
    assert len(kids) == 2
    assert first not in kids


async def test_a_second_rotation_waits_for_the_first_and_says_until_when(
    database: Database, clock: ManualClock
) -> None:
    keys = await start(database, clock)
    following = (await keys.rotate()).kid

    with pytest.raises(RotationPendingError, match=f"{following} is published already") as refused:
        await keys.rotate()

    assert "--now" in refused.value.message


async def test_the_key_that_waits_signs_at_once_if_nobody_can_wait(
    database: Database, clock: ManualClock
) -> None:
    keys, first = await start_with_a_key(database, clock)
    following = (await keys.rotate()).kid

    listed = await keys.rotate(is_immediate=True)

    assert listed.kid == following
    assert await states_of(keys) == {following: "active", first: "retired"}
    assert header_of(keys.sign(CLAIMS, typ="JWT"))["kid"] == following
    clock.advance(timedelta(minutes=10))
    assert await keys.find_key(first, "ES256") is None


async def test_a_new_key_signs_at_once_if_nobody_can_wait_and_none_does(
    database: Database, clock: ManualClock
) -> None:
    keys, first = await start_with_a_key(database, clock)

    listed = await keys.rotate(is_immediate=True)

    assert listed.kid != first
    assert await states_of(keys) == {listed.kid: "active", first: "retired"}


async def test_another_process_finds_a_key_that_it_did_not_know_when_it_sees_it(
    database: Database, clock: ManualClock
) -> None:
    keys, other = await start(database, clock), await start(database, clock)
    clock.advance(timedelta(seconds=10))
    following = (await keys.rotate(is_immediate=True)).kid

    assert await other.find_key(following, "ES256") is not None


async def test_keys_that_nobody_has_are_looked_for_once_in_ten_seconds(
    database: Database, clock: ManualClock
) -> None:
    keys = await start(database, clock)
    clock.advance(timedelta(seconds=10))

    with max_queries(1, database=database) as queries:
        found = [await keys.find_key(f"made up {number}", "ES256") for number in range(100)]

    assert not any(found)
    assert len(queries) == 1


async def test_a_key_is_for_its_own_algorithm_only(database: Database, clock: ManualClock) -> None:
    keys = await start(database, clock)
    (kid,) = kids_of(keys)

    assert await keys.find_key(kid, "RS256") is None
    assert await keys.find_key(None, "ES256") is None


async def test_nothing_is_believed_any_more_of_a_key_that_is_revoked(
    database: Database, clock: ManualClock
) -> None:
    events = RecordedEvents()
    keys = make(database, clock, events=events)
    await keys.refresh()
    (first,) = kids_of(keys)

    listed = await keys.revoke(first)

    assert await states_of(keys) == {listed.kid: "active"}
    assert await keys.find_key(first, "ES256") is None
    assert header_of(keys.sign(CLAIMS, typ="JWT"))["kid"] == listed.kid
    assert events.recorded[-1].details == {"key": listed.kid, "change": "revoked", "revoked": first}


async def test_the_key_that_waits_takes_the_place_of_one_that_is_revoked(
    database: Database, clock: ManualClock
) -> None:
    keys, first = await start_with_a_key(database, clock)
    following = (await keys.rotate()).kid

    listed = await keys.revoke(first)

    assert (listed.kid, listed.state) == (following, "active")
    assert listed.retires_at is None


async def test_if_the_next_key_is_revoked_the_one_that_signs_does_not_retire(
    database: Database, clock: ManualClock
) -> None:
    keys, first = await start_with_a_key(database, clock)
    following = (await keys.rotate()).kid

    listed = await keys.revoke(following)

    assert (listed.kid, listed.state, listed.retires_at) == (first, "active", None)
    clock.advance(2 * NOTICE)
    await keys.refresh()
    assert header_of(keys.sign(CLAIMS, typ="JWT"))["kid"] == first


async def test_revoking_an_old_key_changes_nothing_else(
    database: Database, clock: ManualClock
) -> None:
    keys, first = await start_with_a_key(database, clock)
    following = (await keys.rotate(is_immediate=True)).kid
    third = (await keys.rotate()).kid

    listed = await keys.revoke(first)

    assert listed.kid == following
    assert listed.retires_at is not None
    assert await states_of(keys) == {third: "next", following: "active"}


async def test_a_key_that_is_not_there_is_not_revoked(
    database: Database, clock: ManualClock
) -> None:
    with pytest.raises(SigningKeyNotFoundError):
        await make(database, clock).revoke("nobody")


async def test_another_process_signs_nothing_with_a_revoked_key_after_a_minute(
    database: Database, clock: ManualClock
) -> None:
    keys, other = await start(database, clock), await start(database, clock)
    (first,) = kids_of(keys)
    listed = await keys.revoke(first)
    clock.advance(MINUTE)

    await other.refresh()

    assert header_of(other.sign(CLAIMS, typ="JWT"))["kid"] == listed.kid
    assert await other.find_key(first, "ES256") is None


async def test_without_a_database_the_keys_stay_for_an_hour_and_no_longer(
    database: Database, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = await start(database, clock)
    (kid,) = kids_of(keys)
    await break_down(database)

    clock.advance(timedelta(hours=1) - timedelta(seconds=1))
    await keys.refresh()
    found = await keys.find_key(kid, "ES256")
    clock.advance(timedelta(seconds=1))

    assert found is not None
    with pytest.raises(SigningKeysUnavailableError):
        keys.sign(CLAIMS, typ="JWT")
    with pytest.raises(SigningKeysUnavailableError):
        await keys.find_key(kid, "ES256")
    with pytest.raises(SigningKeysUnavailableError):
        await keys.refresh()
    assert "cannot be read" in caplog.text


async def break_down(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE oauth_signing_key")


async def test_who_has_not_read_any_key_signs_nothing(
    database: Database, clock: ManualClock
) -> None:
    keys = make(database, clock)

    with pytest.raises(SigningKeysUnavailableError):
        keys.sign(CLAIMS, typ="JWT")

    assert kids_of(keys) == []
    assert keys.algorithms == ["ES256"]


async def test_a_service_starts_without_its_database_and_has_keys_when_it_is_back(
    database: Database, clock: ManualClock
) -> None:
    keys = make(database, clock)
    await break_down(database)

    async with keys.lifespan(object()):
        with pytest.raises(SigningKeysUnavailableError):
            await keys.refresh()
        await database.create_all()
        clock.advance(timedelta(seconds=5))
        await keys.refresh()

    assert len(kids_of(keys)) == 1


async def test_the_first_key_is_there_when_the_service_has_started(
    database: Database, clock: ManualClock
) -> None:
    keys = make(database, clock)

    async with keys.lifespan(object()):
        assert header_of(keys.sign(CLAIMS, typ="JWT"))["kid"] == kids_of(keys)[0]


async def test_a_key_that_cannot_be_decrypted_is_no_reason_to_make_another_one(
    database: Database, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await make(database, clock).refresh()
    stranger = make(database, clock, keys=KeyRing(["another secret, of 32 letters and more"]))

    with caplog.at_level(logging.ERROR), pytest.raises(SigningKeysUnavailableError):
        await stranger.refresh()

    assert "AUTH__SECRET_KEYS" in caplog.text
    async with database.read_transaction() as session:
        assert len(await read_rows(session)) == 1


async def test_the_secret_of_another_row_is_not_taken_for_that_of_a_key(
    database: Database, clock: ManualClock
) -> None:
    keys = await start(database, clock)
    await keys.rotate()
    async with database.transaction() as session:
        first, second = await read_rows(session)
        copied = update(OAuthSigningKey).where(OAuthSigningKey.kid == first.kid)
        await session.execute(copied.values(private_jwk=second.private_jwk))

    with pytest.raises(SigningKeysUnavailableError):
        await make(database, clock).refresh()


async def test_an_old_key_needs_no_secret_to_be_believed(
    database: Database, clock: ManualClock
) -> None:
    old = make(database, clock)
    await old.refresh()
    (first,) = kids_of(old)
    ring = KeyRing(
        ["another secret, of 32 letters and more", "first secret of the tests, 32 letters"]
    )
    following = (await make(database, clock, keys=ring).rotate(is_immediate=True)).kid

    keys = make(database, clock, keys=KeyRing(["another secret, of 32 letters and more"]))

    await keys.refresh()
    assert await keys.find_key(first, "ES256") is not None
    assert header_of(keys.sign(CLAIMS, typ="JWT"))["kid"] == following


async def test_a_key_of_rsa_has_2048_bits_and_what_is_made_names_its_algorithm(
    database: Database, clock: ManualClock
) -> None:
    def make_real_key(algorithm: Algorithm) -> RSAKey | ECKey:
        return make_key(algorithm)

    keys = make(database, clock, settings=AuthorizationServerSettings(), make_key=make_real_key)

    await keys.refresh()

    (jwk,) = json.loads(keys.jwks)["keys"]
    assert jwk.keys() == {"kty", "n", "e", "kid", "use", "alg"}
    key = RSAKey.import_key(jwk)
    assert key.public_key.key_size == 2048
    assert keys.algorithms == ["RS256"]
    assert is_signed_by(keys.sign(CLAIMS, typ="JWT"), key)


async def test_a_change_of_the_algorithm_counts_from_the_next_key_on(
    database: Database, clock: ManualClock
) -> None:
    await make(database, clock).refresh()

    def make_real_key(algorithm: Algorithm) -> RSAKey | ECKey:
        return make_key(algorithm)

    keys = make(database, clock, settings=AuthorizationServerSettings(), make_key=make_real_key)
    await keys.refresh()
    before = header_of(keys.sign(CLAIMS, typ="JWT"))["alg"]
    await keys.rotate(is_immediate=True)

    assert before == "ES256"
    assert header_of(keys.sign(CLAIMS, typ="JWT"))["alg"] == "RS256"
    assert keys.algorithms == ["ES256", "RS256"]


async def test_a_key_that_has_retired_signs_nothing(database: Database, clock: ManualClock) -> None:
    keys = await start(database, clock)
    clock.advance(MINUTE)
    await keys.rotate(is_immediate=True)
    async with database.read_transaction() as session:
        rows = await read_rows(session)

    _, retired = read_keys(rows, ring=RING, now=clock.now())

    assert retired.private is None
    with pytest.raises(ValueError, match="retired"):
        sign(retired, CLAIMS, typ="JWT")


def test_nobody_holds_keys_at_first(clock: ManualClock) -> None:
    held = HeldKeys(clock)

    assert held.find_active() is None
    assert held.find_public("any", "ES256") is None
    assert json.loads(held.jwks) == {"keys": []}


async def test_a_key_does_not_show_its_private_half(database: Database, clock: ManualClock) -> None:
    await make(database, clock).refresh()
    async with database.read_transaction() as session:
        rows = await read_rows(session)

    (key,) = read_keys(rows, ring=RING, now=clock.now())

    assert key.private is not None
    assert "private" not in repr(key)


async def test_nobody_waits_for_a_database_that_is_silent(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = make(database, clock)

    with monkeypatch.context() as patched:
        patched.setattr(signing_key_reading, "PATIENCE_S", 0)
        for _ in range(2):
            with pytest.raises(SigningKeysUnavailableError):
                await keys.refresh()
    clock.advance(timedelta(seconds=5))

    # What was waited for in vain has gone on.
    await keys.refresh()
    assert len(kids_of(keys)) == 1
