from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import Key

from fastapi_baseline.auth.login.errors import InvalidIdTokenError, ProviderUnavailableError
from fastapi_baseline.auth.login.id_tokens import IdTokenVerifier
from fastapi_baseline.auth.login.providers import make_provider
from fastapi_baseline.auth.tokens import IssuerUnavailableError
from fastapi_baseline.auth.tokens.key_ring import KeyRing
from fastapi_baseline.auth.tokens.keys import import_keys
from fastapi_baseline.settings.auth import LoginProviderSettings
from fastapi_baseline.testing import OMIT, ManualClock, SigningKey, make_signing_key
from fastapi_baseline.testing.login_provider import LoginProvider, half_hash

NONCE = "n" * 43
SKEW = timedelta(seconds=30)
ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA")
LOGOUT = frozenset({"logout+jwt"})


class Keys:
    """The keys of a provider, at hand."""

    def __init__(self, ring: KeyRing | None) -> None:
        self.ring = ring

    async def find_key(self, kid: str | None, algorithm: str) -> Key | None:
        if self.ring is None:
            raise IssuerUnavailableError(retry_after=timedelta(seconds=7))
        return self.ring.find(kid, algorithm)


@pytest.fixture(scope="module")
def signing_keys() -> dict[str, SigningKey]:
    return {name: make_signing_key(name) for name in ALGORITHMS}


@pytest.fixture
def provider(signing_keys: dict[str, SigningKey]) -> LoginProvider:
    return LoginProvider(clock=ManualClock(), key=signing_keys["ES256"])


def make_verifier(provider: LoginProvider, *, has_keys: bool = True) -> IdTokenVerifier:
    settings = {
        "issuer": provider.url,
        "client_id": provider.client_id,
        "client_secret": "x",
        "algorithms": ALGORITHMS,
    }
    ring = import_keys(provider.jwks(), algorithms=ALGORITHMS, issuer=provider.url)
    return IdTokenVerifier(
        make_provider(LoginProviderSettings.model_validate(settings)),
        Keys(ring if has_keys else None),
        clock=provider.clock,
        clock_skew=SKEW,
    )


async def flaw_of(provider: LoginProvider, token: str | None, **options: Any) -> str:
    with pytest.raises(InvalidIdTokenError) as caught:
        await make_verifier(provider).verify(token, nonce=NONCE, **options)
    return caught.value.flaw


async def test_says_who_has_signed_in(provider: LoginProvider) -> None:
    moment = provider.clock.now()
    token = provider.mint_id_token(
        "ann",
        nonce=NONCE,
        sid="s-1",
        auth_time=int(moment.timestamp()),
        acr="2",
        amr=["pwd", "otp"],
        email="ann@example.com",
    )

    found = await make_verifier(provider).verify(token, nonce=NONCE)

    assert (found.issuer, found.subject, found.sid) == (provider.url, "ann", "s-1")
    assert (found.auth_time, found.acr, found.amr) == (moment, "2", {"pwd", "otp"})
    assert found.claims["email"] == "ann@example.com"
    assert "ann@example.com" not in repr(found)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_checks_the_access_token_with_the_hash_of_the_algorithm(
    signing_keys: dict[str, SigningKey], algorithm: str
) -> None:
    provider = LoginProvider(clock=ManualClock(), key=signing_keys[algorithm])
    digest = {"384": "sha384", "512": "sha512", "DSA": "sha512"}.get(algorithm[-3:], "sha256")
    right = provider.mint_id_token("ann", nonce=NONCE, at_hash=half_hash("t", algorithm=digest))

    found = await make_verifier(provider).verify(right, nonce=NONCE, access_token="t")

    assert found.subject == "ann"
    assert await flaw_of(provider, right, access_token="u") == "access_token_hash"


async def test_a_refresh_needs_no_nonce(provider: LoginProvider) -> None:
    token = provider.mint_id_token("ann")

    found = await make_verifier(provider).verify(token, nonce=None)

    assert found.subject == "ann"
    assert await flaw_of(provider, token) == "nonce"


@pytest.mark.parametrize(("age_s", "is_good"), [(330, True), (331, False)])
async def test_a_proof_may_be_as_old_as_was_asked_for(
    provider: LoginProvider, age_s: int, is_good: bool
) -> None:
    proved_at = int(provider.clock.now().timestamp()) - age_s
    token = provider.mint_id_token("ann", nonce=NONCE, auth_time=proved_at)
    max_age = timedelta(minutes=5)

    if is_good:
        assert await make_verifier(provider).verify(token, nonce=NONCE, max_age=max_age)
    else:
        assert await flaw_of(provider, token, max_age=max_age) == "authentication_too_old"


