"""Signing keys in memory: what is signed with now, and what is believed now."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.server.signing_key_storage import (
    PrivateKey,
    SigningKey,
    find_active,
    is_published,
)
from fastapi_baseline.clock import Clock

with optional("joserfc", extra="auth"):
    from joserfc import jwt

MAX_STALE = timedelta(hours=1)
"""How long keys are believed if the database does not answer."""


class HeldKeys:
    """What a process has read, for as long as it may believe it."""

    def __init__(self, clock: Clock) -> None:
        """Begin with no keys."""
        self._clock = clock
        self._keys: Sequence[SigningKey] = ()
        self._usable_until = float("-inf")
        self.jwks = b'{"keys":[]}'
        """What is published of them (RFC 7517)."""

    @property
    def is_usable(self) -> bool:
        """Return whether anything is known."""
        return self._clock.monotonic() < self._usable_until

    @property
    def published(self) -> Sequence[SigningKey]:
        """Return the keys whose signatures are to be believed, or will be."""
        now = self._clock.now()
        return [key for key in self._keys if self.is_usable and is_published(key, now)]

    def take(self, keys: Sequence[SigningKey]) -> None:
        """Hold these keys from now on."""
        self._keys = tuple(keys)
        self._usable_until = self._clock.monotonic() + MAX_STALE.total_seconds()
        self.jwks = json.dumps({"keys": [dict(key.jwk) for key in keys]}).encode()

    def find_active(self) -> SigningKey | None:
        """Return the key that signs, or `None`."""
        return find_active(self._keys, self._clock.now()) if self.is_usable else None

    def find_public(self, kid: str | None, algorithm: str) -> PrivateKey | None:
        """Return the public half of the published key with this name, or `None`."""
        for key in self.published:
            if (key.kid, key.algorithm) == (kid, algorithm):
                return key.public
        return None


def sign(key: SigningKey, claims: Mapping[str, Any], *, typ: str) -> str:
    """Return claims as a token (RFC 7519) that names the key.

    Raises:
        ValueError: If it is a key that does not sign any more.
    """
    if key.private is None:
        raise ValueError("A key that has retired signs nothing.")
    header = {"alg": key.algorithm, "kid": key.kid, "typ": typ}
    return jwt.encode(header, dict(claims), key.private, algorithms=[key.algorithm])
