"""What OpenAPI says of headers that a route sends beside its body."""

from typing import Any

from fastapi_baseline.errors import ConfigurationError

_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {
        "description": "The entity tag of what was sent, for If-Match and If-None-Match",
        "required": True,
        "schema": {"type": "string", "examples": ['"3"']},
    },
    "Last-Modified": {
        "description": "When what was sent was last changed, for If-Modified-Since",
        "required": True,
        "schema": {"type": "string", "examples": ["Sat, 31 Jan 2026 09:30:00 GMT"]},
    },
    # A page need not have neighbours.
    "Link": {
        "description": "Where other pages are (RFC 8288)",
        "schema": {"type": "string", "examples": ['</items?limit=20>; rel="first"']},
    },
    "Location": {
        "description": "Where it is",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
}


def response_headers(status: int, *names: str) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI should say of the headers that a response with a status has.

    Pass it to the route that sends them, beside its problems:
    `responses=response_headers(200, "ETag") | problem_responses(NotFoundError)`.

    Raises:
        ConfigurationError: If nothing is known of a header.
    """
    unknown = set(names) - _HEADERS.keys()
    if unknown:
        message = f"Of these headers nothing is known: {', '.join(sorted(unknown))}."
        raise ConfigurationError(message)
    return {status: {"headers": {name: dict(_HEADERS[name]) for name in names}}}
