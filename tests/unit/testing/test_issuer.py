import hmac
import json
import urllib.request
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any

import pytest
from httpx2 import Client, Response, TransportError
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet

from fastapi_baseline.testing import (
    OMIT,
    ManualClock,
    SigningKey,
    TokenIssuer,
    make_signing_key,
    make_symmetric_key,
    sign_token,
)
from fastapi_baseline.testing.signing_keys import KeyForm, encode_base64url, import_signing_key

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")


def part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def header_of(token: str) -> dict[str, Any]:
    return part(token, 0)


def claims_of(token: str) -> dict[str, Any]:
    return part(token, 1)


def verify(token: str, issuer: TokenIssuer, *, algorithm: str = "ES256") -> dict[str, Any]:
    keys = KeySet.import_key_set({"keys": issuer.jwks()["keys"]})
    return jwt.decode(token, keys, algorithms=[algorithm]).claims


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signs_with_the_keys_that_it_publishes(algorithm: str) -> None:
    issuer = TokenIssuer(algorithm=algorithm)

    claims = verify(issuer.mint("ann"), issuer, algorithm=algorithm)

    assert claims["sub"] == "ann"


def test_mints_what_rfc_9068_asks_for() -> None:
    clock = ManualClock()
    issuer = TokenIssuer("https://id.example", audience="https://orders.example", clock=clock)
    now = int(clock.now().timestamp())

    token = issuer.mint("ann", scopes=["orders:read", "orders:write"], roles=["clerk"])

    claims = claims_of(token)
    assert header_of(token) == {"alg": "ES256", "typ": "at+jwt", "kid": issuer.signing_key.kid}
    assert len(claims.pop("jti")) >= 16
    assert claims == {
        "iss": "https://id.example",
        "sub": "ann",
        "aud": "https://orders.example",
        "client_id": "test-client",
        "iat": now,
        "exp": now + 300,
        "scope": "orders:read orders:write",
        "roles": ["clerk"],
    }


def test_says_nothing_of_scopes_and_roles_that_there_are_not() -> None:
    assert not {"scope", "roles"} & claims_of(TokenIssuer().mint()).keys()


def test_no_two_tokens_are_the_same() -> None:
    issuer = TokenIssuer()

    assert claims_of(issuer.mint())["jti"] != claims_of(issuer.mint())["jti"]


def test_changes_and_omits_claims_and_headers() -> None:
    token = TokenIssuer().mint(
        claims={"aud": OMIT, "iss": "https://evil.example", "extra": [1]},
        header={"kid": OMIT, "typ": "JWT"},
    )

    assert header_of(token) == {"alg": "ES256", "typ": "JWT"}
    assert "aud" not in claims_of(token)
    assert claims_of(token)["iss"] == "https://evil.example"
    assert claims_of(token)["extra"] == [1]


def test_mints_tokens_that_have_expired() -> None:
    clock = ManualClock()

    claims = claims_of(TokenIssuer(clock=clock).mint(lifetime=-timedelta(hours=1)))

    assert claims["exp"] == int(clock.now().timestamp()) - 3600
    assert claims["iat"] <= claims["exp"]


def test_signs_with_a_key_that_it_does_not_publish() -> None:
    issuer = TokenIssuer()
    stranger = make_signing_key("ES256", kid="strange")
    impostor = stranger.with_kid(issuer.signing_key.kid)

    with pytest.raises(InvalidKeyIdError):
        verify(issuer.mint(key=stranger), issuer)
    with pytest.raises(BadSignatureError):
        verify(issuer.mint(key=impostor), issuer)


def test_mints_tokens_that_nobody_has_signed() -> None:
    token = TokenIssuer().mint_unsigned(algorithm="nOnE")

    assert header_of(token)["alg"] == "nOnE"
    assert token.endswith(".")


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
def test_takes_a_public_key_for_the_secret_of_an_hmac(form: KeyForm) -> None:
    issuer = TokenIssuer()
    confused = issuer.signing_key.as_hmac(form)
    secret = issuer.signing_key.public_forms[form]

    token = issuer.mint(key=confused)

    message, _, signature = token.rpartition(".")
    assert header_of(token)["alg"] == "HS256"
    assert signature == encode_base64url(hmac.digest(secret, message.encode(), "sha256"))


def test_makes_tokens_of_exactly_these_bytes() -> None:
    token = sign_token({"alg": "none", "crit": ["x"]}, b"[1, 2]", None)

    assert header_of(token) == {"alg": "none", "crit": ["x"]}
    assert token.split(".")[1:] == ["WzEsIDJd", ""]


def test_publishes_what_it_is_told_to() -> None:
    issuer = TokenIssuer()
    issuer.keys += [
        make_symmetric_key(b"secret", kid="oct"),
        make_signing_key("ES384", kid="enc").with_jwk(use="enc"),
        make_signing_key("ES256").with_kid(None),
    ]

    _, symmetric, encrypting, nameless = issuer.jwks()["keys"]

    assert symmetric == {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "oct"}
    assert (encrypting["use"], encrypting["kid"]) == ("enc", "enc")
    assert "kid" not in nameless
    assert "d" not in issuer.jwks()["keys"][0]


