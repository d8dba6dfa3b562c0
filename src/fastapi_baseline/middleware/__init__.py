"""The layers around an application: pure ASGI, one a file; `stack` has their order."""

from fastapi_baseline.middleware.access_log import AccessLogMiddleware
from fastapi_baseline.middleware.cors import make_cors
from fastapi_baseline.middleware.error_boundary import ErrorBoundaryMiddleware
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers
from fastapi_baseline.middleware.request_context import RequestContextMiddleware
from fastapi_baseline.middleware.security_headers import SecurityHeadersMiddleware
from fastapi_baseline.middleware.stack import make_stack

__all__ = [
    "AccessLogMiddleware",
    "ErrorBoundaryMiddleware",
    "RequestContextMiddleware",
    "SecurityHeadersMiddleware",
    "make_cors",
    "make_exception_handlers",
    "make_stack",
]
