"""What goes wrong with second factors."""

from fastapi_baseline.auth.challenges import LAST_RESORT
from fastapi_baseline.errors import ConflictError, UnauthenticatedError


class WrongCodeError(UnauthenticatedError):
    """A code is wrong, was used before, or is not of this time; never says which."""

    code = "wrong_code"
    default_message = "The code is not right. Wait for the next one."

    def __init__(self) -> None:
        """Offer nothing that a browser would ask its user for."""
        super().__init__(challenge=LAST_RESORT)


class SignInExpiredError(UnauthenticatedError):
    """A code comes too late after the password, or from another browser than it."""

    code = "sign_in_expired"
    default_message = "Sign in again, with the password first."

    def __init__(self) -> None:
        """Offer nothing that a browser would ask its user for."""
        super().__init__(challenge=LAST_RESORT)


class SecondFactorEnabledError(ConflictError):
    """The user has a second factor already."""

    code = "second_factor_enabled"
    default_message = "There is a second factor already. Disable it first."


class SecondFactorMissingError(ConflictError):
    """The user has no second factor."""

    code = "second_factor_missing"
    default_message = "There is no second factor."


class SecondFactorNeededError(ConflictError):
    """The user has a password that is good enough only together with a second factor."""

    code = "second_factor_needed"
    default_message = "Choose a longer password before the second factor is disabled."
