import pytest

from fastapi_baseline.auth.users.errors import PasswordNotAcceptedError
from fastapi_baseline.auth.users.passwords import MAX_LENGTH, PasswordPolicy, normalize_password
from fastapi_baseline.settings import UserSettings

FIFTEEN = "grey whales sin"
EIGHT = "plum &8d"


def codes_of(policy: PasswordPolicy, password: str, **options: object) -> list[str]:
    with pytest.raises(PasswordNotAcceptedError) as raised:
        policy.accept(password, **options)  # pyright: ignore[reportArgumentType] -- the test says what is right
    return [field.code for field in raised.value.fields]


def test_fifteen_characters_are_enough_and_fourteen_are_not() -> None:
    policy = PasswordPolicy()

    assert policy.accept(FIFTEEN).text == FIFTEEN
    assert codes_of(policy, FIFTEEN[:-1]) == ["password_too_short"]


def test_with_a_second_factor_eight_are_enough_and_seven_are_not() -> None:
    policy = PasswordPolicy()

    accepted = policy.accept(EIGHT, has_second_factor=True)

    assert accepted.is_short
    assert not policy.accept(FIFTEEN, has_second_factor=True).is_short
    assert codes_of(policy, EIGHT[:-1], has_second_factor=True) == ["password_too_short"]


def test_the_service_may_ask_for_more() -> None:
    policy = PasswordPolicy(settings=UserSettings(password_min_length=20))

    assert codes_of(policy, FIFTEEN) == ["password_too_short"]


def test_characters_are_counted_as_they_are_hashed() -> None:
    composed = "\u00e9" * 7 + " whales!"
    decomposed = "e\u0301" * 7 + " whales"

    assert PasswordPolicy().accept(composed).text == composed
    assert codes_of(PasswordPolicy(), decomposed) == ["password_too_short"]


@pytest.mark.parametrize(
    "password",
    [
        "GREY WHALES SING",
        "grey whales sing",
        "194 7321 009 4456",
        "\u967d\u5149\u660e\u5a9a\u7684\u65e9\u6668\u559d\u8336\u548c\u5496\u5561\u5427\u597d\u5417",
    ],
)
def test_no_kinds_of_characters_are_asked_for(password: str) -> None:
    assert PasswordPolicy().accept(password).text == password


def test_spaces_are_characters_too() -> None:
    assert PasswordPolicy().accept("  grey   whales  ").text == "  grey   whales  "


def test_the_longest_password_is_accepted_and_a_longer_one_is_not() -> None:
    longest = ("grey whales sing of plums, " * 40)[:MAX_LENGTH]

    assert PasswordPolicy().accept(longest).text == longest
    assert codes_of(PasswordPolicy(), longest + "x") == ["password_not_text"]


@pytest.mark.parametrize("password", ["x" * 1_000_000, "\ufdfa" * 1000, "grey whales \ud800\udc00"])
def test_what_cannot_be_hashed_is_no_password(password: str) -> None:
    assert normalize_password(password) is None
    assert codes_of(PasswordPolicy(), password) == ["password_not_text"]


def test_a_nul_is_a_character_as_others_are() -> None:
    assert normalize_password("grey\x00whales") == "grey\x00whales"


def test_all_reasons_are_named_at_once_with_the_field() -> None:
    with pytest.raises(PasswordNotAcceptedError) as raised:
        PasswordPolicy().accept("password", name="new_password")

    fields = [(field.path, field.code) for field in raised.value.fields]
    assert fields == [
        (("new_password",), "password_too_short"),
        (("new_password",), "password_too_common"),
    ]


@pytest.mark.parametrize("password", ["The Shop 2026 !!", "karenina.example", "anna@example.com"])
def test_the_service_and_the_address_are_common_words(password: str) -> None:
    policy = PasswordPolicy(context=["the-shop"])

    codes = codes_of(policy, password, email="anna.karenina@example.com")

    assert "password_too_common" in codes


def test_an_accepted_password_does_not_show_itself() -> None:
    assert FIFTEEN not in repr(PasswordPolicy().accept(FIFTEEN))
