"""What goes wrong with sessions."""

from fastapi_baseline.auth.errors import CredentialsEndedError
from fastapi_baseline.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)


class SessionEndedError(CredentialsEndedError):
    """The cookie is of a session that has ended, or never was one."""

    code = "session_ended"
    default_message = "The session has ended. Sign in again."


class AmbiguousSessionError(InvalidRequestError):
    """The request has more than one cookie of a session."""

    code = "ambiguous_session"
    default_message = "The request has more than one session."


class CsrfError(ForbiddenError):
    """The request may have been made by another site, in the name of the user."""

    code = "csrf_refused"
    default_message = "The request does not show that it comes from a page of this service."


class SessionRequiredError(ForbiddenError):
    """The asker is known, and not by a session."""

    code = "session_required"
    default_message = "This is for those who have signed in with a browser."


class SessionsUnavailableError(UnavailableError):
    """What keeps the sessions does not answer, so nobody can tell who is asking."""

    code = "sessions_unavailable"
    default_message = "Sessions cannot be checked at the moment."


class SessionNotFoundError(NotFoundError):
    """There is no such session, or it is somebody else's."""

    code = "session_not_found"
    default_message = "There is no such session."
