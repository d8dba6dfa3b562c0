import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from pydantic import SecretStr

from fastapi_baseline import ConfigurationError
from fastapi_baseline.auth.login.providers import algorithm_of, make_provider, make_providers
from fastapi_baseline.settings.auth import LoginProviderSettings

RIGHT = {"issuer": "https://login.test", "client_id": "shop", "client_secret": "secret of the shop"}


def settings(**changes: Any) -> LoginProviderSettings:
    return LoginProviderSettings.model_validate({**RIGHT, **changes})


@pytest.fixture(scope="module")
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048)


def test_is_what_the_settings_say() -> None:
    provider = make_provider(
        settings(name="staff", roles_claim="groups", scopes=["openid"], userinfo=True)
    )

    assert (provider.name, provider.issuer) == ("staff", "https://login.test")
    assert provider.scopes == ("openid",)
    assert (provider.roles_claim, provider.reads_userinfo) == ("groups", True)
    assert provider.client_secret == SecretStr("secret of the shop")


def test_shows_no_secret(rsa: RSAKey) -> None:
    pem = rsa.as_pem(private=True).decode()
    by_key = make_provider(settings(client_secret=None, private_key=pem))

    assert "secret of the shop" not in repr(make_provider(settings()))
    assert "RSAKey" not in repr(by_key)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://login.test"},
        {"issuer": ""},
        {"issuer": "https://user@login.test"},
        {"client_secret": None},
        {"private_key": "x"},
        {"scopes": ["profile"]},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["RS256", "HS256"]},
    ],
    ids=str,
)
def test_refuses_what_nobody_could_sign_in_safely_under(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        make_provider(settings(**changes))


def test_http_is_for_this_machine_only() -> None:
    assert make_provider(settings(issuer="http://127.0.0.1:3000")).issuer


def test_reads_a_private_key_as_pem_or_jwk(rsa: RSAKey) -> None:
    texts = [
        rsa.as_pem(private=True).decode(),
        json.dumps(rsa.as_dict(private=True)),
        ECKey.generate_key("P-256").as_pem(private=True).decode(),
        json.dumps(ECKey.generate_key("P-384").as_dict(private=True, kid="shop-1")),
    ]

    keys = [
        make_provider(settings(client_secret=None, private_key=text)).private_key for text in texts
    ]

    assert [key and algorithm_of(key) for key in keys] == ["RS256", "RS256", "ES256", "ES384"]
    assert keys[3] is not None
    assert keys[3].kid == "shop-1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{",
        "{}",
        "[]",
        '{"kty": "RSA", "n": "AQAB", "e": "AQAB"}',
        '{"kty": "EC", "crv": "P-256"}',
        json.dumps(OctKey.generate_key(256).as_dict(private=True)),
        json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)),
        ECKey.generate_key("P-256").as_pem(private=False).decode(),
        ECKey.generate_key("secp256k1").as_pem(private=True).decode(),
    ],
    ids=["empty", "text", "brace", "object", "list", "short", "no_point", *"oOPK"],
)
def test_refuses_what_is_no_private_key_and_says_nothing_of_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_provider(settings(client_secret=None, private_key=text))

    assert "private_key of the provider 'default'" in caught.value.message
    assert len(text) < 3 or text not in caught.value.message


def test_there_is_a_provider_at_least() -> None:
    with pytest.raises(ConfigurationError, match="AUTH__LOGIN__CLIENT_ID"):
        make_providers([])


def test_each_has_a_name_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match="name"):
        make_providers([settings(), settings(issuer="https://other.test")])


def test_each_issuer_is_a_provider_once() -> None:
    with pytest.raises(ConfigurationError, match="once"):
        make_providers([settings(), settings(name="other")])


def test_no_two_are_shown_the_same_private_key() -> None:
    key = json.dumps(ECKey.generate_key("P-256").as_dict(private=True))
    first = settings(client_secret=None, private_key=key)
    second = settings(
        name="other", issuer="https://other.test", client_secret=None, private_key=key
    )

    with pytest.raises(ConfigurationError, match="key of its own"):
        make_providers([first, second])
