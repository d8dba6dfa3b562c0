from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.caching import Cache, Lifetime
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.making import Made, find_terms_of, make_entry
from fastapi_baseline.caching.plan import Plan
from fastapi_baseline.caching.policy import ResponsePolicy
from fastapi_baseline.caching.site import Site
from fastapi_baseline.caching.storability import Terms
from fastapi_baseline.settings import CacheSettings
from fastapi_baseline.testing import ManualClock

SETTINGS = CacheSettings(jitter=0.5)
CREDENTIALS = Credentials(SETTINGS)
MINUTE = timedelta(minutes=1)


async def nobody(*_: Any) -> None: ...


def site() -> Site:
    cache = Cache(clock=ManualClock(), settings=SETTINGS, random=lambda: 1.0)
    return Site(app=nobody, cache=cache, credentials=CREDENTIALS, answers_conditions=False)


def plan(*, lifetime: Lifetime | None = None, **policy: Any) -> Plan:
    return Plan(
        key=":key",
        policy=ResponsePolicy(function=nobody, identity="nobody", **policy),
        lifetime=lifetime or Lifetime(expire=MINUTE, jitter=0),
        tags=("tag",),
        reason="miss",
        started_at=-2.0,
    )


@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 308])
def test_some_statuses_are_kept(status: int) -> None:
    assert find_terms_of(plan(), status, [], credentials=CREDENTIALS) == Terms()


@pytest.mark.parametrize("status", [201, 202, 206, 302, 304, 307, 400, 401, 404, 410, 500, 503])
def test_others_are_not(status: int) -> None:
    assert find_terms_of(plan(), status, [], credentials=CREDENTIALS) is None


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_kept_if_the_route_says_so(status: int) -> None:
    one = plan(negative_expire=timedelta(seconds=5))

    found = find_terms_of(one, status, [], credentials=CREDENTIALS)
    entry, _ = make_entry(site(), one, Made(status, [], b""), terms=Terms())

    assert found == Terms()
    assert entry.fresh_until - entry.stored_at == 5


def test_a_header_that_was_not_known_to_make_a_difference_is_noted() -> None:
    one = plan()
    headers = [(b"vary", b"Accept")]

    found = [find_terms_of(one, 200, headers, credentials=CREDENTIALS) for _ in range(2)]

    assert (found[0], found[1] is None) == (None, False)
    assert one.policy.vary == {b"accept"}


def test_an_entry_has_what_the_response_says() -> None:
    entry, headers = make_entry(
        site(), plan(), Made(203, [(b"a", b"b"), (b"date", b"now")], b"body"), terms=Terms()
    )

    assert (entry.status, entry.body, entry.tags, entry.making_s) == (203, b"body", ("tag",), 2.0)
    assert entry.etag.encode() == dict(headers)[b"etag"] == dict(entry.headers)[b"etag"]
    assert dict(headers)[b"cache-control"] == b"private, no-cache"
    assert (b"date" in dict(headers), b"date" in dict(entry.headers)) == (True, False)
    assert dict(entry.headers)[b"content-length"] == b"4"


def test_what_a_handler_says_itself_stays() -> None:
    given = [(b"etag", b'W/"mine"'), (b"cache-control", b"max-age=5")]
    terms = Terms(expire=timedelta(seconds=5), may_be_stale=False, has_control=True)
    lifetime = Lifetime(expire=MINUTE, stale=MINUTE, stale_if_error=MINUTE)

    entry, headers = make_entry(site(), plan(lifetime=lifetime), Made(200, given, b""), terms=terms)

    assert [pair for pair in headers if pair in given] == given
    assert entry.etag == 'W/"mine"'
    assert (entry.fresh_until - entry.stored_at, entry.kept_until - entry.stored_at) == (5, 5)


def test_equal_bytes_have_one_tag_and_others_another() -> None:
    tags = [
        make_entry(site(), plan(), Made(200, [], body), terms=Terms())[0].etag
        for body in (b"a", b"a", b"b")
    ]

    assert (tags[0] == tags[1], tags[0] == tags[2]) == (True, False)
