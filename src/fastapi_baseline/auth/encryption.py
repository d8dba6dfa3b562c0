"""Secrets that the service has to read again: encrypted in the database, and keys that follow.

What is only compared is hashed. The secret of a second factor (RFC 6238, section 5.1), the tokens of
a provider and the keys that the service signs with are needed themselves, so they are encrypted, with
keys that are in no database.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from pydantic import SecretStr

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError

with optional("joserfc", extra="auth"):
    from joserfc import jwe
    from joserfc.errors import JoseError
    from joserfc.jwk import OctKey

MIN_SECRET_LENGTH = 32
"""How many characters a secret key has at least: 128 bits if they are random hexadecimal digits."""

_ALGORITHMS = ("dir", "A256GCM")
_DEVELOPMENT_SECRET = "secret of services in development only"  # noqa: S105 -- refused where people depend on it


class UndecryptableError(ConfigurationError):
    """What is in the database was encrypted with a key that the service does not have any more."""

    code = "undecryptable"
    default_message = "A secret in the database cannot be decrypted with AUTH__SECRET_KEYS."


class KeyRing:
    """The secret keys of a service: the first one encrypts and signs, and all of them are believed.

    What is encrypted says by which key, so an old key can go once nothing was encrypted with it.
    For each purpose there is a key of its own, so that what one part signs means nothing to another.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        """Derive keys from these secrets.

        Raises:
            ConfigurationError: If there are none, or one of them is short.
        """
        if not secrets:
            raise ConfigurationError("AUTH__SECRET_KEYS is empty: set 32 random characters.")
        if any(len(secret) < MIN_SECRET_LENGTH for secret in secrets):
            raise ConfigurationError(
                f"Each of AUTH__SECRET_KEYS has {MIN_SECRET_LENGTH} characters or more."
            )
        self._secrets = tuple(secret.encode() for secret in secrets)
        keys = [self._make_key(secret) for secret in self._secrets]
        self._first = keys[0]
        self._keys = dict(reversed(keys))

    def __repr__(self) -> str:
        return f"KeyRing({len(self._secrets)} keys)"

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """Return the keys of 256 bits for a purpose, that of the first secret first."""
        return tuple(_derive(secret, purpose) for secret in self._secrets)

    def encrypt(self, text: str, *, owner: str) -> str:
        """Return a text as JWE (RFC 7516), which only `decrypt` for the same owner reads."""
        kid, key = self._first
        header = {"alg": "dir", "enc": "A256GCM", "kid": kid}
        return jwe.encrypt_compact(header, json.dumps([owner, text]), key, algorithms=_ALGORITHMS)

    def decrypt(self, token: str, *, owner: str) -> str:
        """Return what was encrypted for an owner.

        Raises:
            UndecryptableError: If none of the keys fits, or it was encrypted for somebody else: a row
                that was copied to another user is no secret of that user's.
        """
        try:
            found = jwe.decrypt_compact(token, self._find_key, algorithms=_ALGORITHMS)
            encrypted_for, text = json.loads(found.plaintext or b"")
        except (JoseError, ValueError, TypeError) as error:
            raise UndecryptableError from error
        if encrypted_for != owner:
            raise UndecryptableError
        return str(text)

    def is_current(self, token: str) -> bool:
        """Return whether it is the first key that something was encrypted with."""
        try:
            header = jwe.decrypt_compact(token, self._find_key, algorithms=_ALGORITHMS).headers()
        except (JoseError, ValueError, UndecryptableError):
            return False
        return header.get("kid") == self._first[0]

    def _find_key(self, recipient: Any) -> OctKey:
        kid = recipient.headers().get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise UndecryptableError
        return key

    @staticmethod
    def _make_key(secret: bytes) -> tuple[str, OctKey]:
        key = _derive(secret, "encryption")
        # Derived as well: a digest of the key itself would let it be tried out.
        kid = _derive(secret, "name of the key").hex()[:16]
        return kid, OctKey.import_key(key)


def make_key_ring(secrets: Sequence[SecretStr], *, is_deployed: bool) -> KeyRing:
    """Return the keys that settings list; in development, keys that are no secret if there are none.

    Raises:
        ConfigurationError: If there are none where people depend on it, or one of them is short.
    """
    if not secrets and is_deployed:
        raise ConfigurationError(
            "AUTH__SECRET_KEYS is not set: the secrets that the service keeps are encrypted with it. "
            "Any 32 random characters do, the same for all processes."
        )
    return KeyRing([secret.get_secret_value() for secret in secrets] or [_DEVELOPMENT_SECRET])


def _derive(secret: bytes, purpose: str) -> bytes:
    # One block of HKDF-Expand (RFC 5869): what is expanded is random enough already.
    return hmac.digest(secret, f"fastapi-baseline {purpose}\x01".encode(), hashlib.sha256)
