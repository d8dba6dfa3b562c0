from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.auth.return_paths import MAX_PATH_LENGTH, find_safe_path

SAFE = [
    "/",
    "/orders",
    "/orders?page=2&sort=-name#last",
    "/orders/%C3%A4",
    "/a%2Fb",
    "/a:b@c",
    "/search?q=https://other.test//x",
    "/orders?next=//evil.test",
    "/orders?back=%5C%5Cevil",
    "/100%25",
]
UNSAFE = [
    None,
    "",
    "orders",
    "//evil.test",
    "///evil.test",
    "/\\evil.test",
    "/\\/evil.test",
    "\\\\evil.test",
    "/a\\b",
    "/a//evil.test",
    "/.//evil.test",
    "/..//evil.test",
    "/%2fevil.test",
    "/%2Fevil.test",
    "/%252fevil.test",
    "/%25252fevil.test",
    "/%5cevil.test",
    "/%2e/%2fevil.test",
    "/%0d%0aSet-Cookie:%20a=b",
    "/%00",
    "%2f%2fevil.test",
    "https:evil.test",
    "https://evil.test",
    "http:///evil.test",
    "https://shop.test@evil.test",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\t/evil.test",
    "\t//evil.test",
    "/\r\nSet-Cookie: a=b",
    "/\x00",
    "/ /evil.test",
    " /orders",
    "/ä",
    "/\u2028",
    "\uff0f\uff0fevil.test",
    "/\ud800",
    "?next=/",
    "#",
    "/" + "a" * MAX_PATH_LENGTH,
]


@pytest.mark.parametrize("path", SAFE)
def test_returns_a_path_of_the_service_as_it_came(path: str) -> None:
    assert find_safe_path(path, "/home") == path


@pytest.mark.parametrize("path", UNSAFE, ids=ascii)
def test_returns_the_default_for_whatever_may_be_elsewhere(path: str | None) -> None:
    assert find_safe_path(path, "/home") == "/home"


def test_goes_to_the_root_without_a_default() -> None:
    assert find_safe_path("//evil.test") == "/"


def test_takes_a_path_that_is_as_long_as_may_be() -> None:
    path = "/" + "a" * (MAX_PATH_LENGTH - 1)

    assert find_safe_path(path, "/home") == path


@given(st.text(alphabet="/\\.%25fFcCeE09aA:@?#\t\r\n\x00 -", max_size=12))
def test_nothing_that_it_returns_leaves_the_host(text: str) -> None:
    path = find_safe_path(f"/{text}", "/home")

    joined = urlsplit(urljoin("https://shop.test/auth/callback", path))
    assert (joined.scheme, joined.netloc) == ("https", "shop.test")
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert path.isprintable()
