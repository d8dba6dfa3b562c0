import pytest

from fastapi_baseline.auth.challenges import (
    LAST_RESORT,
    is_scope,
    join_challenges,
    make_challenge,
    with_parameters,
)


def test_a_challenge_without_parameters_is_its_scheme() -> None:
    assert make_challenge("Bearer") == "Bearer"
    assert make_challenge("Bearer", realm=None) == "Bearer"


def test_parameters_come_in_their_order() -> None:
    challenge = make_challenge("Bearer", realm="orders", error="invalid_token", scope=None)

    assert challenge == 'Bearer realm="orders", error="invalid_token"'


def test_parameters_are_added_to_those_that_there_are() -> None:
    assert with_parameters("Bearer", error="x") == 'Bearer error="x"'
    assert with_parameters('Bearer realm="a"', error="x") == 'Bearer realm="a", error="x"'
    assert with_parameters('Bearer realm="a"', error=None) == 'Bearer realm="a"'


def test_values_are_quoted() -> None:
    assert make_challenge("Bearer", realm='a "b" \\c') == r'Bearer realm="a \"b\" \\c"'


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: a=b", "a\0", "\u00e9", "a\tb", "\x7f"])
def test_refuses_values_that_no_header_may_have(value: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        make_challenge("Bearer", realm=value)


@pytest.mark.parametrize("scheme", ["", "Bear er", 'Bearer"', "Bearer\r\n"])
def test_refuses_a_scheme_that_is_no_token(scheme: str) -> None:
    with pytest.raises(ValueError, match="token"):
        make_challenge(scheme)


def test_challenges_are_joined_once_each() -> None:
    joined = join_challenges(['Bearer realm="a"', None, "ApiKey", "", "ApiKey"])

    assert joined == 'Bearer realm="a", ApiKey'


def test_there_is_always_a_challenge() -> None:
    assert join_challenges([]) == join_challenges([None]) == LAST_RESORT


@pytest.mark.parametrize("text", ["orders:read", "a", "https://a.example/x", "!#[]~"])
def test_knows_what_may_be_a_scope(text: str) -> None:
    assert is_scope(text)


@pytest.mark.parametrize("text", ["", "a b", 'a"', "a\\", "\u00e9", "a\n"])
def test_knows_what_is_no_scope(text: str) -> None:
    assert not is_scope(text)