async def test_a_proof_without_a_time_is_none_where_one_was_asked_for(
    provider: LoginProvider,
) -> None:
    token = provider.mint_id_token("ann", nonce=NONCE)

    assert await flaw_of(provider, token, max_age=timedelta(minutes=5)) == "claims"


@pytest.mark.parametrize(
    ("name", "late_s", "flaw"),
    [
        ("exp", -30, "expired"),
        ("exp", -29, None),
        ("iat", 31, "not_yet_valid"),
        ("iat", 30, None),
        ("nbf", 31, "not_yet_valid"),
        ("nbf", 30, None),
    ],
)
async def test_clocks_may_differ_by_half_a_minute(
    provider: LoginProvider, name: str, late_s: int, flaw: str | None
) -> None:
    moment = int(provider.clock.now().timestamp()) + late_s
    claims: dict[str, Any] = {name: moment}
    token = provider.mint_id_token("ann", nonce=NONCE, **claims)

    if flaw is None:
        assert await make_verifier(provider).verify(token, nonce=NONCE)
    else:
        assert await flaw_of(provider, token) == flaw


@pytest.mark.parametrize("value", [float("nan"), 10**400, -1, "1", True, [1]], ids=str)
async def test_refuses_times_that_are_none(provider: LoginProvider, value: Any) -> None:
    token = provider.mint_id_token("ann", nonce=NONCE, exp=value)

    assert await flaw_of(provider, token) in {"claims", "malformed"}


@pytest.mark.parametrize(
    "token", [None, "", "x", "a.b.c", "é.é.é", "\ud800", "x" * 20_000], ids=ascii
)
async def test_refuses_what_is_no_token(provider: LoginProvider, token: str | None) -> None:
    assert await flaw_of(provider, token) in {"missing", "malformed"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_refuses_a_signature_of_another_length(
    signing_keys: dict[str, SigningKey], algorithm: str
) -> None:
    provider = LoginProvider(clock=ManualClock(), key=signing_keys[algorithm])
    token = provider.mint_id_token("ann", nonce=NONCE)

    assert await flaw_of(provider, token[:-8]) == "signature"


async def test_reads_other_tokens_of_the_provider(provider: LoginProvider) -> None:
    token = provider.mint_logout_token(subject="ann", sid="s-1")

    claims = await make_verifier(provider).read(token, types=LOGOUT)

    assert (claims["sub"], claims["sid"]) == ("ann", "s-1")


@pytest.mark.parametrize(
    ("claims", "header", "flaw"),
    [
        ({"iss": "https://other.test"}, {}, "issuer"),
        ({"aud": "other"}, {}, "audience"),
        ({"iat": OMIT}, {}, "claims"),
        ({"exp": OMIT}, {}, "claims"),
        ({"exp": 1}, {}, "expired"),
        ({}, {"typ": "JWT"}, "type"),
        ({}, {"typ": "at+jwt"}, "type"),
        ({}, {"alg": "none"}, "algorithm"),
        ({}, {"kid": "other"}, "key"),
    ],
    ids=str,
)
async def test_refuses_other_tokens_that_are_not_good(
    provider: LoginProvider, claims: dict[str, Any], header: dict[str, Any], flaw: str
) -> None:
    token = provider.mint_logout_token(subject="ann", claims=claims, header=header)

    with pytest.raises(InvalidIdTokenError) as caught:
        await make_verifier(provider).read(token, types=LOGOUT)

    assert caught.value.flaw == flaw


async def test_an_id_token_is_no_other_token(provider: LoginProvider) -> None:
    token = provider.mint_id_token("ann", nonce=NONCE)

    with pytest.raises(InvalidIdTokenError, match="type"):
        await make_verifier(provider).read(token, types=LOGOUT)


async def test_other_tokens_may_have_no_end_if_that_is_said(provider: LoginProvider) -> None:
    token = provider.mint_logout_token(subject="ann", claims={"exp": OMIT})

    claims = await make_verifier(provider).read(token, types=LOGOUT, needs_expiry=False)

    assert claims["sub"] == "ann"


async def test_says_when_to_come_back_if_there_are_no_keys(provider: LoginProvider) -> None:
    verifier = make_verifier(provider, has_keys=False)

    with pytest.raises(ProviderUnavailableError) as caught:
        await verifier.verify(provider.mint_id_token("ann", nonce=NONCE), nonce=NONCE)

    assert caught.value.retry_after == timedelta(seconds=7)
