from dataclasses import replace

import pytest
from pydantic import SecretStr

from fastapi_baseline.auth.tokens import (
    ASYMMETRIC_ALGORITHMS,
    PROFILES,
    Introspection,
    TrustedIssuer,
    make_trusted_issuer,
)
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import IssuerSettings

ISSUER = TrustedIssuer(issuer="https://issuer.test", audiences=frozenset({"https://api.test"}))


def test_makes_an_issuer_of_settings() -> None:
    settings = IssuerSettings(
        issuer="https://issuer.test",
        audience=("https://api.test",),
        preset="okta",
        algorithms=("ES256",),
        jwks_url="https://keys.test",
        introspection_url="https://issuer.test/introspect",
        client_id="orders",
        client_secret=SecretStr("secret"),
    )

    assert make_trusted_issuer(settings) == TrustedIssuer(
        issuer="https://issuer.test",
        audiences=frozenset({"https://api.test"}),
        algorithms=("ES256",),
        profile=PROFILES["okta"],
        jwks_url="https://keys.test",
        introspection=Introspection(
            url="https://issuer.test/introspect",
            client_id="orders",
            client_secret=SecretStr("secret"),
        ),
    )


@pytest.mark.parametrize("url", ["http://issuer.test", "issuer", "self", ""])
def test_refuses_an_issuer_without_tls(url: str) -> None:
    with pytest.raises(ConfigurationError, match="The issuer must be a URL"):
        replace(ISSUER, issuer=url)


def test_refuses_keys_without_tls() -> None:
    with pytest.raises(ConfigurationError, match="The URL of the keys"):
        replace(ISSUER, jwks_url="http://issuer.test/jwks")


def test_refuses_an_introspection_without_tls() -> None:
    introspection = Introspection(
        url="http://issuer.test", client_id="orders", client_secret=SecretStr("secret")
    )

    with pytest.raises(ConfigurationError, match="The URL of the introspection"):
        replace(ISSUER, introspection=introspection)


@pytest.mark.parametrize("audiences", [(), ("",), ("https://api.test", "")], ids=str)
def test_refuses_an_issuer_without_an_audience(audiences: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="needs an audience"):
        replace(ISSUER, audiences=frozenset(audiences))


@pytest.mark.parametrize(
    "algorithms", [(), ("none",), ("HS256",), ("RS256", "HS512"), ("rs256",), ("dir",), ("Ed448",)]
)
def test_refuses_algorithms_that_are_not_asymmetric(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="algorithms that are asymmetric"):
        replace(ISSUER, algorithms=algorithms)


@pytest.mark.parametrize("algorithm", sorted(ASYMMETRIC_ALGORITHMS))
def test_takes_each_asymmetric_algorithm(algorithm: str) -> None:
    assert replace(ISSUER, algorithms=(algorithm,)).algorithms == (algorithm,)


@pytest.mark.parametrize("missing", ["client_id", "client_secret"])
def test_refuses_to_ask_an_issuer_as_nobody(missing: str) -> None:
    given: dict[str, object] = {"client_id": "orders", "client_secret": SecretStr("planted")}
    settings = IssuerSettings.model_validate(
        {
            "issuer": "https://issuer.test",
            "audience": ("https://api.test",),
            "introspection_url": "https://issuer.test/introspect",
            **{name: value for name, value in given.items() if name != missing},
        }
    )

    with pytest.raises(ConfigurationError, match="needs a client_id and a client_secret") as caught:
        make_trusted_issuer(settings)

    assert "planted" not in str(caught.value)
