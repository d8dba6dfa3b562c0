import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from pyotp.totp import TOTP
from sqlalchemy import select

from fastapi_baseline.auth.encryption import KeyRing, UndecryptableError
from fastapi_baseline.auth.users.second_factor import SecondFactors
from fastapi_baseline.auth.users.second_factor_codes import MAX_FAILED_ATTEMPTS
from fastapi_baseline.auth.users.second_factor_errors import (
    SecondFactorEnabledError,
    SecondFactorMissingError,
    WrongCodeError,
)
from fastapi_baseline.auth.users.second_factor_models import RecoveryCode, SecondFactor
from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import ManualClock
from tests.integration.auth.databases import database_with
from tests.recorded_events import RecordedEvents

OLD = "old-secret-of-32-characters-or-so"
NEW = "new-secret-of-32-characters-or-so"
ANN, OTTO = "ann", "otto"
STEP = timedelta(seconds=30)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def events() -> RecordedEvents:
    return RecordedEvents()


@pytest.fixture
async def database(any_database_url: str, clock: ManualClock) -> AsyncGenerator[Database]:
    async with database_with(
        SecondFactor, RecoveryCode, url=any_database_url, clock=clock
    ) as database:
        yield database


def make(
    database: Database, clock: ManualClock, events: RecordedEvents, *keys: str
) -> SecondFactors:
    return SecondFactors(
        database, keys=KeyRing(keys or [NEW]), clock=clock, service="shop", events=events
    )


@pytest.fixture
def factors(database: Database, clock: ManualClock, events: RecordedEvents) -> SecondFactors:
    return make(database, clock, events)


def code_of(secret: str, clock: ManualClock) -> str:
    return TOTP(secret).at(clock.now())


async def at_once(factors: SecondFactors, code: str) -> list[str | None]:
    """Return what becomes of a code that comes eight times at the same time."""
    # Connections that are open already begin together.
    await asyncio.gather(*(factors.is_enabled(ANN) for _ in range(8)))
    return sorted(await asyncio.gather(*(factors.verify(ANN, code) for _ in range(8))), key=str)


async def enable(
    factors: SecondFactors, clock: ManualClock, subject: str = ANN
) -> tuple[str, tuple[str, ...]]:
    """Return the secret and the recovery codes of a user whose first code was used."""
    secret = (await factors.start(subject, account=f"{subject}@example.com")).secret
    codes = await factors.confirm(subject, code_of(secret, clock))
    clock.advance(STEP)
    return secret, codes


async def test_nobody_is_asked_before_a_code_was_confirmed(
    factors: SecondFactors, clock: ManualClock, events: RecordedEvents
) -> None:
    enrolment = await factors.start(ANN, account="ann@example.com")

    before = await factors.is_enabled(ANN)
    early = await factors.verify(ANN, code_of(enrolment.secret, clock))
    codes = await factors.confirm(ANN, code_of(enrolment.secret, clock))

    assert (before, early) == (False, None)
    assert await factors.is_enabled(ANN)
    assert not await factors.is_enabled(OTTO)
    assert len(codes) == await factors.count_recovery_codes(ANN) == 10
    assert events.names == ["second_factor_refused", "second_factor_enabled"]


async def test_the_code_that_confirmed_does_not_sign_in(
    factors: SecondFactors, clock: ManualClock
) -> None:
    secret = (await factors.start(ANN, account="a")).secret
    code = code_of(secret, clock)
    await factors.confirm(ANN, code)

    assert await factors.verify(ANN, code) is None


async def test_each_code_is_good_once(factors: SecondFactors, clock: ManualClock) -> None:
    secret, _ = await enable(factors, clock)
    code = code_of(secret, clock)

    assert await factors.verify(ANN, code) == "otp"
    assert await factors.verify(ANN, code) is None
    clock.advance(STEP)
    assert await factors.verify(ANN, code_of(secret, clock)) == "otp"


async def test_of_many_with_the_same_code_one_is_right(
    factors: SecondFactors, clock: ManualClock
) -> None:
    secret, _ = await enable(factors, clock)
    code = code_of(secret, clock)

    assert await at_once(factors, code) == [None] * 7 + ["otp"]


async def test_a_recovery_code_is_good_once(
    factors: SecondFactors, clock: ManualClock, events: RecordedEvents
) -> None:
    _, codes = await enable(factors, clock)

    assert await factors.verify(ANN, codes[0].lower()) == "recovery_code"
    assert await factors.verify(ANN, codes[0]) is None
    assert await factors.count_recovery_codes(ANN) == 9
    assert events.names[1:] == ["recovery_code_used", "second_factor_refused"]


async def test_of_many_with_the_same_recovery_code_one_is_right(
    factors: SecondFactors, clock: ManualClock
) -> None:
    _, codes = await enable(factors, clock)

    assert await at_once(factors, codes[0]) == [None] * 7 + ["recovery_code"]


async def test_codes_of_others_are_good_for_nobody_else(
    factors: SecondFactors, clock: ManualClock
) -> None:
    secret, codes = await enable(factors, clock, ANN)
    await enable(factors, clock, OTTO)

    assert await factors.verify(OTTO, code_of(secret, clock)) is None
    assert await factors.verify(OTTO, codes[0]) is None
    assert await factors.verify(ANN, codes[0]) == "recovery_code"


