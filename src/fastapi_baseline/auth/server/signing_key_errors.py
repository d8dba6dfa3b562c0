"""How the keys fail that tokens are signed with."""

from fastapi_baseline.auth.tokens.errors import IssuerUnavailableError
from fastapi_baseline.errors import ConflictError, NotFoundError


class SigningKeysUnavailableError(IssuerUnavailableError):
    """There is no key to sign with, or to verify: the database does not answer, or has none."""

    code = "signing_keys_unavailable"
    default_message = "The service cannot issue or verify tokens at the moment."


class SigningKeyNotFoundError(NotFoundError):
    """There is no such key."""

    code = "signing_key_not_found"
    default_message = "There is no key with this identifier."


class RotationPendingError(ConflictError):
    """A key is published already that will sign."""

    code = "rotation_pending"
