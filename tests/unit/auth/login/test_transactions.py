from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.login.errors import LoginRefusedError
from fastapi_baseline.auth.login.transactions import (
    COOKIE_PREFIX,
    MAX_COOKIE_BYTES,
    MAX_TRANSACTIONS,
    Transaction,
    Transactions,
)
from fastapi_baseline.testing import ManualClock

LIFETIME = timedelta(minutes=10)
KEY = "a-secret-of-32-characters-or-more"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def transactions(clock: ManualClock) -> Transactions:
    return Transactions(KeyRing([KEY]), lifetime=LIFETIME, clock=clock)


def make_request(cookies: dict[str, str]) -> Request:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Request({"type": "http", "headers": [(b"cookie", header.encode("latin-1"))]})


def keep(
    transactions: Transactions, cookies: dict[str, str], transaction: Transaction
) -> dict[str, str]:
    """Return the cookies that a browser has afterwards."""
    response = Response()
    transactions.keep(make_request(cookies), response, transaction)
    return apply(response, cookies)


def apply(response: Response, cookies: dict[str, str]) -> dict[str, str]:
    kept = dict(cookies)
    for header in response.headers.getlist("set-cookie"):
        [(name, morsel)] = SimpleCookie(header).items()
        kept.pop(name, None)
        if morsel.value:
            kept[name] = morsel.value
    return kept


def test_finds_what_a_browser_has_begun(transactions: Transactions) -> None:
    begun = transactions.make(provider="staff", return_to="/orders", max_age_s=300)
    cookies = keep(transactions, {}, begun)

    found = transactions.find(make_request(cookies), begun.state)

    assert found == begun


def test_shows_no_secret(transactions: Transactions) -> None:
    begun = transactions.make(provider="staff", return_to="/orders")

    for secret in (begun.state, begun.nonce, begun.verifier):
        assert secret not in repr(begun)
        assert secret not in begun.cookie_name
        assert secret not in str(keep(transactions, {}, begun))
        assert len(secret) == 43


def test_lasts_as_long_as_its_cookie(transactions: Transactions, clock: ManualClock) -> None:
    begun = transactions.make(provider="staff", return_to="/")
    request = make_request(keep(transactions, {}, begun))
    clock.advance(LIFETIME - timedelta(microseconds=1))
    found = transactions.find(request, begun.state)
    clock.advance(timedelta(microseconds=1))

    with pytest.raises(LoginRefusedError) as caught:
        transactions.find(request, begun.state)

    assert found == begun
    assert caught.value.reason == "expired"


@pytest.mark.parametrize("state", [None, "", "other"])
def test_finds_nothing_by_another_state(transactions: Transactions, state: str | None) -> None:
    begun = transactions.make(provider="staff", return_to="/")
    request = make_request(keep(transactions, {}, begun))

    with pytest.raises(LoginRefusedError) as caught:
        transactions.find(request, state)

    assert caught.value.reason == "state"


def test_finds_nothing_under_the_name_of_another(transactions: Transactions) -> None:
    mine = transactions.make(provider="staff", return_to="/")
    other = transactions.make(provider="staff", return_to="/")
    [value] = keep(transactions, {}, mine).values()

    with pytest.raises(LoginRefusedError):
        transactions.find(make_request({other.cookie_name: value}), other.state)


def test_gives_up_the_oldest(transactions: Transactions, clock: ManualClock) -> None:
    cookies: dict[str, str] = {}
    begun: list[Transaction] = []
    for _ in range(MAX_TRANSACTIONS + 3):
        clock.advance(timedelta(seconds=1))
        begun.append(transactions.make(provider="staff", return_to="/"))
        cookies = keep(transactions, cookies, begun[-1])

    assert set(cookies) == {one.cookie_name for one in begun[-MAX_TRANSACTIONS:]}


def test_gives_up_more_if_they_are_long(transactions: Transactions, clock: ManualClock) -> None:
    cookies: dict[str, str] = {}
    begun: list[Transaction] = []
    for _ in range(4):
        clock.advance(timedelta(seconds=1))
        begun.append(transactions.make(provider="staff", return_to="/" + "a" * 1999))
        cookies = keep(transactions, cookies, begun[-1])

    assert begun[-1].cookie_name in cookies
    assert 0 < sum(map(len, cookies.values())) <= MAX_COOKIE_BYTES
    assert all(len(f"{name}={value}") <= 4096 for name, value in cookies.items())


def test_does_not_even_look_at_what_is_too_long(transactions: Transactions) -> None:
    begun = transactions.make(provider="staff", return_to="/" + "a" * 4000)
    cookies = keep(transactions, {}, begun)

    with pytest.raises(LoginRefusedError):
        transactions.find(make_request(cookies), begun.state)


def test_gives_up_what_nobody_can_finish_first(
    transactions: Transactions, clock: ManualClock
) -> None:
    over = transactions.make(provider="staff", return_to="/")
    cookies = keep(transactions, {f"{COOKIE_PREFIX}12345678": "x"}, over)
    clock.advance(LIFETIME)
    alive = transactions.make(provider="staff", return_to="/")

    cookies = keep(transactions, cookies, alive)

    assert set(cookies) == {alive.cookie_name}


def test_leaves_other_cookies_alone(transactions: Transactions) -> None:
    others = {"__Host-session": "x", f"{COOKIE_PREFIX}longer-than-ours": "x", "tx": "y"}

    cookies = keep(transactions, others, transactions.make(provider="staff", return_to="/"))

    assert others.items() <= cookies.items()


def test_forgets_one_of_several(transactions: Transactions) -> None:
    first = transactions.make(provider="staff", return_to="/")
    second = transactions.make(provider="staff", return_to="/")
    cookies = keep(transactions, keep(transactions, {}, first), second)
    response = Response()

    transactions.forget(make_request(cookies), response, first.state)

    assert set(apply(response, cookies)) == {second.cookie_name}


@pytest.mark.parametrize("state", [None, "other", "\ud800"], ids=ascii)
def test_forgets_nothing_that_is_not_there(transactions: Transactions, state: str | None) -> None:
    response = Response()

    transactions.forget(make_request({"a": "b"}), response, state)

    assert response.headers.getlist("set-cookie") == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"state": "x"}', "null", '{"started_at": "x"}'])
def test_reads_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match=r"no sign-in|Expecting value"):
        Transaction.from_json(text)


def test_a_sign_in_of_another_kind_of_text_is_none(transactions: Transactions) -> None:
    value = KeyRing([KEY]).encrypt("[]", owner="login transaction")
    begun = transactions.make(provider="staff", return_to="/")

    with pytest.raises(LoginRefusedError):
        transactions.find(make_request({begun.cookie_name: value}), begun.state)
