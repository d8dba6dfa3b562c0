import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from pyotp.totp import TOTP

from fastapi_baseline.auth.users.totp import STEP_SECONDS, find_step, make_secret, make_uri

SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STEP = int(NOW.timestamp()) // STEP_SECONDS


def code_of(step: int) -> str:
    return TOTP(SECRET).generate_otp(step)


# RFC 6238, appendix B, for HMAC-SHA-1; six digits are the last of its eight.
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_accepts_the_codes_of_rfc_6238(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)

    assert find_step(SECRET, code, now=moment) == seconds // STEP_SECONDS


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_accepts_a_telephone_that_is_one_step_off(offset: int) -> None:
    assert find_step(SECRET, code_of(STEP + offset), now=NOW) == STEP + offset


@pytest.mark.parametrize("offset", [-2, 2])
def test_refuses_a_telephone_that_is_two_steps_off(offset: int) -> None:
    assert find_step(SECRET, code_of(STEP + offset), now=NOW) is None


def test_a_step_ends_to_the_second() -> None:
    last = NOW + timedelta(seconds=2 * STEP_SECONDS - 1)

    assert find_step(SECRET, code_of(STEP), now=last) == STEP
    assert find_step(SECRET, code_of(STEP), now=last + timedelta(seconds=1)) is None


def test_a_step_that_was_used_counts_no_more() -> None:
    assert find_step(SECRET, code_of(STEP), now=NOW, after=STEP) is None
    assert find_step(SECRET, code_of(STEP - 1), now=NOW, after=STEP) is None
    assert find_step(SECRET, code_of(STEP + 1), now=NOW, after=STEP) == STEP + 1


def test_reads_a_code_as_people_write_it() -> None:
    code = code_of(STEP)

    assert find_step(SECRET, f" {code[:3]} {code[3:]}", now=NOW) == STEP


@pytest.mark.parametrize(
    "code",
    ["", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "\0", "\ud800"],
)
def test_refuses_what_is_no_code(code: str) -> None:
    assert find_step(SECRET, code, now=NOW) is None


def test_a_secret_has_160_bits() -> None:
    secret = make_secret()

    assert len(base64.b32decode(secret)) == 20
    assert secret != make_secret()


def test_tells_apps_what_to_show() -> None:
    uri = urlsplit(make_uri(SECRET, account="ann@example.com", service="shop"))

    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/shop:ann%40example.com")
    assert parse_qs(uri.query) == {"secret": [SECRET], "issuer": ["shop"]}
