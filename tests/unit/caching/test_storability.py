from datetime import timedelta

import pytest

from fastapi_baseline.caching.storability import Terms, find_terms


@pytest.mark.parametrize(
    "header",
    [
        (b"set-cookie", b"a=1"),
        (b"content-range", b"bytes 0-1/2"),
        (b"vary", b"*"),
        (b"vary", b"accept, *"),
        (b"expires", b"0"),
        (b"cache-control", b"no-store"),
        (b"cache-control", b"PRIVATE"),
        (b"cache-control", b'private="set-cookie"'),
        (b"cache-control", b"no-cache"),
        (b"cache-control", b"max-age=0"),
        (b"cache-control", b"s-maxage=0, max-age=60"),
    ],
    ids=str,
)
def test_some_responses_may_not_be_kept(header: tuple[bytes, bytes]) -> None:
    assert find_terms([header]) is None


def test_a_response_that_says_nothing_may_be_kept() -> None:
    assert find_terms([(b"content-type", b"text/plain")]) == Terms()


@pytest.mark.parametrize(
    ("control", "terms"),
    [
        (b"max-age=5", Terms(expire=timedelta(seconds=5), has_control=True)),
        (
            b"s-maxage=9, max-age=5",
            Terms(expire=timedelta(seconds=9), may_be_stale=False, has_control=True),
        ),
        (b"must-revalidate", Terms(may_be_stale=False, has_control=True)),
        (b"public", Terms(has_control=True)),
    ],
    ids=str,
)
def test_a_response_may_say_for_how_long(control: bytes, terms: Terms) -> None:
    assert find_terms([(b"cache-control", control)]) == terms


def test_an_expiry_counts_for_nothing_beside_a_lifetime() -> None:
    headers = [(b"expires", b"0"), (b"cache-control", b"max-age=5")]

    assert find_terms(headers) == Terms(expire=timedelta(seconds=5), has_control=True)


def test_a_response_names_the_headers_that_it_depends_on() -> None:
    headers = [(b"vary", b"Accept, Origin"), (b"vary", b"accept-language,")]

    terms = find_terms(headers)

    assert terms is not None
    assert terms.vary == {b"accept", b"origin", b"accept-language"}
