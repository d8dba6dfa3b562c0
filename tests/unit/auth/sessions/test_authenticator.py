from starlette.requests import Request

from fastapi_baseline.auth.sessions import MemorySessionStore, SessionAuthenticator, Sessions

AUTHENTICATOR = SessionAuthenticator(Sessions(MemorySessionStore()))


def test_describes_its_cookie() -> None:
    scheme = AUTHENTICATOR.scheme

    assert {key: scheme[key] for key in ("type", "in", "name")} == {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-session",
    }
    assert "X-Requested-With" in scheme["description"]


def test_is_offered_whatever_is_in_the_cookie() -> None:
    with_cookie = Request({"type": "http", "headers": [(b"cookie", b"__Host-session=x")]})
    without = Request({"type": "http", "headers": []})

    assert AUTHENTICATOR.is_offered(with_cookie)
    assert not AUTHENTICATOR.is_offered(without)
