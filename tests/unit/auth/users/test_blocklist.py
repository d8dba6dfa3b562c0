import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.auth.users.blocklist import is_common

CONTEXT = ["fastapi-shop", "anna.karenina", "example.com"]


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PassWord",
        "1qaz2wsx3edc4rfv",
        "password1234567",
        "!!!!password!!!",
        "passwordpassword",
        "passwordpasswor",
        "dragon dragon dragon",
        "elizabeth-1985-!",
        "",
        "aaaaaaaaaaaaaaa",
        "!!!!!!!!!!!!!!!",
        "abcabcabcabcabcabc",
        "12341234123412341",
        "123456789012345",
        "543210987654321",
        "abcdefghijklmno",
        "qwertyuiopasdfghjkl",
        "abcdefghij12345",
        "fastapishop2026",
        "Fastapi-Shop-2026!",
        "annakarenina1828",
        "anna.karenina@example.com",
        "karenina.anna.1",
        "exampleexample1",
        "examplecomexamplecom",
    ],
)
def test_what_is_guessed_first_is_common(password: str) -> None:
    assert is_common(password, context=CONTEXT)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "my dog eats 7 apples",
        "anna likes the shop",
        "the password is plum",
        "nineteen84wasnotlike1984",
        "\u0437\u0438\u043c\u0430 \u0431\u043b\u0438\u0437\u043a\u043e \u0438 \u0442\u0435\u043c\u043d\u043e",
        "\u967d\u5149\u660e\u5a9a\u7684\u65e9\u6668\u559d\u8336",
        "f3Xq-92-ZkLp-71-Vb",
        "192837465564738291",
    ],
)
def test_what_is_long_and_no_such_thing_is_not_common(password: str) -> None:
    assert not is_common(password, context=CONTEXT)


def test_words_of_the_context_count_only_where_they_are_given() -> None:
    assert is_common("kareninakarenina", context=["karenina"])
    assert not is_common("kareninakarenina")


@given(st.text(max_size=64))
def test_looks_at_whatever_text(password: str) -> None:
    assert is_common(password) in {True, False}


@given(st.text(min_size=1, max_size=4), st.integers(min_value=2, max_value=20))
def test_a_few_characters_over_and_over_are_common(unit: str, times: int) -> None:
    folded = unit.casefold()
    password = folded * times

    assert len(folded) > 4 or is_common(password)
