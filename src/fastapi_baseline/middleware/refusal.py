"""How a layer refuses a request by itself, where no error boundary is outside of it."""

from typing import Any
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from fastapi_baseline import context, problems
from fastapi_baseline.errors import BaselineError
from fastapi_baseline.problems import ProblemResponse

_PATH_CHARACTERS = "/!$&'()*+,;=:@-._~"  # what a path may hold as it is: RFC 3986, section 3.3
_POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


async def refuse(error: BaselineError, *, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or the handshake of a WebSocket, with a problem.

    Unlike an error that is raised, it leaves no line of its own in the log: refusing must cost
    less than answering, and the access log has its code.
    """
    fault = problems.fault_of(error)
    current = context.current()
    if current is not None:
        current.fields["code"] = fault.code
    extensions: dict[str, Any] = scope.get("extensions") or {}
    if scope["type"] == "websocket" and "websocket.http.response" not in extensions:
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})
        return
    response = ProblemResponse(
        fault,
        instance=quote(scope["path"], safe=_PATH_CHARACTERS),
        request_id=current.request_id if current else None,
    )
    await response(scope, receive, send)
