import pytest

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.request_directives import (
    NO_DIRECTIVES,
    RequestDirectives,
    find_directives,
    parse_list,
)

ENTRY = Entry(body=b"", stored_at=100, fresh_until=160, stale_until=160, error_until=160)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"", RequestDirectives()),
        (b"No-Cache", RequestDirectives(no_cache=True)),
        (b"max-age=0, no-cache", RequestDirectives(max_age=0, no_cache=True)),
        (b"no-store , max-age = 5", RequestDirectives(no_store=True, max_age=5)),
        (b'max-age="5"', RequestDirectives(max_age=5)),
        (b"max-age=nonsense", RequestDirectives(max_age=0)),
        (b"max-age", RequestDirectives(max_age=0)),
        (b"max-age=-1", RequestDirectives(max_age=0)),
        (b"max-age=5, max-age=9", RequestDirectives(max_age=5)),
        (b"max-age=" + b"9" * 30, RequestDirectives(max_age=2**31)),
        (b"min-fresh=7", RequestDirectives(min_fresh=7)),
        (b"only-if-cached", RequestDirectives(only_if_cached=True)),
        (b'x="no-store, no-cache"', RequestDirectives()),
        (b"max-stale=9, stale-if-error=9, x", RequestDirectives()),
        (b"no-store, " + b"x" * 300, RequestDirectives(no_store=True)),
    ],
)
def test_reads_what_a_client_wants(value: bytes, found: RequestDirectives) -> None:
    assert find_directives([(b"cache-control", value)]) == found


def test_several_headers_are_one_list() -> None:
    headers = [(b"cache-control", b"max-age=5"), (b"cache-control", b"no-store")]

    assert find_directives(headers) == RequestDirectives(max_age=5, no_store=True)


def test_pragma_counts_only_where_there_is_nothing_better() -> None:
    pragma = (b"pragma", b"no-cache")

    assert find_directives([pragma]) == RequestDirectives(no_cache=True)
    assert find_directives([pragma, (b"cache-control", b"max-age=5")]) == RequestDirectives(
        max_age=5
    )
    assert find_directives([(b"pragma", b"x"), (b"pragma", b"y")]) is NO_DIRECTIVES


def test_who_says_nothing_wants_nothing() -> None:
    assert find_directives([(b"accept", b"*/*")]) is NO_DIRECTIVES


@pytest.mark.parametrize(
    ("directives", "is_accepted"),
    [
        (RequestDirectives(), True),
        (RequestDirectives(no_cache=True), False),
        (RequestDirectives(max_age=10), True),
        (RequestDirectives(max_age=9), False),
        (RequestDirectives(min_fresh=50), True),
        (RequestDirectives(min_fresh=51), False),
    ],
    ids=str,
)
def test_an_entry_must_be_young_and_fresh_enough(
    directives: RequestDirectives, *, is_accepted: bool
) -> None:
    assert directives.accept(ENTRY, now=110) is is_accepted


def test_quotes_hold_commas() -> None:
    assert list(parse_list(b'private="a, b", max-age=1')) == [
        ("max-age", "1"),
        ("private", "a, b"),
    ]
