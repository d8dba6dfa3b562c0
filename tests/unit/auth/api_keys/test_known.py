from datetime import timedelta

from fastapi_baseline.auth import Principal
from fastapi_baseline.auth.api_keys.known import KnownKey, KnownKeys
from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.testing import ManualClock

MAX_AGE = timedelta(seconds=10)


def known_key(subject: str = "exporter") -> KnownKey:
    return KnownKey(
        digest="0",
        principal=Principal(issuer=SELF, subject=subject, transport="api_key"),
        expires_at=None,
        last_used_at=None,
    )


def test_is_believed_until_it_is_too_old() -> None:
    clock = ManualClock()
    keys = KnownKeys(max_age=MAX_AGE, clock=clock)
    keys.remember("a", known_key(), version=keys.version)

    clock.advance(MAX_AGE - timedelta(milliseconds=1))
    before = keys.find("a")
    clock.advance(timedelta(milliseconds=1))
    after = keys.find("a")

    assert before == known_key()
    assert after is None


def test_use_does_not_make_it_younger() -> None:
    clock = ManualClock()
    keys = KnownKeys(max_age=MAX_AGE, clock=clock)
    keys.remember("a", known_key(), version=keys.version)

    clock.advance(MAX_AGE / 2)
    keys.find("a")
    clock.advance(MAX_AGE / 2)

    assert keys.find("a") is None


def test_forgets_what_was_used_longest_ago() -> None:
    keys = KnownKeys(max_age=MAX_AGE, clock=ManualClock(), max_keys=2)
    for name in "ab":
        keys.remember(name, known_key(name), version=keys.version)
    keys.find("a")

    keys.remember("c", known_key("c"), version=keys.version)

    assert [keys.find(name) is not None for name in "abc"] == [True, False, True]


def test_forgets_everything_after_a_revocation() -> None:
    keys = KnownKeys(max_age=MAX_AGE, clock=ManualClock())
    keys.remember("a", known_key(), version=keys.version)

    keys.forget_all()

    assert keys.find("a") is None


def test_does_not_remember_what_was_looked_up_before_a_revocation() -> None:
    keys = KnownKeys(max_age=MAX_AGE, clock=ManualClock())
    version = keys.version

    keys.forget_all()
    keys.remember("a", known_key(), version=version)

    assert keys.find("a") is None


def test_remembers_nothing_if_it_is_told_so() -> None:
    keys = KnownKeys(max_age=timedelta(0), clock=ManualClock())

    keys.remember("a", known_key(), version=keys.version)

    assert keys.find("a") is None
