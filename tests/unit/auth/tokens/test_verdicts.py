from datetime import timedelta

import pytest

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens import verdicts as module
from fastapi_baseline.auth.tokens.verdicts import Verdicts
from fastapi_baseline.testing import ManualClock

ADA = Principal(issuer="https://issuer.test", subject="ada", transport="bearer")
NOW = 1_767_225_600


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def verdicts(clock: ManualClock) -> Verdicts:
    return Verdicts(timedelta(seconds=30), clock=clock)


def test_keeps_a_good_one_for_a_while(verdicts: Verdicts, clock: ManualClock) -> None:
    verdicts.keep(b"1", ADA, expires_at=None)

    clock.advance(timedelta(seconds=29))
    assert verdicts.find(b"1") == ADA
    clock.advance(timedelta(seconds=1))
    assert verdicts.find(b"1") is None


def test_keeps_none_beyond_the_end_of_its_token(verdicts: Verdicts, clock: ManualClock) -> None:
    verdicts.keep(b"1", ADA, expires_at=NOW + 5)

    clock.advance(timedelta(seconds=4))
    assert verdicts.find(b"1") == ADA
    clock.advance(timedelta(seconds=1))
    assert verdicts.find(b"1") is None


def test_keeps_a_refusal_for_less(verdicts: Verdicts, clock: ManualClock) -> None:
    verdicts.keep(b"1", "inactive", expires_at=None)

    clock.advance(timedelta(seconds=9))
    assert verdicts.find(b"1") == "inactive"
    clock.advance(timedelta(seconds=1))
    assert verdicts.find(b"1") is None


def test_the_last_one_counts(verdicts: Verdicts) -> None:
    verdicts.keep(b"1", ADA, expires_at=None)
    verdicts.keep(b"1", "inactive", expires_at=None)
    assert verdicts.find(b"1") == "inactive"

    verdicts.keep(b"1", ADA, expires_at=None)
    assert verdicts.find(b"1") == ADA


def test_keeps_nothing_if_it_is_told_to(clock: ManualClock) -> None:
    verdicts = Verdicts(timedelta(0), clock=clock)

    verdicts.keep(b"1", ADA, expires_at=None)

    assert verdicts.find(b"1") is None


def test_refusals_push_no_good_one_out(verdicts: Verdicts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    verdicts.keep(b"good", ADA, expires_at=None)

    for number in range(5):
        verdicts.keep(bytes([number]), "inactive", expires_at=None)

    assert verdicts.find(b"good") == ADA
    assert verdicts.find(bytes([2])) is None
    assert verdicts.find(bytes([3])) == "inactive"
