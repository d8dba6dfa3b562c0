"""How signing in with a provider fails."""

from types import MappingProxyType
from typing import Literal

from fastapi_baseline.errors import InvalidRequestError, NotFoundError, UnavailableError

LoginRefusal = Literal[
    "duplicate_parameter",
    "state",
    "used_state",
    "expired",
    "issuer",
    "provider_error",
    "code",
    "token_request",
    "id_token",
    "userinfo",
    "account",
]
"""Why a sign-in was refused: a closed set, for events."""

IdTokenFlaw = Literal[
    "missing",
    "malformed",
    "algorithm",
    "type",
    "key",
    "signature",
    "issuer",
    "audience",
    "authorized_party",
    "expired",
    "not_yet_valid",
    "nonce",
    "access_token_hash",
    "authentication_too_old",
    "claims",
]
"""What is wrong with an ID token: a closed set, for events."""

_MESSAGES: MappingProxyType[str, str] = MappingProxyType(
    {
        "used_state": "This sign-in has come to its end already. Sign in again.",
        "expired": "This sign-in took too long. Sign in again.",
        "provider_error": "The sign-in was not completed. Sign in again.",
        "account": "This account may not use the service.",
    }
)


class LoginRefusedError(InvalidRequestError):
    """Nobody was signed in; the message repeats nothing of what came, and names no cause.

    `reason` and `detail` are for events.
    """

    code = "login_refused"
    default_message = "The sign-in did not work. Sign in again."

    def __init__(self, reason: LoginRefusal, *, detail: str | None = None) -> None:
        """Refuse a sign-in; `detail` is one of a closed set, too."""
        super().__init__(_MESSAGES.get(reason))
        self.reason: LoginRefusal = reason
        self.detail = detail


class LoginProviderNotFoundError(NotFoundError):
    """There is no provider of that name."""

    code = "login_provider_not_found"
    default_message = "There is no such way to sign in."


class ProviderUnavailableError(UnavailableError):
    """The provider does not answer, or with nothing that can be used."""

    code = "provider_unavailable"
    default_message = "Signing in does not work at the moment."


class ProviderRefusedError(Exception):
    """The provider has refused what it was asked for; `error` is its code (RFC 6749, section 5.2)."""

    def __init__(self, error: object) -> None:
        """Keep the code; one that is not known is `other`, so that nothing foreign gets into a log."""
        self.error = name_error(error)
        super().__init__(self.error)


class InvalidIdTokenError(Exception):
    """An ID token, or what else a provider has signed, is not good."""

    def __init__(self, flaw: IdTokenFlaw) -> None:
        """Say what is wrong; nothing of the token."""
        super().__init__(flaw)
        self.flaw: IdTokenFlaw = flaw


class InvalidUserinfoError(Exception):
    """The provider says something of somebody else, or not as JSON."""


KNOWN_ERRORS = frozenset(
    {
        # RFC 6749, sections 4.1.2.1 and 5.2.
        *("access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope"),
        *("server_error", "temporarily_unavailable", "unauthorized_client"),
        *("unsupported_grant_type", "unsupported_response_type"),
        # OpenID Connect Core, section 3.1.2.6.
        *("account_selection_required", "consent_required", "interaction_required"),
        "login_required",
    }
)
"""What a provider may say that went wrong; everything else is `other`."""


def name_error(error: object) -> str:
    """Return the code of an error as it may be logged."""
    return error if isinstance(error, str) and error in KNOWN_ERRORS else "other"
