from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens import InvalidTokenError, TokenProfile, TrustedIssuer
from fastapi_baseline.auth.tokens.claims import check_audience, check_claims, read_principal

ISSUER = TrustedIssuer(issuer="https://issuer.test", audiences=frozenset({"https://api.test"}))
RIGHT: Mapping[str, Any] = {
    "iss": "https://issuer.test",
    "sub": "ada",
    "aud": "https://api.test",
    "exp": 1000,
}


def check(*, now: float = 900, skew: float = 30, **changes: Any) -> None:
    check_claims({**RIGHT, **changes}, ISSUER, now=now, skew=skew)


def test_takes_claims_that_are_right() -> None:
    assert check() is None
    assert check(nbf=930, iat=930.0, exp=900.5) is None


@pytest.mark.parametrize(
    ("now", "is_over"), [(1029.999, False), (1030, True), (1030.001, True)], ids=str
)
def test_a_token_is_over_at_its_end_and_the_skew(now: float, is_over: bool) -> None:
    if not is_over:
        assert check(now=now) is None
        return
    with pytest.raises(InvalidTokenError) as caught:
        check(now=now)
    assert caught.value.reason == "expired"


def test_only_an_issuer_that_was_asked_may_say_nothing_of_the_end() -> None:
    claims = {name: value for name, value in RIGHT.items() if name != "exp"}

    check_claims(claims, ISSUER, now=900, skew=30, needs_expiry=False)
    with pytest.raises(InvalidTokenError) as caught:
        check_claims(claims, ISSUER, now=900, skew=30)

    assert caught.value.reason == "claims"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", [None, "1000", True, [], float("nan"), float("inf"), -1, 10**12], ids=str
)
def test_a_time_is_a_number_that_a_calendar_has(name: str, value: Any) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        check(**{name: value})

    assert caught.value.reason == "claims"


def test_takes_the_last_second_that_a_calendar_has() -> None:
    last = 253_402_300_799

    principal = read_principal({**RIGHT, "exp": last}, ISSUER)

    assert principal.expires_at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("audience", ["a", ["a"], ["c", "a"], ["b", "b"]], ids=str)
def test_takes_an_audience_that_is_one_of_ours(audience: object) -> None:
    assert check_audience(audience, frozenset({"a", "b"})) is None


@pytest.mark.parametrize("audience", [None, "", "c", [], ["c"], ["a", 1], {"a": 1}, 5], ids=str)
def test_refuses_any_other_audience(audience: object) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        check_audience(audience, frozenset({"a", "b"}))

    assert caught.value.reason == "audience"


def test_reads_who_is_asking() -> None:
    claims = {
        **RIGHT,
        "azp": "shop",
        "scope": "read write",
        "roles": ["clerk"],
        "auth_time": 800,
        "acr": "gold",
        "amr": ["pwd", "otp"],
        "email": "ada@example.com",
    }

    assert read_principal(claims, ISSUER) == Principal(
        issuer="https://issuer.test",
        subject="ada",
        transport="bearer",
        client_id="shop",
        scopes=frozenset({"read", "write"}),
        roles=frozenset({"clerk"}),
        auth_time=datetime(1970, 1, 1, 0, 13, 20, tzinfo=UTC),
        acr="gold",
        amr=frozenset({"pwd", "otp"}),
        expires_at=datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC),
        claims=claims,
    )
    assert read_principal(claims, ISSUER).claims["email"] == "ada@example.com"


def test_takes_one_method_that_is_not_in_a_list() -> None:
    assert read_principal({**RIGHT, "amr": "pwd"}, ISSUER).amr == {"pwd"}


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 1025},
        {"sub": "a\0"},
        {"sub": "\ud83d"},
        {"client_id": 1},
        {"acr": []},
        {"acr": "a\nb"},
        {"amr": 5},
        {"auth_time": "x"},
    ],
    ids=str,
)
def test_refuses_claims_of_other_types(changes: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        read_principal({**RIGHT, **changes}, ISSUER)

    assert caught.value.reason == "claims"


def test_a_profile_may_say_who_else_knows_the_subject_and_name_the_session() -> None:
    profile = TokenProfile(knower=lambda claims: claims.get("home"), session="sid")
    issuer = replace(ISSUER, profile=profile)

    at_home = read_principal({**RIGHT, "home": "self", "sid": "s1"}, issuer)
    elsewhere = read_principal(RIGHT, issuer)

    assert (at_home.issuer, at_home.session_id) == ("self", "s1")
    assert (elsewhere.issuer, elsewhere.session_id) == ("https://issuer.test", None)
    with pytest.raises(InvalidTokenError):
        read_principal({**RIGHT, "sid": 1}, issuer)


def test_the_tokens_of_others_name_no_session() -> None:
    assert read_principal({**RIGHT, "sid": "s1"}, ISSUER).session_id is None
