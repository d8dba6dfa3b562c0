"""What answers errors: handlers for those that are foreseen, and a response for all others."""

import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, get_args
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException  # noqa: TID251 -- here it becomes a problem
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from fastapi_baseline import context, problems
from fastapi_baseline.errors import BaselineError
from fastapi_baseline.middleware.allowed_methods import allowed_methods
from fastapi_baseline.problems import Fault, ProblemResponse

logger = logging.getLogger(__name__)

_PATH_CHARACTERS = "/!$&'()*+,;=:@-._~"  # what a path may hold as it is: RFC 3986, section 3.3

ExceptionHandler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

_BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED}


def make_exception_handlers(*, validation_status: int) -> dict[type[Exception], ExceptionHandler]:
    """Return the handlers of foreseen errors, to be registered by their classes."""

    async def respond_to_validation(request: Request, error: RequestValidationError) -> Response:
        fault = problems.validation_fault(error.errors(), status=validation_status)
        return _describe(request.scope, fault)

    return {
        BaselineError: respond_to_error,
        HTTPException: respond_to_http_exception,
        RequestValidationError: respond_to_validation,
    }


async def respond_to_error(request: Request, error: BaselineError) -> Response:
    """Answer an error of the library or the service, and log those that are not the client's."""
    fault = problems.fault_of(error)
    if fault.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log_unhandled(error)
    elif fault.status > HTTPStatus.INTERNAL_SERVER_ERROR:
        cause = error.__cause__ or error
        logger.warning("%s: %r", error.message, cause, extra={"fields": {"code": error.code}})
    return _describe(request.scope, problems.rename_fields(fault, _wire_names(request.scope)))


async def respond_to_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer an error that was raised as a status, by the framework or by the service."""
    if error.status_code < HTTPStatus.OK or error.status_code in _BODILESS:
        return Response(status_code=error.status_code, headers=error.headers)
    detail = error.detail if isinstance(error.detail, str) else None  # pyright: ignore[reportUnnecessaryIsInstance] -- FastAPI's takes anything
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = allowed_methods(request.scope)
        headers = {**(headers or {}), "Allow": ", ".join(methods)} if methods else headers
    fault = problems.fault_of_status(error.status_code, detail=detail, headers=headers)
    return _describe(request.scope, fault)


async def respond_to_unhandled(request: Request, error: Exception) -> Response:
    """Answer an error that no handler has answered.

    A handler that the application registered for `Exception` or 500 is asked first.
    """
    if isinstance(error, BaselineError):
        return await respond_to_error(request, error)
    log_unhandled(error)
    handler = _last_resort(request.scope)
    if handler is None:
        return _describe(request.scope, problems.internal_fault())
    if inspect.iscoroutinefunction(handler):
        return await handler(request, error)
    return await run_in_threadpool(handler, request, error)


def log_unhandled(error: Exception) -> None:
    """Log an error that is a defect, with its traceback, and note it in the current span.

    Telemetry lies outside of what answers errors, and would see the answer only.
    """
    span = trace.get_current_span()
    if span.is_recording():
        span.record_exception(error)
        span.set_status(StatusCode.ERROR)
    logger.error("Unhandled %s", type(error).__name__, exc_info=error)


def _last_resort(scope: Scope) -> Callable[[Request, Exception], Any] | None:
    handlers: Mapping[Any, Any] = getattr(scope.get("app"), "exception_handlers", {})
    return handlers.get(500) or handlers.get(Exception)


def respond_to_failed_conversation(scope: Scope, error: Exception) -> Response:
    """Describe an error that ended a WebSocket, and log it if it is a defect."""
    if isinstance(error, BaselineError):
        fault = problems.fault_of(error)
        if fault.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _describe(scope, fault)
    log_unhandled(error)
    return _describe(scope, problems.internal_fault())


def _describe(scope: Scope, fault: Fault) -> Response:
    current = context.current()
    if current is not None:
        current.fields["code"] = fault.code
    return ProblemResponse(
        fault,
        instance=quote(scope["path"], safe=_PATH_CHARACTERS),
        request_id=current.request_id if current else None,
    )


def _wire_names(scope: Scope) -> dict[str, str]:
    """Return what the fields of the route's body are called on the wire, where it differs."""
    body = getattr(scope.get("route"), "body_field", None)
    annotation = getattr(getattr(body, "field_info", None), "annotation", None)
    models = [
        kind
        for kind in (annotation, *get_args(annotation))
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    ]
    return {
        name: field.validation_alias
        for model in models
        for name, field in model.model_fields.items()
        if isinstance(field.validation_alias, str)
    }
