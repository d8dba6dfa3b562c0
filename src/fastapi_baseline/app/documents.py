"""What the OpenAPI document says of every operation: its problems, and the headers of responses."""

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI

from fastapi_baseline.auth.openapi import document_security
from fastapi_baseline.idempotency import document_idempotency
from fastapi_baseline.problems import MEDIA_TYPE, PROBLEM_SCHEMA, Problem
from fastapi_baseline.rate_limiting import ApplicationLimits

PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong (RFC 9457)",
        "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
    }
}
"""What an operation answers when it does not do what it is for."""

_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The identifier of the request, also in the logs",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"},
    },
    "Retry-After": {
        "description": "In how many seconds to try again, with 429 and 503",
        "schema": {"type": "integer", "minimum": 0},
    },
}
_ON_PROBLEMS = ("X-Request-ID", "Retry-After")
_ON_ALL = ("X-Request-ID",)


def document_responses(app: FastAPI, *, limits: ApplicationLimits) -> None:
    """Add the schema of problems, and the headers that every response has, to the document.

    Operations that are limited also say so.

    What an operation says of its responses itself stays as it is.
    """
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document_security(app, document)
        document_idempotency(document)
        limits.document(app, document)
        if hasattr(app.state, "database"):
            # Only a service with a database pays for the import of SQLAlchemy.
            from fastapi_baseline.persistence.writing.openapi import (  # noqa: PLC0415
                document_preconditions,
            )

            document_preconditions(document)
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        if "Problem" not in schemas:
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas["Problem"] = schema
            components["headers"] = _HEADERS | components.get("headers", {})
            _document_conditional_requests(document)
            for response in _responses(document):
                is_problem = MEDIA_TYPE in response.get("content", {})
                headers = response.setdefault("headers", {})
                for name in _ON_PROBLEMS if is_problem else _ON_ALL:
                    headers.setdefault(name, {"$ref": f"#/components/headers/{name}"})
        return document

    app.openapi = openapi


def _document_conditional_requests(document: dict[str, Any]) -> None:
    """Say that what has an entity tag is not sent to who has it already."""
    for path in document.get("paths", {}).values():
        responses: dict[str, Any] = path.get("get", {}).get("responses", {})
        tag = responses.get("200", {}).get("headers", {}).get("ETag")
        if tag is not None:
            unchanged = {"description": "Not Modified", "headers": {"ETag": tag}}
            responses.setdefault("304", unchanged)


def _responses(document: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for path in document.get("paths", {}).values():
        for method, operation in path.items():
            if method in _METHODS:
                yield from (
                    response
                    for response in operation["responses"].values()
                    if "$ref" not in response
                )
