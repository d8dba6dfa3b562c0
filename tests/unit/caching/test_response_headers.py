import pytest

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.response_headers import (
    age_of,
    control_of,
    forward_status,
    hit_status,
    kept_headers,
    with_vary,
)


def entry(*, stale: float = 0, error: float = 0, tags: tuple[str, ...] = ()) -> Entry:
    return Entry(
        body=b"",
        stored_at=100,
        fresh_until=159.9,
        stale_until=159.9 + stale,
        error_until=159.9 + error,
        tags=tags,
    )


def test_what_belongs_to_one_moment_is_not_kept() -> None:
    headers = [(b"date", b"x"), (b"age", b"1"), (b"etag", b'"1"'), (b"x-request-id", b"1")]

    assert kept_headers(headers, length=3) == [(b"etag", b'"1"'), (b"content-length", b"3")]


def test_a_length_is_not_made_up_where_there_is_no_body() -> None:
    assert kept_headers([], length=0) == []
    assert kept_headers([(b"content-length", b"0")], length=0) == [(b"content-length", b"0")]


def test_the_headers_that_make_a_difference_are_named_once() -> None:
    headers = [(b"vary", b"Accept"), (b"a", b"b"), (b"vary", b"origin")]

    assert with_vary(headers, {b"accept", b"x-api-key"}) == [
        (b"a", b"b"),
        (b"vary", b"Accept, origin, X-Api-Key"),
    ]
    assert with_vary([(b"a", b"b")], set()) == [(b"a", b"b")]


@pytest.mark.parametrize(
    ("kept", "is_public", "value"),
    [
        (entry(), False, b"private, max-age=59"),
        (entry(stale=10), True, b"public, max-age=59, stale-while-revalidate=10"),
        (entry(error=10), False, b"private, max-age=59, stale-if-error=10"),
        (entry(tags=("order:1",)), False, b"private, no-cache"),
        (entry(tags=("order:1",)), True, b"public, max-age=59"),
    ],
    ids=["private", "public and stale", "stale if it fails", "private tags", "public tags"],
)
def test_clients_are_told_how_long_it_is_good(
    kept: Entry, value: bytes, *, is_public: bool
) -> None:
    assert control_of(kept, is_public=is_public) == (b"cache-control", value)


def test_the_age_is_the_time_since_it_was_made() -> None:
    assert age_of(entry(), now=107.9) == (b"age", b"7")
    assert age_of(entry(), now=90) == (b"age", b"0")


def test_a_hit_says_how_long_it_is_fresh_for() -> None:
    assert hit_status(entry(), now=100)[1] == b"baseline; hit; ttl=59"
    assert hit_status(entry(), now=170, key="a:b")[1] == b'baseline; hit; ttl=-11; key="a:b"'


def test_a_miss_says_why_it_was_one() -> None:
    assert forward_status("miss", "stored") == (b"cache-status", b"baseline; fwd=miss; stored")
    assert forward_status("request", key="a")[1] == b'baseline; fwd=request; key="a"'
