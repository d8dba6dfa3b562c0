import pickle

import pytest
from hypothesis import given
from hypothesis.strategies import binary

from fastapi_baseline.caching import wire
from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.store import Invalidation

STARTED = b"1767225600000000"
ENTRY = Entry(
    body=b"\x00\xff",
    stored_at=1.5,
    fresh_until=2.5,
    stale_until=3.5,
    error_until=4.5,
    tags=("a", "ü"),
    schema="s",
    making_s=0.25,
    status=404,
    headers=((b"content-type", b"text/plain"), (b"x", b"\xe9")),
    etag='"e"',
    variants={"gzip": b"\x1f"},
)
PACKED = wire.pack(ENTRY, versions=(b"1", b"2"), started_at=STARTED)


def test_an_entry_comes_back_as_it_was() -> None:
    assert wire.unpack(PACKED) == ((b"1", b"2"), ENTRY)


def test_the_moment_stands_where_a_script_can_read_it() -> None:
    assert PACKED[1:17] == STARTED


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        wire.TOMBSTONE + STARTED,
        b"\x02" + PACKED[1:],
        PACKED[:-1],
        PACKED + b"\x00",
        wire.pack(ENTRY, versions=(b"1",), started_at=STARTED),
        pickle.dumps("x"),
    ],
    ids=["none", "empty", "deleted", "another version", "short", "long", "versions", "pickle"],
)
def test_what_is_no_entry_is_none(value: bytes | None) -> None:
    assert wire.unpack(value) is None


@given(binary())
def test_nothing_that_stands_in_a_store_is_an_error(value: bytes) -> None:
    wire.unpack(wire.FORMAT + STARTED + value)
    wire.unpack_invalidation(value)


def test_an_invalidation_comes_back_as_it_was() -> None:
    invalidation = Invalidation(sender="s", tags=("a",), keys=("n:k",), namespaces=("n",))

    assert wire.unpack_invalidation(wire.pack_invalidation(invalidation)) == invalidation


@pytest.mark.parametrize("message", [b"", b"\x02abc", b"\x01\xc1"])
def test_a_message_that_cannot_be_read_makes_everything_invalid(message: bytes) -> None:
    assert wire.unpack_invalidation(message).is_everything
