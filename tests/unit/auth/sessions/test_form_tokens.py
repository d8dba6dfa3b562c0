import base64

import pytest

from fastapi_baseline.auth.sessions import is_form_token, make_form_token

ANNA, OTTO = "anna's", "otto's"


def test_a_token_is_for_the_holder_of_one_secret() -> None:
    token = make_form_token(ANNA)

    assert is_form_token(token, secret=ANNA)
    assert not is_form_token(token, secret=OTTO)


def test_a_token_looks_different_each_time_and_has_nothing_of_the_secret() -> None:
    tokens = {make_form_token(ANNA) for _ in range(10)}

    assert len(tokens) == 10
    assert all(ANNA.encode() not in base64.urlsafe_b64decode(token) for token in tokens)


def test_a_token_can_stand_in_a_page_as_it_is() -> None:
    token = make_form_token(ANNA, token_bytes=lambda count: b"\xff" * count)

    assert token.startswith("_____")
    assert len(token) == 64
    assert token.replace("_", "").replace("-", "").isalnum()


@pytest.mark.parametrize("token", ["", "A", "AAAA", "é", "*" * 64, " ", "A" * 64, "=" * 64])
def test_anything_else_is_none(token: str) -> None:
    assert not is_form_token(token, secret=ANNA)


def test_a_token_that_was_altered_anywhere_is_none() -> None:
    token = make_form_token(ANNA)

    for place in range(len(token)):
        other = "B" if token[place] == "A" else "A"
        assert not is_form_token(token[:place] + other + token[place + 1 :], secret=ANNA)
