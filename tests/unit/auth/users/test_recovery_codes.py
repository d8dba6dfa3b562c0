import re

import pytest

from fastapi_baseline.auth.users.recovery_codes import (
    CODE_BYTES,
    CODES,
    digest,
    make_codes,
    normalize,
)

CODE = "0123-4567-89AB-CDEF-GHJK-MNPQ"


def test_makes_ten_codes_that_differ() -> None:
    codes = make_codes()

    assert len(set(codes)) == CODES == 10
    assert all(
        re.fullmatch(r"(?:[0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}", code) for code in codes
    )


def test_a_code_has_120_bits() -> None:
    counter = iter(range(CODES))

    codes = make_codes(lambda size: bytes([next(counter)] * size))

    assert CODE_BYTES * 8 == 120
    assert len(set(codes)) == CODES
    assert codes[0] == "0000-0000-0000-0000-0000-0000"


def test_every_bit_counts() -> None:
    seen = {
        make_codes(lambda size, bit=bit: (1 << bit).to_bytes(size, "big"))[0]
        for bit in range(CODE_BYTES * 8)
    }

    assert len(seen) == CODE_BYTES * 8


@pytest.mark.parametrize(
    "written",
    [
        CODE,
        CODE.lower(),
        CODE.replace("-", ""),
        CODE.replace("-", " "),
        CODE.replace("0", "O"),
        CODE.replace("1", "l"),
    ],
    ids=["shown", "lower", "joined", "spaces", "letter-o", "letter-l"],
)
def test_reads_a_code_as_people_write_it(written: str) -> None:
    assert normalize(written) == CODE.replace("-", "")


@pytest.mark.parametrize(
    "text", ["", "123456", CODE[:-1], CODE + "0", "é" * 24, "U" * 24, "\0" * 24]
)
def test_refuses_what_is_no_code(text: str) -> None:
    assert normalize(text) is None
    with pytest.raises(ValueError, match="no recovery code") as raised:
        digest(text, subject="u1")
    assert not text or text not in str(raised.value)


def test_the_same_code_of_two_users_is_stored_differently() -> None:
    assert digest(CODE, subject="u1") != digest(CODE, subject="u2")
    assert digest(CODE, subject="u1") == digest(CODE.lower(), subject="u1")
    assert CODE.replace("-", "") not in digest(CODE, subject="u1").upper()
