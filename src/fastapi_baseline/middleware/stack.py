"""The order of the layers, as one list."""

from collections.abc import Collection

from starlette.middleware import Middleware

from fastapi_baseline.clock import Clock
from fastapi_baseline.middleware.access_log import AccessLogMiddleware
from fastapi_baseline.middleware.cors import make_cors
from fastapi_baseline.middleware.error_boundary import ErrorBoundaryMiddleware
from fastapi_baseline.middleware.request_context import RequestContextMiddleware
from fastapi_baseline.middleware.security_headers import SecurityHeadersMiddleware
from fastapi_baseline.settings import Settings


def make_stack(
    settings: Settings,
    *,
    clock: Clock,
    pages: Collection[str] = (),
    silent_paths: Collection[str] = (),
) -> list[Middleware]:
    """Return the layers, from the outside in.

    What gives a response its headers is outside of what makes error responses, so that a 500 has
    them too.
    """
    headers = settings.security_headers
    layers = [
        Middleware(RequestContextMiddleware),
        Middleware(AccessLogMiddleware, clock=clock, silent_paths=silent_paths),
        Middleware(SecurityHeadersMiddleware, settings=headers, pages=pages)
        if headers.enabled
        else None,
        make_cors(settings),
        Middleware(ErrorBoundaryMiddleware),
    ]
    return [layer for layer in layers if layer is not None]
