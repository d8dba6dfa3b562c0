"""How the endpoints of the protocol refuse (RFC 6749, section 5.2), and commands about clients."""

from typing import ClassVar

from fastapi_baseline.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UnprocessableError,
)


class ProtocolError(InvalidRequestError):
    """A request at an endpoint of the protocol is refused, with one of the protocol's own errors.

    The message is `error_description`: printable ASCII, for developers, and nothing of the input.
    """

    error: ClassVar[str] = "invalid_request"
    code = "invalid_request"
    default_message = "The request is malformed, or a parameter is missing or there twice."


class InvalidClientError(ProtocolError):
    """It is not known which client is asking: the same, whatever the reason (RFC 6749, 5.2)."""

    error = "invalid_client"
    default_message = "The client is not known, or did not prove who it is."


class InvalidGrantError(ProtocolError):
    """A code or a refresh token is worth nothing: the same, whatever the reason."""

    error = "invalid_grant"
    default_message = "The code or the refresh token is not good, or not for this client."


class InvalidScopeError(ProtocolError):
    """More is asked for than the client may have, or than was granted."""

    error = "invalid_scope"
    default_message = "A scope is not known, or not for this client."


class UnauthorizedClientError(ProtocolError):
    """The client may not ask in this way."""

    error = "unauthorized_client"
    default_message = "The client may not use this grant type."


class UnsupportedGrantTypeError(ProtocolError):
    """Nobody may ask in this way."""

    error = "unsupported_grant_type"
    default_message = "The grant type is not supported."


class ClientNotFoundError(NotFoundError):
    """There is no such client."""

    code = "client_not_found"
    default_message = "There is no such client."


class ClientExistsError(ConflictError):
    """There is a client with that identifier already."""

    code = "client_exists"
    default_message = "There is a client with that identifier already."


class InvalidClientDescriptionError(UnprocessableError):
    """A client cannot be kept as it is described."""

    code = "invalid_client_description"
    default_message = "A client cannot be kept as it is described."


class GrantNotFoundError(NotFoundError):
    """There is no such grant, or it is somebody else's."""

    code = "grant_not_found"
    default_message = "There is no such grant."
