"""What goes wrong with users, as errors with codes."""

from collections.abc import Sequence
from datetime import timedelta

from fastapi_baseline.auth.challenges import LAST_RESORT
from fastapi_baseline.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    InvalidRequestError,
    UnauthenticatedError,
    UnavailableError,
    UnprocessableError,
)


class InvalidCredentialsError(UnauthenticatedError):
    """An address and a password are not those of a user who may sign in; never says which."""

    code = "invalid_credentials"
    default_message = "The e-mail address or the password is not right."

    def __init__(self) -> None:
        """Offer nothing that a browser would ask its user for."""
        super().__init__(challenge=LAST_RESORT)


class PasswordNotAcceptedError(UnprocessableError):
    """A new password breaks a rule; `fields` says which."""

    code = "password_not_accepted"
    default_message = "Choose another password."

    def __init__(self, reasons: Sequence[tuple[str, str]], *, name: str = "password") -> None:
        """Name the reasons, each with its code and a sentence, and the field that they are of."""
        fields = [FieldError(path=(name,), detail=text, code=code) for code, text in reasons]
        super().__init__(fields=fields)


class InvalidEmailError(UnprocessableError):
    """What should be an address of e-mail is none."""

    code = "invalid_email"
    default_message = "This is not an e-mail address."

    def __init__(self) -> None:
        """Say so of the field `email`."""
        detail = self.default_message
        super().__init__(fields=[FieldError(path=("email",), detail=detail, code=self.code)])


class InvalidLinkError(InvalidRequestError):
    """The token of a link is unknown, used, expired, or of an account that has changed since."""

    code = "invalid_link"
    default_message = "This link is not valid any more. Ask for a new one."


class RegistrationClosedError(ForbiddenError):
    """Nobody may register."""

    code = "registration_closed"
    default_message = "Registration is closed."


class EmailTakenError(ConflictError):
    """Another user has this address; for administrators only."""

    code = "email_taken"
    default_message = "Another user has this e-mail address."


class HashingBusyError(UnavailableError):
    """Too many passwords wait to be hashed."""

    code = "hashing_busy"

    def __init__(self) -> None:
        """Ask to come back in a second."""
        super().__init__(retry_after=timedelta(seconds=1))


class MailNotSentError(UnavailableError):
    """A letter could not be handed to the mail server."""

    code = "mail_not_sent"
