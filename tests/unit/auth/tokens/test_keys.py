import logging
from typing import Any

import pytest

from fastapi_baseline.auth.tokens.issuers import ASYMMETRIC_ALGORITHMS
from fastapi_baseline.auth.tokens.key_ring import KeyRing
from fastapi_baseline.auth.tokens.keys import MAX_KEYS, import_keys
from fastapi_baseline.testing.signing_keys import make_signing_key

EC = make_signing_key("ES256", kid="ec")
RSA = make_signing_key("RS256", kid="rsa")


def imported(*keys: Any, algorithms: frozenset[str] = ASYMMETRIC_ALGORITHMS) -> KeyRing:
    return import_keys({"keys": list(keys)}, algorithms=algorithms, issuer="https://issuer.test")


@pytest.mark.parametrize(
    ("made_for", "others"),
    [
        ("RS256", {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ("ES256", {"ES256"}),
        ("ES384", {"ES384"}),
        ("ES512", {"ES512"}),
        ("Ed25519", {"Ed25519", "EdDSA"}),
    ],
)
def test_a_key_is_for_the_algorithms_of_its_type(made_for: str, others: set[str]) -> None:
    jwk = dict(make_signing_key(made_for, kid="1").jwk)
    del jwk["alg"]

    ring = imported(jwk)

    assert {name for name in ASYMMETRIC_ALGORITHMS if ring.find("1", name)} == others


def test_a_key_that_names_its_algorithm_is_for_no_other() -> None:
    ring = imported(dict(RSA.jwk))

    assert {name for name in ASYMMETRIC_ALGORITHMS if ring.find("rsa", name)} == {"RS256"}


def test_a_key_for_an_algorithm_that_is_not_accepted_is_not_used() -> None:
    ring = imported(dict(RSA.jwk), algorithms=frozenset({"ES256"}))

    assert (ring.size, ring.find("rsa", "RS256")) == (0, None)


def test_a_key_is_found_without_its_identifier_if_no_other_could_be_meant() -> None:
    assert imported(dict(EC.jwk), dict(RSA.jwk)).find(None, "ES256") is not None

    other = make_signing_key("ES256", kid="other")
    assert imported(dict(EC.jwk), dict(other.jwk)).find(None, "ES256") is None


def test_a_key_without_an_identifier_is_found_by_none() -> None:
    ring = imported(dict(EC.with_kid(None).jwk))

    assert ring.find(None, "ES256") is not None
    assert ring.find("ec", "ES256") is None


def test_of_two_keys_with_one_identifier_none_is_used() -> None:
    twin = make_signing_key("ES256", kid="ec")

    assert imported(dict(EC.jwk), dict(twin.jwk)).find("ec", "ES256") is None
    assert imported(dict(EC.jwk), dict(twin.jwk), dict(EC.jwk)).find("ec", "ES256") is None


def test_two_keys_may_share_an_identifier_if_they_are_of_two_types() -> None:
    ring = imported(dict(EC.jwk), dict(RSA.with_kid("ec").jwk))

    assert ring.find("ec", "ES256") is not None
    assert ring.find("ec", "RS256") is not None


@pytest.mark.parametrize("document", [None, [], "keys", {}, {"keys": None}, {"keys": {}}], ids=str)
def test_a_document_that_is_no_set_has_no_keys(document: object) -> None:
    assert import_keys(document, algorithms=("ES256",), issuer="i").size == 0


def test_looks_at_no_more_keys_than_an_issuer_has() -> None:
    assert imported(*[None] * MAX_KEYS, dict(EC.jwk)).size == 0
    assert imported(*[None] * (MAX_KEYS - 1), dict(EC.jwk)).size == 1


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (5, "it is no JSON object"),
        ({}, "its type is not asymmetric"),
        ({"kty": "oct", "k": "planted"}, "its type is not asymmetric"),
        ({"kty": ["EC"]}, "its type is not asymmetric"),
        ({**EC.private_jwk}, "its private part is published"),
        ({**EC.jwk, "use": "enc"}, "it is not for signatures"),
        ({**EC.jwk, "use": None}, "it is not for signatures"),
        ({**EC.jwk, "key_ops": ["sign"]}, "it is not for signatures"),
        ({**EC.jwk, "kid": 5}, "its identifier is no text"),
        ({**EC.jwk, "kid": "x" * 2000}, "its identifier is no text"),
        ({**EC.jwk, "alg": "RS256"}, "no signature that is accepted"),
        ({**EC.jwk, "alg": ["ES256"]}, "no signature that is accepted"),
        ({**EC.jwk, "crv": "secp256k1"}, "Error"),
        ({"kty": "RSA", "n": RSA.jwk["n"]}, "KeyError"),
        (dict(make_signing_key("RS256", bits=1024).jwk), "its length is not accepted"),
        ({**RSA.jwk, "n": RSA.jwk["n"] * 5}, "its length is not accepted"),
        (dict(make_signing_key("Ed448").jwk), "no signature that is accepted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_says_why_a_key_is_not_used_and_not_what_it_is(
    entry: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        ring = imported(entry, dict(RSA.jwk))

    assert ring.size == 1
    [line] = caplog.messages
    assert line.startswith("Key 0 of https://issuer.test is not used: ")
    assert reason in line
    assert "planted" not in caplog.text


def test_what_else_a_key_has_does_not_matter() -> None:
    ring = imported({**EC.jwk, "x5c": ["!!"], "key_ops": ["verify"], "exp": 1, "ext": True})

    assert ring.find("ec", "ES256") is not None