async def test_new_recovery_codes_take_the_place_of_the_old_ones(
    factors: SecondFactors, clock: ManualClock
) -> None:
    _, old = await enable(factors, clock)

    new = await factors.renew_recovery_codes(ANN)

    assert await factors.verify(ANN, old[0]) is None
    assert await factors.verify(ANN, new[0]) == "recovery_code"
    assert await factors.count_recovery_codes(ANN) == 9


async def test_a_second_factor_is_not_replaced_unasked(
    factors: SecondFactors, clock: ManualClock
) -> None:
    secret, _ = await enable(factors, clock)

    with pytest.raises(SecondFactorEnabledError):
        await factors.start(ANN, account="a")
    with pytest.raises(SecondFactorEnabledError):
        await factors.confirm(ANN, code_of(secret, clock))


async def test_who_starts_again_has_another_secret(
    factors: SecondFactors, clock: ManualClock
) -> None:
    first = await factors.start(ANN, account="a")
    second = await factors.start(ANN, account="a")

    with pytest.raises(WrongCodeError):
        await factors.confirm(ANN, code_of(first.secret, clock))
    assert await factors.confirm(ANN, code_of(second.secret, clock))


async def test_a_wrong_code_confirms_nothing(factors: SecondFactors) -> None:
    await factors.start(ANN, account="a")

    with pytest.raises(WrongCodeError):
        await factors.confirm(ANN, "000000")
    assert not await factors.is_enabled(ANN)
    assert await factors.count_recovery_codes(ANN) == 0


async def test_what_is_disabled_is_forgotten(
    factors: SecondFactors, clock: ManualClock, events: RecordedEvents
) -> None:
    secret, codes = await enable(factors, clock)

    await factors.disable(ANN)

    assert not await factors.is_enabled(ANN)
    assert await factors.verify(ANN, code_of(secret, clock)) is None
    assert await factors.verify(ANN, codes[0]) is None
    assert "second_factor_disabled" in events.names


async def test_what_is_not_there_cannot_be_used(factors: SecondFactors) -> None:
    await factors.remove(ANN)

    with pytest.raises(SecondFactorMissingError):
        await factors.disable(ANN)
    with pytest.raises(SecondFactorMissingError):
        await factors.confirm(ANN, "000000")
    with pytest.raises(SecondFactorMissingError):
        await factors.renew_recovery_codes(ANN)


async def test_a_hundred_wrong_codes_leave_known_devices_and_recovery_codes(
    factors: SecondFactors, clock: ManualClock, database: Database
) -> None:
    secret, codes = await enable(factors, clock)
    async with database.transaction() as session:
        row = await session.get_one(SecondFactor, ANN)
        row.failed_attempts = MAX_FAILED_ATTEMPTS - 1

    await factors.verify(ANN, "000000", is_known_device=True)
    one_more = await factors.verify(ANN, code_of(secret, clock))
    async with database.transaction() as session:
        row = await session.get_one(SecondFactor, ANN)
        row.failed_attempts = MAX_FAILED_ATTEMPTS - 1
    clock.advance(STEP)
    await factors.verify(ANN, "000000")

    assert one_more == "otp"
    assert await factors.verify(ANN, code_of(secret, clock)) is None
    assert await factors.verify(ANN, code_of(secret, clock), is_known_device=True) == "otp"
    clock.advance(STEP)
    assert await factors.verify(ANN, code_of(secret, clock)) == "otp"
    assert await factors.verify(ANN, codes[0]) == "recovery_code"


async def test_a_recovery_code_ends_the_count_of_wrong_codes(
    factors: SecondFactors, clock: ManualClock, database: Database
) -> None:
    secret, codes = await enable(factors, clock)
    async with database.transaction() as session:
        row = await session.get_one(SecondFactor, ANN)
        row.failed_attempts = MAX_FAILED_ATTEMPTS

    refused = await factors.verify(ANN, code_of(secret, clock))
    await factors.verify(ANN, codes[0])

    assert refused is None
    assert await factors.verify(ANN, code_of(secret, clock)) == "otp"


async def test_a_dump_of_the_database_makes_no_codes(
    factors: SecondFactors, clock: ManualClock, database: Database
) -> None:
    secret, codes = await enable(factors, clock)

    async with database.read_transaction() as session:
        rows = [row.secret for row in await session.scalars(select(SecondFactor))]
        digests = [row.digest for row in await session.scalars(select(RecoveryCode))]

    dump = " ".join([*rows, *digests]).upper()
    assert secret not in dump
    assert not any(code.replace("-", "") in dump for code in codes)


async def test_a_secret_copied_from_another_user_is_refused(
    factors: SecondFactors, clock: ManualClock, database: Database
) -> None:
    secret, _ = await enable(factors, clock, OTTO)
    await enable(factors, clock, ANN)
    async with database.transaction() as session:
        stolen = await session.get_one(SecondFactor, OTTO)
        row = await session.get_one(SecondFactor, ANN)
        row.secret, row.last_step = stolen.secret, None

    with pytest.raises(UndecryptableError):
        await factors.verify(ANN, code_of(secret, clock))


async def test_a_secret_is_encrypted_anew_after_the_key_was_replaced(
    database: Database, clock: ManualClock, events: RecordedEvents
) -> None:
    old = make(database, clock, events, OLD)
    secret, _ = await enable(old, clock)

    used = await make(database, clock, events, NEW, OLD).verify(ANN, code_of(secret, clock))
    clock.advance(STEP)

    assert used == "otp"
    assert await make(database, clock, events, NEW).verify(ANN, code_of(secret, clock)) == "otp"
