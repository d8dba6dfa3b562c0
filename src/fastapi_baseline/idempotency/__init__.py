"""Requests that may be repeated, and are carried out once: the `Idempotency-Key` header.

    @router.post("/payments", dependencies=[Depends(Idempotent(caller=get_user_id))])

or, for a route that wants the key itself, `key: IdempotencyKey`. `IdempotencyCaptureMiddleware`
remembers the answers, in a `MemoryIdempotencyStore` or in Redis (`idempotency.redis`).
"""

from fastapi_baseline.idempotency.dependency import (
    CREDENTIAL_HEADERS,
    IdempotencyKey,
    Idempotent,
    OptionalIdempotencyKey,
)
from fastapi_baseline.idempotency.errors import (
    IdempotencyKeyMissingError,
    IdempotencyKeyReusedError,
    IdempotencyUnavailableError,
    InvalidIdempotencyKeyError,
    RequestInFlightError,
    ResponseNotKeptError,
)
from fastapi_baseline.idempotency.memory import MemoryIdempotencyStore
from fastapi_baseline.idempotency.middleware import IdempotencyCaptureMiddleware
from fastapi_baseline.idempotency.openapi import document_idempotency
from fastapi_baseline.idempotency.store import IdempotencyStore, Record, StoredResponse

__all__ = [
    "CREDENTIAL_HEADERS",
    "IdempotencyCaptureMiddleware",
    "IdempotencyKey",
    "IdempotencyKeyMissingError",
    "IdempotencyKeyReusedError",
    "IdempotencyStore",
    "IdempotencyUnavailableError",
    "Idempotent",
    "InvalidIdempotencyKeyError",
    "MemoryIdempotencyStore",
    "OptionalIdempotencyKey",
    "Record",
    "RequestInFlightError",
    "ResponseNotKeptError",
    "StoredResponse",
    "document_idempotency",
]
