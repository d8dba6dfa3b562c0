from datetime import timedelta
from typing import Any

import pytest

from fastapi_baseline.auth.tokens import InvalidTokenError, KeySource, TrustedIssuer
from fastapi_baseline.auth.tokens.key_ring import KeyRing
from fastapi_baseline.auth.tokens.keys import import_keys
from fastapi_baseline.auth.tokens.verification import TokenVerifier, read_token
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.issuer import TokenIssuer
from fastapi_baseline.testing.signing_keys import make_signing_key, sign_token

AUDIENCE = "https://api.test"


class FixedKeys:
    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self.asked: list[tuple[str | None, str]] = []

    async def find_key(self, kid: str | None, algorithm: str) -> Any:
        self.asked.append((kid, algorithm))
        return self.ring.find(kid, algorithm)


def verifier_of(issuer: TokenIssuer, keys: KeySource, *algorithms: str) -> TokenVerifier:
    trusted = TrustedIssuer(
        issuer=issuer.url, audiences=frozenset({AUDIENCE}), algorithms=algorithms
    )
    clock = ManualClock()
    return TokenVerifier([(trusted, keys)], clock=clock, clock_skew=timedelta(seconds=30))


@pytest.mark.parametrize(
    "algorithm",
    [
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "Ed25519",
        "EdDSA",
    ],
)
async def test_verifies_each_algorithm(algorithm: str) -> None:
    issuer = TokenIssuer(key=make_signing_key(algorithm, kid="1"), clock=ManualClock())
    keys = FixedKeys(import_keys(issuer.jwks(), algorithms=[algorithm], issuer=issuer.url))
    token = issuer.mint("ada")
    read = read_token(token.encode())
    assert read is not None

    principal = await verifier_of(issuer, keys, algorithm).verify(read)

    assert (principal.issuer, principal.subject) == (issuer.url, "ada")
    message, _, _ = token.rpartition(".")
    forged = read_token(f"{message}.{'A' * 86}".encode())
    assert forged is not None
    with pytest.raises(InvalidTokenError) as caught:
        await verifier_of(issuer, keys, algorithm).verify(forged)
    assert caught.value.reason == "signature"


async def test_a_key_of_another_type_verifies_nothing() -> None:
    issuer = TokenIssuer(clock=ManualClock())
    other = make_signing_key("RS256", kid=issuer.signing_key.kid)
    ring = import_keys({"keys": [dict(other.jwk)]}, algorithms=["RS256"], issuer=issuer.url)

    class Careless(FixedKeys):
        async def find_key(self, kid: str | None, algorithm: str) -> Any:
            return self.ring.find(kid, "RS256")

    read = read_token(issuer.mint().encode())
    assert read is not None

    with pytest.raises(InvalidTokenError) as caught:
        await verifier_of(issuer, Careless(ring), "ES256").verify(read)

    assert caught.value.reason == "signature"


async def test_asks_for_no_key_if_the_token_would_not_count_anyway() -> None:
    issuer = TokenIssuer(clock=ManualClock())
    keys = FixedKeys(import_keys(issuer.jwks(), algorithms=["ES256"], issuer=issuer.url))
    verifier = verifier_of(issuer, keys, "ES256")

    for token in (
        issuer.mint(claims={"iss": "https://other.test"}),
        issuer.mint(header={"typ": "JWT"}),
        issuer.mint(header={"alg": "RS256"}),
    ):
        read = read_token(token.encode())
        assert read is not None
        with pytest.raises(InvalidTokenError):
            await verifier.verify(read)

    assert keys.asked == []


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"opaque",
        b"a.b",
        b"a.b.c.d",
        b"....",
        b"e30.e30",
        "é.é.é".encode(),
        b"\xff.\xff.\xff",
        b"!.!.!",
    ],
)
def test_what_is_no_signed_token_is_not_read(token: bytes) -> None:
    assert read_token(token) is None


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": None},
        {"alg": "ES256", "kid": 5},
        {"alg": "ES256", "typ": None},
        {"alg": "ES256", "crit": ["x"]},
        {"alg": "ES256", "b64": False},
        {"alg": "ES256", "padding": "x" * 600},
    ],
    ids=str,
)
def test_a_header_that_cannot_be_understood_is_refused(header: Any) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        read_token(sign_token(header, {}, None).encode())

    assert caught.value.reason == "malformed"


def test_reads_what_a_token_says() -> None:
    issuer = TokenIssuer(key=make_signing_key(kid="1"))

    read = read_token(issuer.mint("ada", header={"typ": "Application/AT+jwt"}).encode())

    assert read is not None
    assert (read.algorithm, read.kid, read.type) == ("ES256", "1", "at+jwt")
    assert read.claims["sub"] == "ada"
