"""An issuer of the probes' own: it signs any token, also wrong ones."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, RSAKey
from joserfc.jws import JWSRegistry

ISSUER, AUDIENCE = "https://issuer.example.com", "https://api.example.com"
_ALGORITHMS = ["ES256", "PS256", "RS256", "RS384"]


@dataclass(slots=True)
class Issuer:
    """Its keys, of which all are published."""

    rsa: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "rsa"}))
    ec: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "ec"}))

    @property
    def keys(self) -> dict[str, Any]:
        """Return what it publishes."""
        return KeySet([self.rsa, self.ec]).as_dict(private=False)

    def token(self, *, header: Mapping[str, Any] | None = None, **claims: object) -> str:
        """Return a token of RFC 9068, changed: a claim that is `None` is left out."""
        return signed(self.rsa, header={"kid": self.rsa.kid, **(header or {})}, **claims)


def signed(key: Key, *, header: Mapping[str, Any] | None = None, **claims: object) -> str:
    """Return a token of RFC 9068 that a key has signed; what is `None` is left out."""
    chosen = {"alg": "RS256", "typ": "at+jwt", **(header or {})}
    given = {name: value for name, value in chosen.items() if value is not None}
    registry = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
    return jwt.encode(given, claimed(**claims), key, registry=registry, default_type=None)


def claimed(**claims: object) -> dict[str, Any]:
    """Return the claims of a token of RFC 9068, changed: a claim that is `None` is left out."""
    now = int(time.time())  # noqa: TID251 - that of the machine is what a peer compares with
    given = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "u1",
        "client_id": "c1",
        "jti": "t1",
        "iat": now,
        "exp": now + 60,
        "scope": "read",
        **claims,
    }
    return {name: value for name, value in given.items() if value is not None}


def assembled(
    header: Mapping[str, Any], payload: Mapping[str, Any] | bytes, signature: bytes = b""
) -> str:
    """Return what looks like a token, and was signed by nobody."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return ".".join(encoded(part) for part in (json.dumps(header).encode(), body, signature))


def encoded(part: bytes) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def signed_with_secret(
    secret: bytes, *, header: Mapping[str, Any] | None = None, **claims: object
) -> str:
    """Return a token with HS256, also with a secret that no library would take."""
    unsigned = assembled({"alg": "HS256", "typ": "at+jwt", **(header or {})}, claimed(**claims))
    content = unsigned.rpartition(".")[0]
    return f"{content}.{encoded(hmac.digest(secret, content.encode(), 'sha256'))}"
