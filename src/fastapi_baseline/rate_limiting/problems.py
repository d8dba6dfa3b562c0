"""How a refusal looks: problem details with the types of draft-ietf-httpapi-ratelimit-headers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from fastapi_baseline import context
from fastapi_baseline.errors import TooManyRequestsError
from fastapi_baseline.problems import Fault, ProblemResponse, fault_of
from fastapi_baseline.rate_limiting.decisions import Decision
from fastapi_baseline.rate_limiting.errors import RateLimitUnavailableError

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
REDUCED_CAPACITY = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
CODE = "quota_exceeded"
DETAIL = "Too many requests. Try again after the time that Retry-After says."

_TITLES = {
    QUOTA_EXCEEDED: "Request cannot be satisfied as assigned quota has been exceeded",
    REDUCED_CAPACITY: "Request cannot be satisfied due to temporary server capacity constraints",
}
_PATH_CHARACTERS = "/!$&'()*+,;=:@-._~"  # what a path may hold as it is: RFC 3986, section 3.3
_TRY_AGAIN_LATER = 1013  # registered with IANA for RFC 6455


def answer_refusals(scope: Scope, kind: type[Exception]) -> None:
    """See to it that errors of this kind are answered with a problem, in this application.

    A handler that the service has registered stays; slowapi's own makes room.
    """
    handlers: dict[Any, Any] = scope.get("starlette.exception_handlers", ({}, {}))[0]
    registered = handlers.get(kind)
    if registered is None or str(getattr(registered, "__module__", "")).startswith("slowapi."):
        handlers[kind] = respond_to_refusal


async def respond_to_refusal(connection: HTTPConnection, error: Any) -> Response | None:
    """Answer slowapi's `RateLimitExceeded`, or a limit that cannot be checked, with a problem.

    A WebSocket whose server can send no response is closed before it is accepted.
    """
    scope = connection.scope
    if isinstance(connection, WebSocket) and not _can_respond(scope):
        await connection.close(_TRY_AGAIN_LATER)
        return None
    if isinstance(error, RateLimitUnavailableError):
        return _respond(scope, _unavailable_fault(error.retry_after))
    # slowapi's own text repeats the limit; only one that was written for clients is worth more.
    message = error.detail if getattr(error.limit, "error_message", None) else None
    return _respond(scope, _exceeded_fault(getattr(error, "decision", None), message))


async def refuse(decision: Decision, *, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or the handshake of a WebSocket, that is above a limit.

    Unlike an error that is raised, it leaves no line of its own in the log: refusing must cost
    less than answering, and the access log has its code.
    """
    if scope["type"] == "websocket" and not _can_respond(scope):
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": ""})
        return
    if decision.source == "closed":
        fault = _unavailable_fault(decision.retry_after)
    else:
        fault = _exceeded_fault(decision, None)
    await _respond(scope, fault)(scope, receive, send)


def _can_respond(scope: Scope) -> bool:
    return "websocket.http.response" in (scope.get("extensions") or {})


def _exceeded_fault(decision: Decision | None, message: str | None) -> Fault:
    names = [policy.name for policy in decision.violated] if decision is not None else []
    retry_after = decision.retry_after if decision is not None else None
    return replace(
        fault_of(TooManyRequestsError(message or DETAIL, retry_after=retry_after)),
        code=CODE,
        type=QUOTA_EXCEEDED,
        title=_TITLES[QUOTA_EXCEEDED],
        members={"violated-policies": names},
    )


def _unavailable_fault(retry_after: timedelta | None) -> Fault:
    return replace(
        fault_of(RateLimitUnavailableError(retry_after=retry_after)),
        type=REDUCED_CAPACITY,
        title=_TITLES[REDUCED_CAPACITY],
    )


def _respond(scope: Scope, fault: Fault) -> Response:
    current = context.current()
    if current is not None:
        current.fields["code"] = fault.code
    return ProblemResponse(
        fault,
        instance=quote(scope["path"], safe=_PATH_CHARACTERS),
        request_id=current.request_id if current else None,
    )
