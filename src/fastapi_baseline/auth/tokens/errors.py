"""What is wrong with an access token, and who cannot be asked about one."""

from functools import cache
from types import MappingProxyType
from typing import Literal

from fastapi_baseline.auth.challenges import make_challenge
from fastapi_baseline.errors import UnauthenticatedError, UnavailableError

Reason = Literal[
    "malformed",
    "algorithm",
    "issuer",
    "key",
    "signature",
    "type",
    "expired",
    "not_yet_valid",
    "audience",
    "claims",
    "inactive",
    "binding",
]
"""Why a token was refused: a closed set, for events and metrics."""

_DESCRIPTIONS = MappingProxyType(
    {
        "malformed": "The access token is malformed.",
        "algorithm": "The access token is signed in a way that is not accepted.",
        "issuer": "The access token is of an issuer that is not trusted.",
        "key": "The access token is signed with a key that its issuer does not publish.",
        "signature": "The signature of the access token is wrong.",
        "type": "The token is no access token.",
        "expired": "The access token has expired.",
        "not_yet_valid": "The access token is not valid yet.",
        "audience": "The access token is meant for another service.",
        "claims": "The access token does not say what it must.",
        "inactive": "The access token is not active.",
        "binding": "The access token is bound to a key, and may not be sent without its proof.",
    }
)


@cache
def _challenge_of(scheme: str, reason: Reason) -> str:
    # Made once: whoever sends wrong tokens sends many.
    return make_challenge(
        scheme, error=InvalidTokenError.code, error_description=_DESCRIPTIONS[reason]
    )


class InvalidTokenError(UnauthenticatedError):
    """The access token is not good; the message says why, and never repeats any of it."""

    code = "invalid_token"
    default_message = "The access token is not valid."

    def __init__(self, reason: Reason, *, scheme: str = "Bearer") -> None:
        """Refuse a token that came with this scheme (RFC 6750, section 3.1)."""
        super().__init__(_DESCRIPTIONS[reason], challenge=_challenge_of(scheme, reason))
        self.reason: Reason = reason


class IssuerUnavailableError(UnavailableError):
    """The issuer of a token cannot be asked for its keys, or about the token, at the moment."""

    code = "issuer_unavailable"
    default_message = "The issuer of the access token does not answer."
