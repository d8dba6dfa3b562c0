"""How an error looks to whoever sent the request: problem details (RFC 9457).

Every problem has `type`, `title`, `status`, `detail`, `instance` (the path of the request), `code`
(stable, for programs) and `request_id` (the one in the logs). `type` is `about:blank`, whose title
is the standard phrase of the status (RFC 9457, section 4.2.1), unless a standard has a type for the
problem. One that is about certain fields lists them in `errors`: the part of the request that each
is `in`, a `pointer` to it there (a JSON pointer as a URI fragment, RFC 6901, section 6), a `detail`
and a `code`.

This is the only place that knows which status an error has.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from fastapi_baseline import errors
from fastapi_baseline.errors import BaselineError, FieldError

MEDIA_TYPE = "application/problem+json"
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}
"""What a response in OpenAPI refers to; `create_app` puts the schema there."""
MAX_FIELD_ERRORS = 100
"""A body with a million wrong fields must not make a response with a million errors."""

_STATUS: dict[type[BaselineError], int] = {
    errors.BaselineError: 500,
    errors.InvalidRequestError: 400,
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.PreconditionFailedError: 412,
    errors.UnprocessableError: 422,
    errors.PreconditionRequiredError: 428,
    errors.TooManyRequestsError: 429,
    errors.UnavailableError: 503,
    errors.DeadlineExceededError: 504,
}

# Python 3.13 took over the names of RFC 9110 for these; titles and codes are public, so they may
# not depend on the version of Python.
_RFC_9110_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
_CODES = {status: kind.code for kind, status in _STATUS.items()}


class ProblemField(BaseModel):
    """What is wrong with one field of a request."""

    model_config = ConfigDict(populate_by_name=True)

    location: str = Field(alias="in", description="body, query, path, header or cookie")
    pointer: str = Field(description="Where in that part, as a JSON pointer (RFC 6901)")
    detail: str = Field(description="What is wrong, for people")
    code: str = Field(description="What is wrong, for programs")


class Problem(BaseModel):
    """An error, as every error response of the service describes it (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(description="The kind of problem")
    status: int = Field(description="The status code of the response")
    detail: str = Field(description="What happened, for people")
    instance: str = Field(description="The path that was asked for")
    code: str = Field(description="What happened, for programs; stable")
    request_id: str | None = Field(description="The identifier of the request, also in the logs")
    errors: list[ProblemField] | None = Field(default=None, description="The fields at fault")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an error means in HTTP, before it is known which request it belongs to."""

    status: int
    code: str
    detail: str
    fields: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] | None = None
    type: str = "about:blank"
    title: str | None = None
    """The title of the type; that of `about:blank` is the phrase of the status."""
    members: Mapping[str, Any] | None = None
    """What the type adds (RFC 9457, section 3.2)."""


def status_of(error: BaselineError) -> int:
    """Return the status of the nearest ancestor of the error that has one."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def fault_of(error: BaselineError) -> Fault:
    """Return what an error means in HTTP.

    The message of an error with status 500 is for operators, so nothing of it is shown.
    """
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return internal_fault()
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        # Rounded up: an early retry would be refused again.
        headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    if error.challenge is not None:
        headers["WWW-Authenticate"] = error.challenge
    return Fault(
        status=status,
        code=error.code,
        detail=error.message,
        fields=error.fields,
        headers=headers,
    )


def internal_fault() -> Fault:
    """Return what an error that nobody foresaw means: 500, and nothing about its cause."""
    return Fault(
        status=500,
        code=BaselineError.code,
        detail="An unexpected error occurred. Quote the request id when you report it.",
    )


def fault_of_status(
    status: int, *, detail: str | None = None, headers: Mapping[str, str] | None = None
) -> Fault:
    """Return what a bare status means; its code is its phrase in snake case."""
    title = title_of(status)
    code = _CODES.get(status) or re.sub(r"[^a-z]+", "_", title.lower())
    return Fault(status=status, code=code, detail=detail or title, headers=headers)


def validation_fault(faults: Sequence[Mapping[str, Any]], *, status: int) -> Fault:
    """Return what the errors of a validation mean, given as Pydantic lists them.

    The input itself is not repeated: it may be a secret, or a megabyte.
    """
    found = len(faults)
    what = "1 field is" if found == 1 else f"{found} fields are"
    return Fault(
        status=status,
        code="validation_failed",
        detail=f"The request is not valid: {what} wrong.",
        fields=tuple(_field_error(fault) for fault in faults[:MAX_FIELD_ERRORS]),
    )


def _field_error(fault: Mapping[str, Any]) -> FieldError:
    location, *path = fault["loc"]
    if fault["type"] == "json_invalid":
        # Its path is the offset where the reader gave up, which is no place in the document.
        detail = f"Not valid JSON at character {path[0]}: {fault['ctx']['error']}"
        return FieldError(path=(), detail=detail, code="json_invalid", location=str(location))
    return FieldError(
        path=tuple(path), detail=fault["msg"], code=fault["type"], location=str(location)
    )


def title_of(status: int) -> str:
    """Return the standard phrase of a status, the same on every version of Python."""
    if status in _RFC_9110_PHRASES:
        return _RFC_9110_PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem_responses(*kinds: type[BaselineError]) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI should say of the errors that an operation may answer with.

    Pass it to a route or a router of an application that `create_app` built, which has the schema:
    `responses=problem_responses(NotFoundError, ItemInStockError)`. Errors that have one status
    become examples of one response.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        fault = fault_of(kind())
        content = {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, "examples": {}}}
        response = responses.setdefault(
            fault.status, {"description": title_of(fault.status), "content": content}
        )
        response["content"][MEDIA_TYPE]["examples"][fault.code] = {
            "summary": fault.detail,
            "value": {"status": fault.status, "code": fault.code, "detail": fault.detail},
        }
    return responses


def rename_fields(fault: Fault, names: Mapping[str, str]) -> Fault:
    """Return the fault with fields of the body called what they are called on the wire."""

    def renamed(field: FieldError) -> FieldError:
        if field.location != "body" or not field.path:
            return field
        first, *rest = field.path
        return replace(field, path=(names.get(str(first), first), *rest))

    return replace(fault, fields=tuple(renamed(field) for field in fault.fields))


class ProblemResponse(Response):
    """A response that describes an error."""

    media_type = MEDIA_TYPE

    def __init__(self, fault: Fault, *, instance: str, request_id: str | None) -> None:
        """Describe `fault`, which happened to the request `request_id` for the path `instance`."""
        content: dict[str, Any] = {
            "type": fault.type,
            "title": fault.title or title_of(fault.status),
            "status": fault.status,
            "detail": fault.detail,
            "instance": instance,
            "code": fault.code,
            "request_id": request_id,
        }
        content |= fault.members or {}
        if fault.fields:
            content["errors"] = [
                {
                    "in": field.location,
                    "pointer": _pointer(field.path),
                    "detail": field.detail,
                    "code": field.code,
                }
                for field in fault.fields
            ]
        # In ASCII, since the name of an unknown field may be half of a surrogate pair.
        super().__init__(
            json.dumps(content, separators=(",", ":")).encode("ascii"),
            status_code=fault.status,
            headers=fault.headers,
        )


def _pointer(path: tuple[str | int, ...]) -> str:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "#" + "".join("/" + quote(part, safe="~", errors="replace") for part in parts)
