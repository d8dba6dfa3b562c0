"""The keys that an issuer publishes (RFC 7517), those of them that a token may be signed with.

Each key is looked at by itself: one that cannot be used must not take the others with it.
"""

import logging
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.tokens.key_ring import KeyRing

with optional("joserfc", extra="auth"):
    from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

logger = logging.getLogger("fastapi_baseline.auth.tokens")

MAX_KEYS = 100
"""How many keys of one issuer are looked at."""
MIN_RSA_BITS = 2048
"""What RFC 7518, section 3.3, demands."""
MAX_RSA_BITS = 8192
"""What does not take long to check."""

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_BY_CURVE = MappingProxyType(
    {
        "P-256": ("ES256",),
        "P-384": ("ES384",),
        "P-521": ("ES512",),
        "Ed25519": ("Ed25519", "EdDSA"),
    }
)
_MATERIAL = MappingProxyType({"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")})
_MAX_KID_LENGTH = 1024
_MIN_RSA_LETTERS = MIN_RSA_BITS // 6
_BAD_LENGTH = "its length is not accepted"


def import_keys(document: object, *, algorithms: Collection[str], issuer: str) -> KeyRing:
    """Return what can be used of a JWK set; what cannot is logged, without the key itself.

    Symmetric keys are not among it, nor those that are for encryption, that have a private part, an
    unknown curve, or less than 2048 bits.
    """
    entries: object = None
    if isinstance(document, dict):
        entries = cast("dict[str, object]", document).get("keys")
    usable: list[tuple[str | None, Collection[str], Key]] = []
    listed = cast("list[object]", entries)[:MAX_KEYS] if isinstance(entries, list) else []
    for position, entry in enumerate(listed):
        try:
            usable.append(_import_key(entry, algorithms))
        except Exception as error:  # noqa: BLE001 -- libraries raise what they like at bad keys
            logger.info("Key %d of %s is not used: %s", position, issuer, _explain(error))
    return KeyRing(usable)


class _UnusableKeyError(Exception):
    """A key that no token may be signed with; the message has nothing of it."""


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, _UnusableKeyError) else type(error).__name__


def _import_key(entry: object, allowed: Collection[str]) -> tuple[str | None, Collection[str], Key]:
    if not isinstance(entry, dict):
        raise _UnusableKeyError("it is no JSON object")
    jwk = cast("Mapping[str, Any]", entry)
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _MATERIAL:
        raise _UnusableKeyError("its type is not asymmetric, or not known")
    if "d" in jwk:
        raise _UnusableKeyError("its private part is published")
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ("verify",)):
        raise _UnusableKeyError("it is not for signatures")
    kid = jwk.get("kid")
    if kid is not None and (not isinstance(kid, str) or len(kid) > _MAX_KID_LENGTH):
        raise _UnusableKeyError("its identifier is no text, or too long")
    if kind == "RSA" and len(jwk["n"]) < _MIN_RSA_LETTERS:
        # joserfc would warn of it first.
        raise _UnusableKeyError(_BAD_LENGTH)
    # Nothing else is handed on: what it would mean is decided here.
    key = _KINDS[kind].import_key({"kty": kind, **{name: jwk[name] for name in _MATERIAL[kind]}})
    fitting = _algorithms_of(key)
    if "alg" in jwk:
        fitting = tuple(name for name in fitting if name == jwk["alg"])
    served = tuple(name for name in fitting if name in allowed)
    if not served:
        raise _UnusableKeyError("no signature that is accepted can be made with it")
    return kid, served, key


_KINDS: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = MappingProxyType(
    {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
)


def _algorithms_of(key: RSAKey | ECKey | OKPKey) -> tuple[str, ...]:
    if isinstance(key, RSAKey):
        bits = key.public_key.key_size
        if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            raise _UnusableKeyError(_BAD_LENGTH)
        return _RSA
    return _BY_CURVE.get(key.curve_name, ())
