from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.security_events import LogSecurityEvents
from fastapi_baseline.auth.server import AuthorizationServer, make_authorization_server
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings.auth import AuthorizationServerSettings, AuthSettings
from fastapi_baseline.testing import ManualClock

SECRET = "a-secret-of-32-characters-or-more"
ORIGIN = "https://issuer.example.com"


def make_server(public_url: str | None = ORIGIN, **server: Any) -> AuthorizationServer:
    settings = AuthSettings(
        public_url=public_url,
        secret_keys=(SecretStr(SECRET),),
        server=AuthorizationServerSettings(enabled=True, **server),
    )
    return make_authorization_server(
        settings,
        database=Database("sqlite://"),
        keys=KeyRing([SECRET]),
        clock=ManualClock(),
        events=LogSecurityEvents(),
    )


def test_is_what_the_settings_say() -> None:
    server = make_server(scopes=("orders", "openid"))

    assert server.issuer == server.public_url == ORIGIN
    assert server.audiences == (ORIGIN,)
    assert server.scopes == ("openid", "profile", "email", "offline_access", "orders")
    assert server.url("/oauth2/token") == f"{ORIGIN}/oauth2/token"


def test_the_issuer_is_to_the_letter_and_addresses_have_one_slash() -> None:
    server = make_server(f"{ORIGIN}/shop/", issuer=f"{ORIGIN}/", audience=("https://api.example",))

    assert server.issuer == f"{ORIGIN}/"
    assert server.url("/oauth2/token") == f"{ORIGIN}/shop/oauth2/token"
    assert server.audiences == ("https://api.example",)


@pytest.mark.parametrize(
    ("public_url", "server", "message"),
    [
        (None, {}, "AUTH__PUBLIC_URL"),
        ("http://issuer.example.com", {}, "AUTH__PUBLIC_URL"),
        (f"{ORIGIN}?a=b", {}, "AUTH__PUBLIC_URL"),
        (f"{ORIGIN}#a", {}, "AUTH__PUBLIC_URL"),
        ("https://bücher.example", {}, "AUTH__PUBLIC_URL"),
        (ORIGIN, {"issuer": "http://issuer.example.com"}, "AUTH__SERVER__ISSUER"),
        (ORIGIN, {"scopes": ("two words",)}, "AUTH__SERVER__SCOPES"),
    ],
)
def test_refuses_what_is_not_safe(
    public_url: str | None, server: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_server(public_url, **server)


def test_a_machine_of_a_developer_needs_no_tls() -> None:
    assert make_server("http://127.0.0.1:8000").issuer == "http://127.0.0.1:8000"


def test_an_application_without_one_says_so() -> None:
    app = SimpleNamespace(state=SimpleNamespace())

    with pytest.raises(ConfigurationError, match="AUTH__SERVER__ENABLED"):
        AuthorizationServer.of(Request({"type": "http", "app": app}))


async def test_nobody_is_known_before_the_application_has_started() -> None:
    with pytest.raises(ConfigurationError):
        await make_server().find_owner("ann")
