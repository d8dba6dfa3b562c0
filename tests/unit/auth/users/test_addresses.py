import pytest

from fastapi_baseline.auth.users.addresses import MAX_LENGTH, find_normalized, normalize_email
from fastapi_baseline.auth.users.errors import InvalidEmailError


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("anna@example.com", "anna@example.com"),
        ("Anna.Karenina@EXAMPLE.com", "anna.karenina@example.com"),
        ("anna+shop@example.com", "anna+shop@example.com"),
        ("anna@b\u00fccher.de", "anna@xn--bcher-kva.de"),
        ("anna@B\u00dcCHER.de", "anna@xn--bcher-kva.de"),
        ("anna@bu\u0308cher.de", "anna@xn--bcher-kva.de"),
        ("anna@\uff45xample.com", "anna@example.com"),
        ("anna@shop.test", "anna@shop.test"),
    ],
)
def test_an_address_has_one_form(written: str, stored: str) -> None:
    assert normalize_email(written) == stored
    assert normalize_email(stored) == stored


@pytest.mark.parametrize(
    "written",
    [
        "",
        "anna",
        "anna@",
        "@example.com",
        "anna@example",
        "anna@localhost",
        "anna@example.com\n",
        "anna@example.com\r\nBcc: otto@example.com",
        " anna@example.com",
        "anna\x00@example.com",
        '"anna k"@example.com',
        "anna@[127.0.0.1]",
        "anna@example.com,otto@example.com",
        "Anna <anna@example.com>",
        "m\u0131ke@example.com",
        "\u212aate@example.com\u0000",
        "\uff41nna@example.com",
        "anna\ud800@example.com",
        "anna@exam\ud800ple.com",
        "a" * 65 + "@example.com",
        "a" * MAX_LENGTH + "@example.com",
        "x" * 1_000_000,
    ],
)
def test_what_is_no_address_or_looks_like_another_is_refused(written: str) -> None:
    with pytest.raises(InvalidEmailError) as raised:
        normalize_email(written)

    assert raised.value.fields[0].path == ("email",)
    assert not written or written not in str(raised.value)
    assert find_normalized(written) is None
