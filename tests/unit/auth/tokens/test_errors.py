from typing import get_args

import pytest

from fastapi_baseline.auth.tokens import InvalidTokenError, IssuerUnavailableError
from fastapi_baseline.auth.tokens.errors import Reason
from fastapi_baseline.errors import UnauthenticatedError, UnavailableError


@pytest.mark.parametrize("reason", get_args(Reason))
def test_each_reason_has_a_challenge_that_says_it(reason: Reason) -> None:
    error = InvalidTokenError(reason)

    assert isinstance(error, UnauthenticatedError)
    assert (error.code, error.reason) == ("invalid_token", reason)
    assert error.challenge == (f'Bearer error="invalid_token", error_description="{error.message}"')


def test_a_challenge_has_the_scheme_that_the_token_came_with() -> None:
    error = InvalidTokenError("binding", scheme="DPoP")

    assert error.challenge is not None
    assert error.challenge.startswith('DPoP error="invalid_token"')


def test_an_issuer_that_does_not_answer_is_no_fault_of_who_asks() -> None:
    assert isinstance(IssuerUnavailableError(), UnavailableError)
    assert IssuerUnavailableError.code == "issuer_unavailable"
