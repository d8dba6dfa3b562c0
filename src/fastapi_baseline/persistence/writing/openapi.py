"""What OpenAPI says of routes that are asked for a version."""

from typing import Any

from fastapi_baseline.errors import InvalidRequestError, PreconditionRequiredError
from fastapi_baseline.persistence.errors import VersionMismatchError
from fastapi_baseline.persistence.writing.preconditions import HEADER, REQUIRED_DESCRIPTION
from fastapi_baseline.problems import problem_responses

# A list of entity tags, or `*` (RFC 9110, section 13.1.1).
_PATTERN = r'^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$'


def document_preconditions(document: dict[str, Any]) -> None:
    """Add to an OpenAPI document what routes with `IfMatch` ask for, and how they refuse.

    What an operation says of its responses itself stays. Doing it twice changes nothing.
    """
    for path in document.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict):
                _describe(operation)  # pyright: ignore[reportUnknownArgumentType] -- JSON


def _describe(operation: dict[str, Any]) -> None:
    parameters: list[dict[str, Any]] = operation.get("parameters", [])
    shown = next((found for found in parameters if found.get("name") == HEADER), None)
    if shown is None:
        return
    # FastAPI must not require it: it would answer 422 where RFC 6585 has 428.
    shown["required"] = shown.get("description") == REQUIRED_DESCRIPTION
    shown["schema"] = {"type": "string", "pattern": _PATTERN, "examples": ['"3"', "*"]}
    required = (PreconditionRequiredError,) if shown["required"] else ()
    responses: dict[str, Any] = operation.setdefault("responses", {})
    for status, response in problem_responses(
        InvalidRequestError, VersionMismatchError, *required
    ).items():
        responses.setdefault(str(status), response)
