import json
import re

import pytest
from starlette.types import Scope

from fastapi_baseline.idempotency import InvalidIdempotencyKeyError
from fastapi_baseline.idempotency.keys import EXAMPLE, PATTERN, find_key, has_key

VALID = {
    '"8e03978e"': "8e03978e",
    "8e03978e": "8e03978e",
    '"a b"': "a b",
    r'"a\"b\\c"': r"a\"b\\c".replace("\\\\", "\\").replace('\\"', '"'),
    "a/b+c==": "a/b+c==",
    f'"{"x" * 255}"': "x" * 255,
    "x" * 255: "x" * 255,
}
INVALID = {
    "empty": b"",
    "an empty string": b'""',
    "an open string": b'"a',
    "two words": b"a b",
    "a list": b'"a", "b"',
    "a parameter": b'"a";x=1',
    "too long": b"x" * 256,
    "a string that is too long": b'"' + b"x" * 256 + b'"',
    "not ASCII": "ä".encode(),
    "not ASCII in a string": '"ä"'.encode(),
    "a control character": b'"a\tb"',
    "an unknown escape": rb'"a\nb"',
}


def scope_with(*values: bytes) -> Scope:
    return {"headers": [(b"host", b"a"), *((b"idempotency-key", value) for value in values)]}


@pytest.mark.parametrize(("text", "key"), VALID.items(), ids=map(str, range(len(VALID))))
def test_reads_strings_and_bare_words(text: str, key: str) -> None:
    assert find_key(scope_with(text.encode("ascii"))) == key


def test_a_string_and_a_bare_word_are_one_key() -> None:
    assert find_key(scope_with(b'"abc"')) == find_key(scope_with(b" abc\t")) == "abc"


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID.keys())
def test_refuses(value: bytes) -> None:
    with pytest.raises(InvalidIdempotencyKeyError) as caught:
        find_key(scope_with(value))

    assert [field.location for field in caught.value.fields] == ["header"]


def test_refuses_two_headers() -> None:
    with pytest.raises(InvalidIdempotencyKeyError):
        find_key(scope_with(b"a", b"a"))


def test_finds_nothing_without_the_header() -> None:
    assert find_key(scope_with()) is None
    assert not has_key(scope_with())
    assert has_key(scope_with(b""))


@pytest.mark.parametrize("text", [*VALID, EXAMPLE])
def test_the_pattern_for_clients_takes_what_is_valid(text: str) -> None:
    assert re.search(json.loads(json.dumps(PATTERN)), text)


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID.keys())
def test_the_pattern_for_clients_refuses_the_rest(value: bytes) -> None:
    assert not re.search(PATTERN, value.decode("latin-1"))
