"""What the endpoints of the protocol answer: its own JSON (RFC 6749, sections 5.1 and 5.2)."""

import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fastapi_baseline.auth.challenges import make_challenge
from fastapi_baseline.auth.server.errors import InvalidClientError, ProtocolError
from fastapi_baseline.errors import DeadlineExceededError, UnavailableError

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_CHALLENGE = make_challenge("Basic", realm="oauth2")


def make_json_response(body: Mapping[str, Any], *, status: int = 200) -> JSONResponse:
    """Return an answer that no cache keeps."""
    return JSONResponse(dict(body), status, headers=_NO_STORE)


def make_error_response(error: ProtocolError) -> JSONResponse:
    """Return the answer to a request that is refused: 401 if the client is not known, or else 400."""
    body = {"error": error.error, "error_description": error.message}
    if not isinstance(error, InvalidClientError):
        return make_json_response(body, status=400)
    response = make_json_response(body, status=401)
    response.headers["WWW-Authenticate"] = _CHALLENGE
    return response


class ProtocolRoute(APIRoute):
    """A route that refuses as the protocol does, for `APIRouter(route_class=ProtocolRoute)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers requests."""
        answer = super().get_route_handler()

        async def answer_or_refuse(request: Request) -> Response:
            try:
                return await answer(request)
            except ProtocolError as error:
                return make_error_response(error)
            except (UnavailableError, DeadlineExceededError) as error:
                response = make_json_response({"error": "temporarily_unavailable"}, status=503)
                if error.retry_after is not None:
                    seconds = math.ceil(error.retry_after.total_seconds())
                    response.headers["Retry-After"] = str(seconds)
                return response

        return answer_or_refuse
