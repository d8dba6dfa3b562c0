import pytest
from starlette.requests import HTTPConnection, Request

from fastapi_baseline import ConfigurationError
from fastapi_baseline.auth.sessions import CsrfError, CsrfProtection
from fastapi_baseline.auth.sessions.csrf import parse_origin

PROTECTION = CsrfProtection(
    header="X-Requested-With", trusted_origins=["https://Admin.example:443"]
)


def connection(kind: str = "http", **headers: str) -> HTTPConnection:
    named = {"host": "shop.example", **headers}
    scope = {
        "type": kind,
        "method": "POST",
        "scheme": "https" if kind == "http" else "wss",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in named.items()
        ],
    }
    return Request(scope) if kind == "http" else HTTPConnection(scope)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://shop.example:08443", "https://shop.example:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_origins_that_mean_the_same_are_the_same(text: str, origin: str) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "shop.example",
        "https://",
        "https://*.example",
        "https://shop.example/",
        "https://shop.example?x",
        "https://shop.example#x",
        "https://anna@shop.example",
        "https://shop.example:x",
        "https://shop.example\n",
        " https://shop.example",
        "https://shop..example",
        "https://\N{LATIN SMALL LETTER LONG S}hop.example",
        "file:///etc/passwd",
    ],
)
def test_refuses_what_is_no_origin(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_origin(text)


def test_refuses_to_trust_what_is_no_origin() -> None:
    with pytest.raises(ConfigurationError):
        CsrfProtection(header="X-Requested-With", trusted_origins=["*"])


@pytest.mark.parametrize("origin", ["https://shop.example", "https://admin.example"])
def test_lets_own_and_trusted_pages_in(origin: str) -> None:
    PROTECTION.check(connection(origin=origin, x_requested_with="x"))
    PROTECTION.check(connection("websocket", origin=origin))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_lets_everybody_read(method: str) -> None:
    reading = connection(origin="https://evil.example")
    reading.scope["method"] = method

    PROTECTION.check(reading)


@pytest.mark.parametrize("method", ["POST", "CONNECT", "get", "QUERY", "X"])
def test_methods_that_nobody_knows_change_something(method: str) -> None:
    writing = connection()
    writing.scope["method"] = method

    with pytest.raises(CsrfError):
        PROTECTION.check(writing)


def test_a_host_that_is_none_is_no_own_origin() -> None:
    with pytest.raises(CsrfError):
        PROTECTION.check(connection(host="", origin="https://", x_requested_with="x"))


async def test_an_own_page_without_header_and_form_is_refused() -> None:
    own = connection(sec_fetch_site="same-origin")

    with pytest.raises(CsrfError):
        PROTECTION.check(own)
    with pytest.raises(CsrfError):
        await PROTECTION.check_session(own, secret="x")
