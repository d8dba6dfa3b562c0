"""What can be wrong with a request that should be carried out once only.

The statuses are those of draft-ietf-httpapi-idempotency-key-header-07, section 2.7: 400 without a
usable key, 409 while the first request runs, 422 if the key belongs to another request.
"""

from fastapi_baseline.errors import (
    ConflictError,
    InvalidRequestError,
    UnavailableError,
    UnprocessableError,
)


class IdempotencyKeyMissingError(InvalidRequestError):
    """The request has no `Idempotency-Key`, and needs one."""

    code = "idempotency_key_missing"
    default_message = "The request needs an Idempotency-Key header, so that it can be repeated."


class InvalidIdempotencyKeyError(InvalidRequestError):
    """The `Idempotency-Key` of the request is not one."""

    code = "invalid_idempotency_key"
    default_message = "The Idempotency-Key header is not valid."


class IdempotencyKeyReusedError(UnprocessableError):
    """The key was sent before, with another request."""

    code = "idempotency_key_reused"
    default_message = "This Idempotency-Key was already used for another request."


class RequestInFlightError(ConflictError):
    """The same request is being carried out at this moment."""

    code = "request_in_flight"
    default_message = "A request with this Idempotency-Key is being carried out. Try again later."


class ResponseNotKeptError(ConflictError):
    """The request was carried out, and its response cannot be given again."""

    code = "response_not_kept"
    default_message = (
        "The request with this Idempotency-Key was carried out, but its response was too large to "
        "keep, or cut off. Look at the resource to learn the outcome."
    )


class IdempotencyUnavailableError(UnavailableError):
    """Nobody can tell whether the request was carried out before, so it is not carried out."""

    code = "idempotency_unavailable"
    default_message = (
        "The request was not carried out: repeated requests cannot be told at present."
    )
