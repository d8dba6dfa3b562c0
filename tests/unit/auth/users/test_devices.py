from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.users.devices import COOKIE, LIFETIME, MAX_ACCOUNTS, KnownDevices
from fastapi_baseline.testing import ManualClock

OLD = "old-secret-of-32-characters-or-so"
NEW = "new-secret-of-32-characters-or-so"
ANN, OTTO = "ann@example.com", "otto@example.com"


def connection(cookie: str | None = None) -> HTTPConnection:
    headers = [] if cookie is None else [(b"cookie", f"{COOKIE}={cookie}".encode())]
    return HTTPConnection({"type": "http", "headers": headers})


def remember(devices: KnownDevices, *, account: str, cookie: str | None = None) -> str:
    response = Response()
    devices.remember(connection(cookie), response, account=account)
    return SimpleCookie(response.headers["set-cookie"])[COOKIE].value


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def devices(clock: ManualClock) -> KnownDevices:
    return KnownDevices(KeyRing([NEW]), clock=clock)


def test_knows_a_device_that_has_signed_in(devices: KnownDevices) -> None:
    cookie = remember(devices, account=ANN)

    assert devices.find(connection(cookie), account=ANN) is not None


def test_knows_it_for_no_other_account(devices: KnownDevices) -> None:
    cookie = remember(devices, account=ANN)

    assert devices.find(connection(cookie), account=OTTO) is None


def test_the_cookie_does_not_name_the_account(devices: KnownDevices) -> None:
    cookie = remember(devices, account=ANN)

    assert "ann" not in cookie
    assert "example" not in cookie


def test_the_cookie_is_for_this_host_only_and_for_no_script(devices: KnownDevices) -> None:
    response = Response()

    devices.remember(connection(), response, account=ANN)

    attributes = {part.strip().lower() for part in response.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"httponly", "secure", "path=/", "samesite=strict", "max-age=15552000"}
    assert COOKIE.startswith("__Host-")


def test_devices_differ(devices: KnownDevices) -> None:
    first, second = remember(devices, account=ANN), remember(devices, account=ANN)

    assert devices.find(connection(first), account=ANN) != devices.find(
        connection(second), account=ANN
    )


def test_a_device_that_signs_in_again_stays_the_same(
    devices: KnownDevices, clock: ManualClock
) -> None:
    first = remember(devices, account=ANN)
    clock.advance(timedelta(days=1))

    second = remember(devices, account=ANN, cookie=first)

    known = devices.find(connection(first), account=ANN)
    assert known is not None
    assert devices.find(connection(second), account=ANN) == known


def test_a_device_is_forgotten_after_its_lifetime(
    devices: KnownDevices, clock: ManualClock
) -> None:
    cookie = remember(devices, account=ANN)

    clock.advance(LIFETIME - timedelta(seconds=1))
    assert devices.find(connection(cookie), account=ANN) is not None
    clock.advance(timedelta(seconds=1))
    assert devices.find(connection(cookie), account=ANN) is None


def test_a_browser_is_known_to_several_accounts(devices: KnownDevices) -> None:
    cookie = remember(devices, account=ANN)

    cookie = remember(devices, account=OTTO, cookie=cookie)

    assert devices.find(connection(cookie), account=ANN) is not None
    assert devices.find(connection(cookie), account=OTTO) is not None


def test_a_browser_is_known_to_four_accounts_at_most(devices: KnownDevices) -> None:
    accounts = [f"user{number}@example.com" for number in range(MAX_ACCOUNTS + 1)]
    cookie = None
    for account in accounts:
        cookie = remember(devices, account=account, cookie=cookie)

    known = [devices.find(connection(cookie), account=account) is not None for account in accounts]
    assert known == [False] + [True] * MAX_ACCOUNTS
    assert len(cookie or "") < 512


@pytest.mark.parametrize("field", [0, 1, 2], ids=["device", "time", "signature"])
def test_a_cookie_that_was_changed_is_no_device(devices: KnownDevices, field: int) -> None:
    parts = remember(devices, account=ANN).split(".")
    parts[field] = parts[field][:-1] + ("0" if parts[field][-1] != "0" else "1")

    assert devices.find(connection(".".join(parts)), account=ANN) is None


@pytest.mark.parametrize(
    "cookie", ["", "~", "..", "a.b.c", "a.1", "a.-1.c", "é.1.é", "a." * 1000, "~" * 400]
)
def test_what_is_no_cookie_of_ours_is_no_device(devices: KnownDevices, cookie: str) -> None:
    assert devices.find(connection(cookie), account=ANN) is None


def test_a_cookie_of_a_key_that_was_replaced_still_counts(clock: ManualClock) -> None:
    cookie = remember(KnownDevices(KeyRing([OLD]), clock=clock), account=ANN)

    assert KnownDevices(KeyRing([NEW, OLD]), clock=clock).find(connection(cookie), account=ANN)
    assert not KnownDevices(KeyRing([NEW]), clock=clock).find(connection(cookie), account=ANN)
