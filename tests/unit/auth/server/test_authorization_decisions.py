from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.server.authorization_decisions import Step, decide
from fastapi_baseline.auth.server.authorization_requests import (
    AuthorizationError,
    AuthorizationRequest,
)

ASKED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def request(
    *prompts: str,
    max_age: timedelta | None = None,
    acr_values: tuple[str, ...] = (),
    expected_subject: str | None = None,
) -> AuthorizationRequest:
    return AuthorizationRequest(
        client_id="app",
        redirect_uri="https://app.example.com/callback",
        scopes=("openid", "email"),
        code_challenge="c" * 43,
        prompts=frozenset(prompts),
        max_age=max_age,
        acr_values=acr_values,
        expected_subject=expected_subject,
    )


def anna(*, ago: timedelta = MINUTE, acr: str | None = "aal1") -> Principal:
    return Principal(
        issuer=SELF, subject="anna", transport="session", auth_time=ASKED_AT - ago, acr=acr
    )


def step(
    asked: AuthorizationRequest, user: Principal | None, agreed: Collection[str] | None = None
) -> Step:
    return decide(asked, user, asked_at=ASKED_AT, agreed=agreed)


def error_of(
    asked: AuthorizationRequest, user: Principal | None, agreed: Collection[str] | None = None
) -> str:
    with pytest.raises(AuthorizationError) as caught:
        step(asked, user, agreed)
    return caught.value.error


def test_who_is_nobody_signs_in() -> None:
    assert step(request(), None) == "sign_in"
    assert step(request(), None, []) == "sign_in"


def test_who_is_there_is_not_asked_for_a_client_of_the_service() -> None:
    assert step(request(), anna()) == "allow"


def test_who_has_agreed_is_not_asked_again() -> None:
    assert step(request(), anna(), ["openid", "email", "more"]) == "allow"


def test_who_has_agreed_to_less_is_asked() -> None:
    assert step(request(), anna(), []) == "ask"
    assert step(request(), anna(), ["openid"]) == "ask"


def test_a_client_can_have_its_user_asked_whatever_they_have_agreed_to() -> None:
    assert step(request("consent"), anna()) == "ask"
    assert step(request("consent"), anna(), ["openid", "email"]) == "ask"


def test_nobody_is_asked_anything_where_nobody_may_be() -> None:
    silent = request("none")

    assert error_of(silent, None) == "login_required"
    assert error_of(silent, anna(), ["openid"]) == "consent_required"
    assert step(silent, anna()) == "allow"
    assert step(silent, anna(), ["openid", "email"]) == "allow"


@pytest.mark.parametrize("prompt", ["login", "select_account"])
def test_who_has_to_sign_in_again_does_so_once(prompt: str) -> None:
    asked = request(prompt)

    assert step(asked, anna(ago=timedelta(microseconds=1))) == "sign_in"
    assert step(asked, anna(ago=-MINUTE)) == "allow"


@pytest.mark.parametrize("max_age", [timedelta(0), MINUTE])
def test_a_proof_that_is_too_old_is_renewed(max_age: timedelta) -> None:
    asked = request(max_age=max_age)

    assert step(asked, anna(ago=max_age + timedelta(seconds=1))) == "sign_in"
    assert step(asked, anna(ago=max_age)) == "allow"
    # However long they then take to agree.
    assert step(asked, anna(ago=-MINUTE)) == "allow"


def test_a_proof_of_which_nobody_knows_when_it_was_is_too_old() -> None:
    nobody_knows = Principal(issuer=SELF, subject="anna", transport="session")

    assert step(request(max_age=MINUTE), nobody_knows) == "sign_in"
    assert step(request("login"), nobody_knows) == "sign_in"
    assert step(request(), nobody_knows) == "allow"


def test_a_proof_that_is_too_old_is_not_renewed_where_nobody_may_be_asked() -> None:
    assert error_of(request("none", max_age=timedelta(0)), anna()) == "login_required"


def test_who_can_do_better_is_asked_to_once() -> None:
    asked = request(acr_values=("aal2",))

    assert step(asked, anna()) == "sign_in"
    assert step(asked, anna(acr="aal2")) == "allow"
    assert step(asked, anna(ago=-MINUTE)) == "allow"
    assert error_of(request("none", acr_values=("aal2",)), anna()) == "login_required"


def test_one_of_the_levels_is_enough_and_a_higher_one_too() -> None:
    assert step(request(acr_values=("aal2", "aal1")), anna()) == "allow"
    assert step(request(acr_values=("aal1",)), anna(acr="aal2")) == "allow"
    assert step(request(acr_values=("aal1",)), anna(acr=None)) == "sign_in"


def test_levels_that_nobody_can_reach_here_are_only_a_wish() -> None:
    assert step(request(acr_values=("gold", "silver")), anna()) == "allow"


def test_somebody_else_than_the_client_believes_will_not_do() -> None:
    asked = request(expected_subject="otto")

    assert error_of(asked, anna()) == "login_required"
    assert step(asked, None) == "sign_in"
    assert step(request(expected_subject="anna"), anna()) == "allow"
