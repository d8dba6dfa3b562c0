"""What is wrong with a key of a program."""

from typing import Literal

from fastapi_baseline.errors import (
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
    UnprocessableError,
)

Reason = Literal["malformed", "unknown", "wrong_secret", "expired", "revoked"]
"""Why a key was refused: a closed set, for events."""


class InvalidApiKeyError(UnauthenticatedError):
    """The key is not good. The log says why; who sent it is not told whether it ever was."""

    code = "invalid_api_key"
    default_message = "The API key is not valid."

    def __init__(
        self, reason: Reason, *, key_id: str | None = None, challenge: str | None = None
    ) -> None:
        """Refuse a key; `key_id` is what it says it is."""
        super().__init__(challenge=challenge)
        self.reason: Reason = reason
        self.key_id = key_id


class RepeatedApiKeyError(InvalidRequestError):
    """The request has more than one key."""

    code = "repeated_api_key"
    default_message = "Send one API key, and once."


class ApiKeyNotFoundError(NotFoundError):
    """There is no such key, or it is not the asker's to see."""

    code = "api_key_not_found"
    default_message = "There is no such API key."


class InvalidKeyDescriptionError(UnprocessableError):
    """A key cannot be issued as it is described."""

    code = "invalid_api_key_description"
    default_message = "A key cannot be issued like this."
