"""What OpenAPI says of routes that carry out a repeated request once only."""

from typing import Any

from fastapi_baseline.idempotency.dependency import REQUIRED_DESCRIPTION
from fastapi_baseline.idempotency.errors import (
    IdempotencyKeyMissingError,
    IdempotencyKeyReusedError,
    InvalidIdempotencyKeyError,
    RequestInFlightError,
    ResponseNotKeptError,
)
from fastapi_baseline.idempotency.keys import EXAMPLE, HEADER, PATTERN, SAFE_METHODS
from fastapi_baseline.problems import MEDIA_TYPE, problem_responses

_REPLAYED: dict[str, Any] = {
    "description": "Set if this is the answer to an earlier request with the same key",
    "schema": {"type": "string", "const": "true"},
}
_METHODS = frozenset({"delete", "get", "head", "options", "patch", "post", "put", "trace"})
_SUCCESS = "2"


def document_idempotency(document: dict[str, Any]) -> None:
    """Add to an OpenAPI document what routes with an `Idempotent` dependency answer.

    That is 400, 409 and 422, and the header of a response that is given again; what an operation
    says of its responses itself stays. Doing it twice changes nothing.
    """
    for path in document.get("paths", {}).values():
        for method, operation in path.items():
            if method in _METHODS:
                _describe(operation, is_safe=method.upper() in SAFE_METHODS)


def _describe(operation: dict[str, Any], *, is_safe: bool) -> None:
    parameters: list[dict[str, Any]] = operation.get("parameters", [])
    key = next((found for found in parameters if found.get("name") == HEADER), None)
    if key is None:
        return
    if is_safe:
        parameters.remove(key)
        return
    required = key.get("description") == REQUIRED_DESCRIPTION
    key["required"] = required
    key["schema"] = {"type": "string", "pattern": PATTERN, "examples": [EXAMPLE]}
    responses: dict[str, Any] = operation.setdefault("responses", {})
    for status, response in responses.items():
        if status.startswith(_SUCCESS):
            response.setdefault("headers", {}).setdefault("Idempotency-Replayed", _REPLAYED)
    missing = (IdempotencyKeyMissingError,) if required else ()
    added = problem_responses(
        *missing,
        InvalidIdempotencyKeyError,
        IdempotencyKeyReusedError,
        RequestInFlightError,
        ResponseNotKeptError,
    )
    for status, response in added.items():
        _merge(responses.setdefault(str(status), response), response)


def _merge(response: dict[str, Any], added: dict[str, Any]) -> None:
    """Add the examples of errors to those that a response has."""
    content = response.setdefault("content", {}).setdefault(MEDIA_TYPE, {})
    content.setdefault("schema", added["content"][MEDIA_TYPE]["schema"])
    examples = content.setdefault("examples", {})
    for code, example in added["content"][MEDIA_TYPE]["examples"].items():
        examples.setdefault(code, example)
