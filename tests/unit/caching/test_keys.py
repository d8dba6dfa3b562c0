from collections.abc import Generator
from functools import partial, wraps
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Scope

from fastapi_baseline.caching.keys import (
    Credentials,
    UnnamedPrincipalError,
    caller_of,
    digest_of,
    identity_of,
    select_headers,
    sort_query,
    text_of,
    url_of,
)
from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.settings import CacheSettings


def http(*headers: tuple[bytes, bytes], **changes: Any) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/a",
        "root_path": "",
        "query_string": b"",
        "headers": list(headers),
        **changes,
    }


@pytest.fixture
def current() -> Generator[RequestContext]:
    request = RequestContext(request_id="1")
    token = request_context.set(request)
    yield request
    request_context.reset(token)


def endpoint() -> None: ...


def test_a_function_is_known_by_its_name_below_all_decorators() -> None:
    @wraps(endpoint)
    def wrapped() -> None: ...

    expected = f"{__name__}.endpoint"

    assert [identity_of(one) for one in (endpoint, wrapped, partial(endpoint))] == [expected] * 3


def test_functions_of_a_factory_are_told_from_others() -> None:
    def make() -> Any:
        def made() -> None: ...

        return made

    assert "<locals>.made" in identity_of(make())


@pytest.mark.parametrize(
    ("query", "sorted_query"),
    [
        (b"", b""),
        (b"b", b"b"),
        (b"b=1&a=2", b"a=2&b=1"),
        (b"a=2&b=1&a=1", b"a=2&a=1&b=1"),
        (b"%61=1&a=2", b"%61=1&a=2"),
        (b"a=2&%61=1", b"a=2&%61=1"),
        (b"b+c=1&b%20a=2", b"b%20a=2&b+c=1"),
    ],
)
def test_parameters_are_sorted_by_name_and_those_of_one_name_stay(
    query: bytes, sorted_query: bytes
) -> None:
    assert sort_query(query) == sorted_query


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), max_size=6))
def test_sorting_a_query_changes_no_value_of_a_name(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs).encode()

    found = [part.split("=") for part in sort_query(query).decode().split("&") if part]

    for name in "abc":
        assert [v for n, v in found if n == name] == [v for n, v in pairs if n == name]


@pytest.mark.parametrize(
    "other",
    [
        http(scheme="https"),
        http(path="/b"),
        http(root_path="/api"),
        http(query_string=b"x"),
    ],
    ids=["scheme", "path", "prefix", "query"],
)
def test_what_is_asked_for_is_all_of_the_url(other: Scope) -> None:
    assert url_of(other) != url_of(http())


def test_no_two_lists_of_parts_have_one_digest() -> None:
    parts: list[tuple[object, ...]] = [
        ("a", "b"),
        ("ab",),
        ("a", ["b"]),
        (b"a", b"b"),
        (None, "a"),
        ("a", None),
        (),
    ]

    assert len({digest_of(*one) for one in parts}) == len(parts)


CREDENTIALS = [
    [(b"authorization", b"a")],
    [(b"authorization", b"b")],
    [(b"authorization", b"a"), (b"authorization", b"b")],
    [(b"authorization", b"b"), (b"authorization", b"a")],
    [(b"x-api-key", b"a")],
    [(b"cookie", b"a")],
    [(b"cookie", b"a"), (b"x-api-key", b"a")],
    [],
]


def test_each_set_of_credentials_is_a_caller_of_its_own() -> None:
    credentials = Credentials(CacheSettings())

    callers = {digest_of(caller_of(http(*headers), credentials)) for headers in CREDENTIALS}

    assert len(callers) == len(CREDENTIALS)


def test_the_order_of_headers_makes_no_other_caller() -> None:
    credentials = Credentials(CacheSettings())
    one, other = (b"authorization", b"a"), (b"x-api-key", b"b")

    assert caller_of(http(one, other), credentials) == caller_of(http(other, one), credentials)


def test_other_headers_do_not_count() -> None:
    credentials = Credentials(CacheSettings())

    assert caller_of(http((b"accept", b"*/*")), credentials) == caller_of(http(), credentials)


@pytest.mark.parametrize(
    ("cookies", "one", "other", "are_one"),
    [
        (None, b"a=1", b"a=1; theme=dark", False),
        (("a",), b"a=1", b"theme=dark; a=1", True),
        (("a",), b"a=1", b"a=2", False),
        (("a",), b"a=1; a=2", b"a=2; a=1", False),
        (("a",), b"theme=dark", b"", True),
        ((), b"a=1", b"a=2", True),
    ],
    ids=["every one", "one of them", "another value", "twice", "none of them", "none"],
)
def test_the_settings_say_which_cookies_count(
    cookies: tuple[str, ...] | None, one: bytes, other: bytes, *, are_one: bool
) -> None:
    credentials = Credentials(CacheSettings(credential_cookies=cookies))

    callers = [caller_of(http((b"cookie", value)), credentials) for value in (one, other)]

    assert (callers[0] == callers[1]) == are_one


def test_a_tenant_and_a_principal_make_a_caller(current: RequestContext) -> None:
    credentials = Credentials(CacheSettings())
    seen = [caller_of(http(), credentials)]
    for tenant, principal in (("one", None), ("two", None), (None, "one"), (None, 1), (None, "1")):
        current.tenant, current.principal = tenant, principal
        seen.append(caller_of(http(), credentials))

    assert len({digest_of(one) for one in seen}) == 6


def test_a_client_certificate_makes_a_caller() -> None:
    credentials = Credentials(CacheSettings())
    ann = http(extensions={"tls": {"client_cert_name": "CN=ann"}})

    assert caller_of(ann, credentials) != caller_of(http(), credentials)


def test_a_principal_that_cannot_be_told_from_others_is_refused() -> None:
    class Unnamed: ...

    class Named:
        def __str__(self) -> str:
            return "ann"

    assert text_of(Named()).endswith("Named:ann")
    with pytest.raises(UnnamedPrincipalError, match="Unnamed"):
        text_of(Unnamed())


def test_headers_are_selected_by_their_names() -> None:
    scope = http((b"b", b"2"), (b"a", b"1"), (b"c", b"3"))

    assert select_headers(scope, {b"a", b"b"}) == [(b"a", b"1"), (b"b", b"2")]
