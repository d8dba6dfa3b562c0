import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.auth.server.redirect_uris import find_any_port, find_fault


@pytest.mark.parametrize(
    "uri",
    [
        "https://shop.example.com",
        "https://shop.example.com/",
        "https://shop.example.com/callback?tenant=a&next=/b",
        "https://shop.example.com:8443/a%20b",
        "https://xn--bcher-kva.example/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:8000/callback",
        "http://[::1]:8000/callback",
        "http://localhost:3000/callback",
        "com.example.app:/callback",
        "com.example.app://callback",
    ],
)
def test_codes_may_be_sent_to_pages_and_apps(uri: str) -> None:
    assert find_fault(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/callback",
        "//evil.example/callback",
        "shop.example.com/callback",
        "http://shop.example.com/callback",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.2/",
        "http://localhost.evil.example/",
        "https://",
        "https:///callback",
        "https://shop.example.com:0/",
        "https://shop.example.com:/",
        "https://shop.example.com:99999/",
        "https://Shop.example.com/",
        "https://user@shop.example.com/",
        "https://user:password@shop.example.com/",
        "https://*.example.com/callback",
        "https://shop.example.com/*",
        "https://shop.example.com/callback#",
        "https://shop.example.com/callback#fragment",
        "https://shop.example.com/a/../b",
        "https://shop.example.com/a/%2e%2E/b",
        "https://shop.example.com/a/./b",
        "https://shop.example.com/a b",
        "https://shop.example.com/a\nb",
        "https://shop.example.com\\@evil.example/",
        'https://shop.example.com/"',
        "https://bücher.example/",
        "https://-shop.example.com/",
        "https://shop.example.com/?code=a",
        "https://shop.example.com/?state=",
        "https://[::1/",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "app:/callback",
        "com.example.app:callback",
        "urn:ietf:wg:oauth:2.0:oob",
        f"https://shop.example.com/{'a' * 2000}",
    ],
)
def test_codes_are_sent_nowhere_else(uri: str) -> None:
    assert find_fault(uri) is not None


@given(st.text())
def test_whatever_is_asked_is_answered(text: str) -> None:
    for prefix in ("", "https://", "http://127.0.0.1", "com.example.app:/"):
        fault = find_fault(f"{prefix}{text}")
        assert fault is None or isinstance(fault, str)


@pytest.mark.parametrize(
    ("uri", "without"),
    [
        ("http://127.0.0.1:8000/callback", "http://127.0.0.1/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1/callback"),
        ("http://127.0.0.1:8000", "http://127.0.0.1"),
        ("http://[::1]:8000/callback?a=b", "http://[::1]/callback?a=b"),
        ("http://localhost:8000/callback", None),
        ("https://127.0.0.1:8000/callback", None),
        ("http://127.0.0.1:8000@evil.example/", None),
        ("http://127.0.0.1.evil.example/", None),
        ("http://127.0.0.1:123456/", None),
        ("http://127.0.0.1:/", None),
        ("http://127.0.0.1:8000/callback\n", None),
        ("http://127.0.0.1:8000/é", None),
    ],
)
def test_only_an_address_of_a_loopback_interface_has_any_port(uri: str, without: str) -> None:
    assert find_any_port(uri) == without


@pytest.mark.parametrize(
    ("uri", "is_registered"),
    [
        ("https://shop.example.com/callback", True),
        ("https://shop.example.com/callback/", False),
        ("https://shop.example.com/callback?a=b", False),
        ("https://shop.example.com/call", False),
        ("https://shop.example.com/callback#", False),
        ("https://SHOP.example.com/callback", False),
        ("https://shop.example.com:443/callback", False),
        ("https://shop.example.com/%63allback", False),
        ("https://shop.example.com/x/../callback", False),
        ("https://shop.example.com.evil.example/callback", False),
        ("https://user@shop.example.com/callback", False),
        ("http://shop.example.com/callback", False),
        ("http://127.0.0.1:50000/app", True),
        ("http://127.0.0.1/app", True),
        ("http://[::1]:50000/app", False),
        ("http://localhost:50000/app", False),
        ("http://127.0.0.1:50000/app/", False),
        ("", False),
    ],
)
def test_s01_a_redirect_uri_is_to_the_letter_one_that_was_registered(
    uri: str, is_registered: bool
) -> None:
    client = OAuthClient(
        redirect_uris=["https://shop.example.com/callback", "http://127.0.0.1:8000/app"]
    )

    assert client.has_redirect_uri(uri) is is_registered
