import hashlib
import re
import secrets
from collections.abc import Callable

import pytest

from fastapi_baseline.auth.api_keys.keys import make_key, parse_key

KEY = make_key("shop")
PARTS = KEY.text.split("_")


def zeros(count: int) -> bytes:
    return bytes(count)


def ones(count: int) -> bytes:
    return b"\xff" * count


def test_has_a_prefix_an_identifier_a_secret_and_a_checksum() -> None:
    assert re.fullmatch(r"shop_[0-9A-Za-z]{17}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", KEY.text)
    assert PARTS[1] == KEY.id


@pytest.mark.parametrize("token_bytes", [zeros, ones, secrets.token_bytes])
def test_all_keys_have_one_length(token_bytes: Callable[[int], bytes]) -> None:
    assert len(make_key("shop", token_bytes=token_bytes).text) == len(KEY.text)


def test_knows_the_digest_of_the_secret_only() -> None:
    assert KEY.digest == hashlib.sha256(PARTS[2].encode()).hexdigest()
    assert PARTS[2] not in repr(KEY)


def test_asks_for_256_random_bits_of_secret() -> None:
    asked: list[int] = []

    def token_bytes(count: int) -> bytes:
        asked.append(count)
        return secrets.token_bytes(count)

    make_key("shop", token_bytes=token_bytes)

    assert asked == [12, 32]


def test_no_two_secrets_are_encoded_alike() -> None:
    low, high = bytes(31) + b"\x01", b"\x01" + bytes(31)
    keys = [make_key("shop", token_bytes=lambda n, data=data: data[:n]) for data in (low, high)]

    assert keys[0].digest != keys[1].digest


def test_reads_what_it_has_made() -> None:
    assert parse_key(KEY.text, prefix="shop") == KEY


WRONG = {
    "empty": "",
    "another prefix": KEY.text.replace("shop", "shoq"),
    "no checksum": "_".join(PARTS[:3]),
    "another checksum": "_".join([*PARTS[:3], "000000"]),
    "another identifier": "_".join(["shop", "0" * 17, *PARTS[2:]]),
    "another secret": "_".join([*PARTS[:2], "0" * 43, PARTS[3]]),
    "a space at the end": KEY.text + " ",
    "a line end": KEY.text + "\n",
    "capitals": KEY.text.upper(),
    "not ASCII": KEY.text[:-1] + "\u0661",
    "100 kB": KEY.text * 1000,
    "a percent sign": "shop_%_%_%",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_refuses_what_it_has_not_made(text: str) -> None:
    assert parse_key(text, prefix="shop") is None


def test_refuses_keys_of_another_service() -> None:
    assert parse_key(KEY.text, prefix="mail") is None
