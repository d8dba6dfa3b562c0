"""The keys of the issuer for development, derived from what its processes share.

It stands by itself, since what it needs is loaded with the first token only.
"""

from collections.abc import Mapping
from typing import Any

from fastapi_baseline._extras import optional

with optional("cryptography", "joserfc", extra="auth"):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from joserfc import jwt
    from joserfc.jwk import ECKey

# The order of the group of P-256 (SP 800-186, section 3.2.1.3).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def derive_key(secret: bytes) -> ECKey:
    """Return the key of a secret, for P-256: the same for the same secret (FIPS 186-5, A.2.1)."""
    number = int.from_bytes(secret) % (_ORDER - 1) + 1
    key = ECKey.import_key(
        ec.derive_private_key(number, ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    key.ensure_kid()
    return key


def public_half(key: ECKey) -> ECKey:
    """Return what verifies, and cannot sign."""
    return ECKey.import_key(key.as_dict(private=False))


def sign_access_token(claims: Mapping[str, Any], key: ECKey, *, algorithm: str) -> str:
    """Return a token with these claims (RFC 9068)."""
    header = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
    return jwt.encode(header, dict(claims), key, algorithms=[algorithm])
