"""How authentication and authorisation fail, wherever no feature has an error of its own."""

from fastapi_baseline.errors import ForbiddenError, InvalidRequestError, UnauthenticatedError


class CredentialsMissingError(UnauthenticatedError):
    """The request does not say who is asking; its challenge has no error code (RFC 6750, 3.1)."""

    default_message = "Authentication is required."


class CredentialsEndedError(UnauthenticatedError):
    """What says who is asking was good once, as a cookie that a browser keeps sending.

    Where anybody may ask, whoever has only that is nobody.
    """


class AmbiguousCredentialsError(InvalidRequestError):
    """The request says in more than one way who is asking, so it is not clear who it is."""

    code = "ambiguous_credentials"
    default_message = "Send credentials of one kind, and once."


class InsufficientScopeError(ForbiddenError):
    """The asker is known, and was not given the scopes that are needed (RFC 6750, 3.1)."""

    code = "insufficient_scope"
    default_message = "The scopes of the credentials are not enough for this."


class InsufficientRoleError(ForbiddenError):
    """The asker is known, and has not the role that is needed."""

    code = "insufficient_role"
    default_message = "This needs a role that you do not have."


class InsufficientAuthenticationError(UnauthenticatedError):
    """The asker is known, and must prove again, or better, who it is (RFC 9470, section 3)."""

    code = "insufficient_user_authentication"
    default_message = "Authenticate again to do this."
