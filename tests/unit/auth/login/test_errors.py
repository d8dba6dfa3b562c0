from typing import get_args

import pytest

from fastapi_baseline.auth.login.errors import (
    KNOWN_ERRORS,
    InvalidIdTokenError,
    LoginRefusal,
    LoginRefusedError,
    ProviderRefusedError,
    name_error,
)


@pytest.mark.parametrize("reason", get_args(LoginRefusal))
def test_a_message_says_what_to_do_and_no_more(reason: LoginRefusal) -> None:
    error = LoginRefusedError(reason, detail="nonce")

    assert error.message.endswith(".")
    assert "nonce" not in error.message
    assert (error.reason, error.detail) == (reason, "nonce")


@pytest.mark.parametrize("error", sorted(KNOWN_ERRORS))
def test_known_errors_of_providers_are_named(error: str) -> None:
    assert ProviderRefusedError(error).error == error


@pytest.mark.parametrize(
    "error", ["<script>", "", "ACCESS_DENIED", None, 7, ["x"], {"a": 1}], ids=str
)
def test_other_errors_of_providers_are_not(error: object) -> None:
    assert name_error(error) == "other"


def test_a_flaw_is_all_that_is_said_of_an_id_token() -> None:
    assert str(InvalidIdTokenError("nonce")) == "nonce"
