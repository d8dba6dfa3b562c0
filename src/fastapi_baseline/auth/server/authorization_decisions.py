"""What comes next for a request for authorization: sign in, agree, or go back with a code."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.server.authorization_requests import (
    AuthorizationError,
    AuthorizationRequest,
)
from fastapi_baseline.auth.users.sign_in import PASSWORD_ONLY, TWO_FACTORS

Step = Literal["allow", "ask", "sign_in"]
"""What comes next: the answer, the question whether the client may, or signing in."""

LEVELS = (PASSWORD_ONLY, TWO_FACTORS)
"""The values of `acr` that people can reach here, the strongest last."""

_NOW = timedelta(0)


def decide(
    request: AuthorizationRequest,
    principal: Principal | None,
    *,
    asked_at: datetime,
    agreed: Collection[str] | None,
) -> Step:
    """Return what comes next, for whoever is there.

    `agreed` are the scopes that they have agreed to before; `None` if the client needs nobody's
    consent. Who has signed in since `asked_at` is not sent to sign in again: the client is told how
    well they did.

    Raises:
        AuthorizationError: If they would have to be asked and may not be, or are somebody else than
            the client believes.
    """
    is_silent = "none" in request.prompts
    if principal is None or not _is_proved(request, principal, asked_at):
        if is_silent:
            raise AuthorizationError("login_required")
        return "sign_in"
    if request.expected_subject not in {None, principal.subject}:
        raise AuthorizationError("login_required")
    is_agreed = agreed is None or set(request.scopes) <= set(agreed)
    if is_agreed and "consent" not in request.prompts:
        return "allow"
    if is_silent:
        raise AuthorizationError("consent_required")
    return "ask"


def _is_proved(request: AuthorizationRequest, principal: Principal, asked_at: datetime) -> bool:
    proved_at = principal.auth_time
    if proved_at is not None and proved_at >= asked_at:
        return True
    # Whoever is to choose an account is asked to sign in: there is no other way to choose one.
    max_age = request.max_age if request.prompts.isdisjoint({"login", "select_account"}) else _NOW
    if max_age is not None and (proved_at is None or proved_at < asked_at - max_age):
        return False
    return _is_strong(request, principal)


def _is_strong(request: AuthorizationRequest, principal: Principal) -> bool:
    """Return whether one of the levels is reached that a client would like, if there are any here."""
    liked = [LEVELS.index(one) for one in request.acr_values if one in LEVELS]
    if not liked:
        return True
    return principal.acr in LEVELS and LEVELS.index(principal.acr) >= min(liked)
