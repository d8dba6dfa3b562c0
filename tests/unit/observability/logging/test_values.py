from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from fastapi_baseline.observability.logging.redaction import REDACTED, Redactor
from fastapi_baseline.observability.logging.values import LONGEST_TEXT, shorten, to_plain


class Colour(Enum):
    RED = "red"


class Broken(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise RuntimeError

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, "red"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        (b"\xffa", "\\xffa"),
        ({1: {2}}, {"1": [2]}),
        (SecretStr("hunter2"), "**********"),
        (2**64, "0x10000000000000000"),
        (2**64 - 1, 2**64 - 1),
        ([("password", "x")], [["password", REDACTED]]),
        (Broken(), "<Broken>"),
        (["pg://a:b@c"], [f"pg://a:{REDACTED}@c"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_makes_everything_plain(value: object, plain: object) -> None:
    assert to_plain(value, Redactor()) == plain


def test_does_not_follow_what_contains_itself() -> None:
    value: list[Any] = []
    value.append(value)

    assert str(to_plain(value, Redactor())) == "[[[[[['[[...]]']]]]]]"


def test_cuts_long_collections() -> None:
    items = to_plain(list(range(1000)), Redactor())
    pairs = to_plain({n: n for n in range(1000)}, Redactor())

    assert isinstance(items, list)
    assert items[-1] == "… (1000 items)"
    assert isinstance(pairs, dict)
    assert pairs["…"] == "1000 items"
    assert len(items) == len(pairs) == 201


@pytest.mark.parametrize("before", range(LONGEST_TEXT - 40, LONGEST_TEXT + 1, 8))
def test_leaves_no_part_of_a_secret_at_the_cut(before: int) -> None:
    text = "x" * before + " pg://me:hunter2hunter2@db " + "y" * 100_000

    assert "hunter" not in shorten(text, Redactor().redact)


@pytest.mark.parametrize("before", range(LONGEST_TEXT - 40, LONGEST_TEXT + 1, 8))
def test_leaves_no_part_of_a_secret_that_is_beyond_the_cut(before: int) -> None:
    # What is redacted is shorter then, and lets what follows move up.
    long_secret = "password=" + "x" * 4_000
    text = long_secret + " " + "y" * (before - 1_960) + " pg://me:hunter2hunter2@db"

    assert "hunter" not in shorten(text + "z" * 100_000, Redactor().redact)
