from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import pytest
from sqlalchemy.orm import Mapped, make_transient_to_detached, mapped_column
from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.users.models import UserRecord
from fastapi_baseline.auth.users.pending_sign_ins import COOKIE, LIFETIME, PendingSignIns
from fastapi_baseline.persistence import Base
from fastapi_baseline.testing import ManualClock

KEY = "a-secret-of-32-characters-or-more"


class PendingUser(Base, UserRecord):
    id: Mapped[int] = mapped_column(primary_key=True)


def make_user(number: int = 1) -> PendingUser:
    user = PendingUser(
        id=number,
        email=f"user{number}@example.com",
        password_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
        disabled_at=None,
    )
    make_transient_to_detached(user)
    return user


def connection(cookie: str | None) -> HTTPConnection:
    headers = [] if cookie is None else [(b"cookie", f"{COOKIE}={cookie}".encode())]
    return HTTPConnection({"type": "http", "headers": headers})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pending(clock: ManualClock) -> PendingSignIns:
    return PendingSignIns(KeyRing([KEY]), clock=clock)


def begin(pending: PendingSignIns, user: PendingUser) -> str:
    response = Response()
    pending.begin(response, user)
    return SimpleCookie(response.headers["set-cookie"])[COOKIE].value


def test_knows_who_has_said_the_password(pending: PendingSignIns) -> None:
    cookie = begin(pending, make_user())

    assert pending.find_subject(connection(cookie)) == "1"
    assert pending.is_of(connection(cookie), make_user())


def test_is_of_nobody_else(pending: PendingSignIns) -> None:
    cookie = begin(pending, make_user())

    assert not pending.is_of(connection(cookie), make_user(2))


def test_the_cookie_says_nothing_of_the_user(pending: PendingSignIns) -> None:
    assert "user1" not in begin(pending, make_user())


def test_ends_after_five_minutes(pending: PendingSignIns, clock: ManualClock) -> None:
    cookie = begin(pending, make_user())

    clock.advance(LIFETIME - timedelta(microseconds=1))
    assert pending.find_subject(connection(cookie)) == "1"
    clock.advance(timedelta(microseconds=1))
    assert pending.find_subject(connection(cookie)) is None


@pytest.mark.parametrize("changed", ["password_changed_at", "disabled_at", "email"])
def test_ends_when_the_user_changes(pending: PendingSignIns, changed: str) -> None:
    cookie = begin(pending, make_user())
    user = make_user()
    setattr(
        user, changed, "new@example.com" if changed == "email" else datetime(2026, 2, 2, tzinfo=UTC)
    )

    assert not pending.is_of(connection(cookie), user)


@pytest.mark.parametrize("cookie", [None, "", "a.b.c.d.e", "x" * 2000])
def test_what_is_no_cookie_of_ours_is_nobody(pending: PendingSignIns, cookie: str | None) -> None:
    assert pending.find_subject(connection(cookie)) is None


def test_what_was_encrypted_for_something_else_is_nobody(pending: PendingSignIns) -> None:
    cookie = KeyRing([KEY]).encrypt('["1", "", "2030-01-01T00:00:00+00:00"]', owner="1")

    assert pending.find_subject(connection(cookie)) is None


def test_the_cookie_is_for_this_host_only_and_for_no_script(pending: PendingSignIns) -> None:
    response = Response()

    pending.begin(response, make_user())

    attributes = {part.strip().lower() for part in response.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"httponly", "secure", "path=/", "samesite=strict", "max-age=300"}


def test_the_browser_forgets_it_at_the_end(pending: PendingSignIns) -> None:
    response = Response()

    pending.end(response)

    assert "Max-Age=0" in response.headers["set-cookie"]
