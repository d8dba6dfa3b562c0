import pytest
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.auth.sessions import AmbiguousSessionError, SessionCookie
from fastapi_baseline.auth.sessions.cookies import digest_of, encode_secret

COOKIE = SessionCookie("__Host-session", same_site="lax")
SECRET = encode_secret(bytes(range(32)))


def request_with(*cookies: str) -> Request:
    headers = [(b"cookie", cookie.encode("latin-1")) for cookie in cookies]
    return Request({"type": "http", "headers": headers})


def test_a_secret_is_32_bytes_in_characters_that_cookies_may_have() -> None:
    assert SECRET == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def test_a_digest_is_a_plain_hash_of_the_secret() -> None:
    assert digest_of("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


@pytest.mark.parametrize(
    "cookie",
    [
        f"__Host-session={SECRET}",
        f"a=b; __Host-session={SECRET}",
        f"a=b;__Host-session={SECRET};c",
        f"x__Host-session=y; __Host-session={SECRET} ; a=__Host-session=z",
    ],
)
def test_finds_its_cookie_among_others(cookie: str) -> None:
    assert COOKIE.find(request_with(cookie)) == SECRET
    assert COOKIE.is_in(request_with(cookie))


def test_finds_its_cookie_in_a_second_header() -> None:
    assert COOKIE.find(request_with("a=b", f"__Host-session={SECRET}")) == SECRET


@pytest.mark.parametrize(
    "cookies",
    [(), ("a=b",), (f"session={SECRET}",), (f"__HOST-SESSION={SECRET}",), ("a=__Host-session=x",)],
)
def test_finds_nothing_where_there_is_none(cookies: tuple[str, ...]) -> None:
    assert COOKIE.find(request_with(*cookies)) is None
    assert not COOKIE.is_in(request_with(*cookies))


@pytest.mark.parametrize("value", ["", "x", SECRET[1:], f"{SECRET}=", f'"{SECRET}"', "é" * 43])
def test_a_cookie_that_cannot_be_ours_is_there_and_has_nothing(value: str) -> None:
    request = request_with(f"__Host-session={value}")

    assert COOKIE.is_in(request)
    assert COOKIE.find(request) is None


@pytest.mark.parametrize("second", [SECRET, "", "x"])
def test_refuses_two_cookies(second: str) -> None:
    with pytest.raises(AmbiguousSessionError):
        COOKIE.find(request_with(f"__Host-session={SECRET}", f"__Host-session={second}"))


def test_deletes_the_cookie_that_it_has_set() -> None:
    response = Response()

    COOKIE.set(response, SECRET)
    COOKIE.delete(response)

    given, taken = response.headers.getlist("set-cookie")
    assert given == f"__Host-session={SECRET}; HttpOnly; Path=/; SameSite=lax; Secure"
    assert taken.startswith('__Host-session=""; ')
    assert "Max-Age=0" in taken
    assert taken.endswith("HttpOnly; Max-Age=0; Path=/; SameSite=lax; Secure")
    assert response.headers.getlist("cache-control") == ["no-store"]