def test_makes_keys_that_are_too_short() -> None:
    modulus = make_signing_key("RS256", bits=1024).jwk["n"]

    assert len(modulus) == pytest.approx(1024 / 6, abs=2)


def test_makes_no_key_for_what_is_not_asymmetric() -> None:
    with pytest.raises(ValueError, match="HS256"):
        make_signing_key("HS256")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519"])
def test_a_key_can_be_kept_and_read_again(algorithm: str) -> None:
    key = make_signing_key(algorithm)

    again = import_signing_key(json.loads(json.dumps(dict(key.private_jwk))))

    issuer = TokenIssuer(key=key)
    assert verify(issuer.mint("ann", key=again), issuer, algorithm=algorithm)["sub"] == "ann"
    assert again.jwk == key.jwk


def test_rotates_its_keys() -> None:
    issuer = TokenIssuer()
    old, before = issuer.signing_key, issuer.mint()

    new = issuer.rotate()

    assert issuer.signing_key is new
    assert [key.kid for key in issuer.keys] == [old.kid, new.kid]
    assert verify(before, issuer)
    assert verify(issuer.mint(), issuer)


def test_retires_its_old_keys() -> None:
    issuer = TokenIssuer()
    before = issuer.mint()

    issuer.rotate(keeps_old=False)

    with pytest.raises(InvalidKeyIdError):
        verify(before, issuer)


async def test_answers_a_client_without_a_network() -> None:
    issuer = TokenIssuer()

    async with issuer.client() as client:
        metadata = (await client.get(f"{issuer.url}/.well-known/openid-configuration")).json()
        also = await client.get(f"{issuer.url}/.well-known/oauth-authorization-server")
        keys = await client.get(metadata["jwks_uri"])
        nothing = await client.get(f"{issuer.url}/token")

    assert metadata["issuer"] == issuer.url
    assert also.json() == metadata
    assert keys.json() == issuer.jwks()
    assert "max-age=600" in keys.headers["Cache-Control"]
    assert nothing.status_code == 404
    assert issuer.endpoints.count("/jwks") == 1
    assert issuer.endpoints.requests[-1] == "/token"


async def test_answers_what_it_is_told_to() -> None:
    issuer = TokenIssuer()
    issuer.endpoints.answers["/jwks"] = lambda _: Response(500)

    async with issuer.client() as client:
        answer = await client.get(f"{issuer.url}/jwks")

    assert answer.status_code == 500


async def test_knows_what_opaque_tokens_stand_for() -> None:
    clock = ManualClock()
    issuer = TokenIssuer(clock=clock)
    token = issuer.mint_opaque("ann", scopes=["a"], claims={"username": "Ann"})
    revoked = issuer.mint_opaque()
    issuer.revoke(revoked)
    url = f"{issuer.url}/introspect"

    async with issuer.client() as client:
        good = (await client.post(url, data={"token": token}, auth=("api", "secret"))).json()
        bad = (await client.post(url, data={"token": revoked}, auth=("api", "secret"))).json()
        clock.advance(timedelta(minutes=5))
        old = (await client.post(url, data={"token": token}, auth=("api", "secret"))).json()
        stranger = await client.post(url, data={"token": token})

    assert (good["active"], good["sub"], good["scope"]) == (True, "ann", "a")
    assert good["username"] == "Ann"
    assert bad == old == {"active": False}
    assert stranger.status_code == 401


def fetch(url: str, *, data: bytes | None = None, basic: bool = False) -> Any:
    headers = {"Authorization": "Basic YTpi"} if basic else {}
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 -- of the test
    with urllib.request.urlopen(request) as answer:  # noqa: S310 -- as above
        return json.load(answer)


def test_answers_over_a_socket() -> None:
    with TokenIssuer.serving(audience="https://orders.example") as issuer:
        metadata = fetch(f"{issuer.url}/.well-known/openid-configuration")
        keys = fetch(metadata["jwks_uri"])
        opaque = f"token={issuer.mint_opaque('ann')}".encode()
        known = fetch(metadata["introspection_endpoint"], data=opaque, basic=True)

    assert issuer.url.startswith("http://127.0.0.1:")
    assert metadata["issuer"] == issuer.url == claims_of(issuer.mint())["iss"]
    assert claims_of(issuer.mint())["aud"] == "https://orders.example"
    assert keys == issuer.jwks()
    assert known["sub"] == "ann"


def test_answers_nobody_after_the_block() -> None:
    with Client() as client:
        with TokenIssuer.serving() as issuer:
            first = client.get(f"{issuer.url}/jwks")
        with pytest.raises(TransportError):
            client.get(f"{issuer.url}/jwks")

    assert first.status_code == 200


def test_no_secret_of_a_key_is_shown() -> None:
    key: SigningKey = make_signing_key()

    assert key.private_jwk["d"] not in repr(key)
