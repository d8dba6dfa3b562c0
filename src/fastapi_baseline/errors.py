"""The errors of the library, by category.

    BaselineError
    ├── ConfigurationError            the service is set up wrongly; it should not start
    │   ├── MissingExtraError         an optional library is needed and not installed
    │   └── DomainImportError         a domain of the service cannot be imported
    ├── InvalidRequestError           the request cannot be understood
    ├── UnauthenticatedError          nobody, or nobody known, is asking
    ├── ForbiddenError                the asker may not do this
    ├── NotFoundError                 it is not there, or not the asker's to see
    ├── ConflictError                 it contradicts what is stored
    ├── PreconditionFailedError       it has changed since the asker looked
    ├── PreconditionRequiredError     the asker must say which version is meant
    ├── UnprocessableError            it is understood, and its values are wrong
    ├── TooManyRequestsError          asked too often
    ├── UnavailableError              a system that is needed does not answer
    └── DeadlineExceededError         it took too long

Nothing here knows HTTP: `fastapi_baseline.problems` says which status a category has. Features
subclass a category to give it a `code` of its own, and never add a status.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one field of the input.

    `path` names attributes as the code does (`("patient_id",)`); where they are shown, they take
    the name that they have on the wire. `location` is the part of the request that the path starts
    in: `body`, `query`, `path`, `header` or `cookie`.
    """

    path: tuple[str | int, ...]
    detail: str
    code: str
    location: str = "body"


class BaselineError(Exception):
    """The root of all errors that the library raises on purpose.

    The message is for whoever sent the request, so it must name nothing that they may not know.
    `code` is stable and public: clients and alerts may depend on it.
    """

    code: ClassVar[str] = "internal_error"
    default_message: ClassVar[str] = "Something went wrong."

    def __init__(
        self,
        message: str | None = None,
        *,
        fields: Sequence[FieldError] = (),
        retry_after: timedelta | None = None,
        challenge: str | None = None,
    ) -> None:
        """Describe the failure; `challenge` is a `WWW-Authenticate` value (RFC 9110, 11.6.1)."""
        self.message = message or self.default_message
        self.fields = tuple(fields)
        self.retry_after = retry_after
        self.challenge = challenge
        super().__init__(self.message)


class ConfigurationError(BaselineError):
    """The service is set up wrongly; the message says what to change, and never a secret."""

    code = "configuration_error"
    default_message = "The service is not configured correctly."


class MissingExtraError(ConfigurationError, ImportError):
    """An optional library is needed and not installed; the message names the extra."""

    code = "missing_extra"


class DomainImportError(ConfigurationError):
    """A domain of the service cannot be imported; the message names it."""

    code = "domain_import_failed"


class InvalidRequestError(BaselineError):
    """The request cannot be understood."""

    code = "invalid_request"
    default_message = "The request is not valid."


class UnauthenticatedError(BaselineError):
    """Nobody is asking, or nobody who is known."""

    code = "unauthenticated"
    default_message = "Authentication is required."


class ForbiddenError(BaselineError):
    """The asker is known and may not do this."""

    code = "forbidden"
    default_message = "This is not allowed."


class NotFoundError(BaselineError):
    """The thing asked for does not exist, or is not the asker's to see."""

    code = "not_found"
    default_message = "The resource does not exist."


class ConflictError(BaselineError):
    """The request contradicts what is stored."""

    code = "conflict"
    default_message = "The request conflicts with the current state of the resource."


class PreconditionFailedError(BaselineError):
    """The thing has changed since the asker looked at it."""

    code = "precondition_failed"
    default_message = "The resource has changed since it was read."


class PreconditionRequiredError(BaselineError):
    """The asker must say which version of the thing is meant."""

    code = "precondition_required"
    default_message = "The request must be conditional."


class UnprocessableError(BaselineError):
    """The request is understood, and its values break a rule."""

    code = "unprocessable"
    default_message = "The values of the request are not valid."


class TooManyRequestsError(BaselineError):
    """The asker has asked too often; `retry_after` says when to come back."""

    code = "too_many_requests"
    default_message = "Too many requests."


class UnavailableError(BaselineError):
    """A system that is needed does not answer; the same request may succeed later."""

    code = "unavailable"
    default_message = "The service is temporarily unavailable."


class DeadlineExceededError(BaselineError):
    """The work took longer than it may, and was given up."""

    code = "deadline_exceeded"
    default_message = "The operation took too long."
