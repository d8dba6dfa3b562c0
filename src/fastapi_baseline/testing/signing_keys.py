"""Keys that sign tokens in tests, right and wrong ones, and tokens of exactly these bytes."""

import base64
import hmac
import json
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fastapi_baseline._extras import optional

with optional("joserfc", extra="auth"):
    from joserfc.errors import SecurityWarning
    from joserfc.jwk import ECKey, OKPKey, RSAKey
    from joserfc.jws import JWSRegistry

KeyForm = Literal["pem", "der", "jwk"]

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "ES256K": "secp256k1"}
_OCTET_CURVES: dict[str, Literal["Ed25519", "Ed448"]] = {
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
    "Ed448": "Ed448",
}
_RSA_PREFIXES = ("RS", "PS")
_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that an issuer signs with, or that somebody else does who would like to be it."""

    kid: str | None
    algorithm: str
    jwk: Mapping[str, Any]
    """What the issuer publishes of it."""
    sign: Callable[[bytes], bytes]
    """Return the signature of these bytes."""
    private_jwk: Mapping[str, Any] = field(repr=False)
    """All of it."""
    public_forms: Mapping[KeyForm, bytes]
    """What is public of it as bytes, which a careless verifier takes for the secret of an HMAC."""

    def with_kid(self, kid: str | None) -> "SigningKey":
        """Return the same key under another name, or under none."""
        jwk = {name: value for name, value in self.jwk.items() if name != "kid"}
        return replace(self, kid=kid, jwk=jwk if kid is None else {**jwk, "kid": kid})

    def with_jwk(self, **members: Any) -> "SigningKey":
        """Return the same key, published with other members (`use="enc"`)."""
        return replace(self, jwk={**self.jwk, **members})

    def as_hmac(self, form: KeyForm = "pem", *, algorithm: str = "HS256") -> "SigningKey":
        """Return a key that signs with an HMAC whose secret is what is public of this one."""
        return make_symmetric_key(self.public_forms[form], algorithm=algorithm, kid=self.kid)


def make_signing_key(
    algorithm: str = "ES256", *, kid: str | None = None, bits: int = 2048
) -> SigningKey:
    """Return a new key for an algorithm (`RS256`, `PS256`, `ES256`, `ES384`, `EdDSA`...).

    `bits` is the size of an RSA key; one takes about 100 ms to make.

    Raises:
        ValueError: If there is no such asymmetric algorithm.
    """
    if algorithm in _CURVES:
        key = ECKey.generate_key(_CURVES[algorithm])
    elif algorithm in _OCTET_CURVES:
        key = OKPKey.generate_key(_OCTET_CURVES[algorithm])
    elif algorithm.startswith(_RSA_PREFIXES):
        key = _make_rsa_key(bits)
    else:
        raise ValueError(f"No key is made for this algorithm: {algorithm}")
    return _as_signing_key(key, algorithm=algorithm, kid=kid or secrets.token_hex(8))


def import_signing_key(jwk: Mapping[str, Any]) -> SigningKey:
    """Return the key that a private JWK is; it must have `alg` and `kid`."""
    kinds = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    key = kinds[jwk["kty"]].import_key(dict(jwk))
    return _as_signing_key(key, algorithm=jwk["alg"], kid=jwk["kid"])


def make_symmetric_key(
    secret: bytes, *, algorithm: str = "HS256", kid: str | None = None
) -> SigningKey:
    """Return a key for an HMAC, which no issuer of access tokens should have."""
    jwk = {"kty": "oct", "k": encode_base64url(secret), "alg": algorithm}
    named = jwk if kid is None else {**jwk, "kid": kid}
    name = _HASHES[algorithm]

    def sign(message: bytes) -> bytes:
        return hmac.digest(secret, message, name)

    return SigningKey(
        kid=kid, algorithm=algorithm, jwk=named, sign=sign, private_jwk=named, public_forms={}
    )


def sign_token(
    header: Mapping[str, Any], payload: Mapping[str, Any] | bytes, key: SigningKey | None
) -> str:
    """Return a token of exactly this header and payload, however wrong; nothing is added.

    It is signed with the algorithm of the key, whatever the header says. Without a key the signature
    is empty.
    """
    body = payload if isinstance(payload, bytes) else _as_json(payload)
    message = f"{encode_base64url(_as_json(header))}.{encode_base64url(body)}"
    signature = b"" if key is None else key.sign(message.encode())
    return f"{message}.{encode_base64url(signature)}"


def encode_base64url(data: bytes) -> str:
    """Return bytes as tokens have them: in base64url, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _as_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _make_rsa_key(bits: int) -> RSAKey:
    with warnings.catch_warnings():
        # One that is too short is asked for on purpose.
        warnings.simplefilter("ignore", SecurityWarning)
        return RSAKey.generate_key(bits)


def _as_signing_key(key: RSAKey | ECKey | OKPKey, *, algorithm: str, kid: str) -> SigningKey:
    # Those that nobody should use any more are here for tests which say so.
    model = JWSRegistry.algorithms[algorithm]
    extra = {"use": "sig", "alg": algorithm, "kid": kid}
    jwk: dict[str, Any] = {**key.as_dict(private=False), **extra}
    forms: dict[KeyForm, bytes] = {
        "pem": key.as_pem(private=False),
        "der": key.as_der(private=False),
        "jwk": _as_json(jwk),
    }
    return SigningKey(
        kid=kid,
        algorithm=algorithm,
        jwk=jwk,
        sign=lambda message: model.sign(message, key),
        private_jwk={**key.as_dict(private=True), **extra},
        public_forms=forms,
    )
