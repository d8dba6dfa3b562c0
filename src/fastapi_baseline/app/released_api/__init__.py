"""The OpenAPI document that a service has released, and what its callers would miss in the next."""

from fastapi_baseline.app.released_api.documents import (
    configured_document,
    find_broken_promises,
    read_released,
    release,
)
from fastapi_baseline.app.released_api.operations import find_breaks

__all__ = [
    "configured_document",
    "find_breaks",
    "find_broken_promises",
    "read_released",
    "release",
]
