"""The layers around an application: pure ASGI, one a file; `stack` has their order."""

from fastapi_baseline.middleware.access_log import AccessLogMiddleware, Exchange, RequestObserver
from fastapi_baseline.middleware.body_limit import BodyLimitMiddleware
from fastapi_baseline.middleware.compression import CompressionMiddleware
from fastapi_baseline.middleware.conditional_requests import ConditionalRequestsMiddleware
from fastapi_baseline.middleware.cors import make_cors
from fastapi_baseline.middleware.deadline import DeadlineMiddleware
from fastapi_baseline.middleware.draining import DrainingMiddleware
from fastapi_baseline.middleware.error_boundary import ErrorBoundaryMiddleware
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers
from fastapi_baseline.middleware.load_shedding import LoadSheddingMiddleware
from fastapi_baseline.middleware.request_context import RequestContextMiddleware
from fastapi_baseline.middleware.security_headers import SecurityHeadersMiddleware
from fastapi_baseline.middleware.stack import Stack, StackChange, is_layer, make_stack
from fastapi_baseline.middleware.trusted_hosts import TrustedHostsMiddleware
from fastapi_baseline.middleware.trusted_proxies import TrustedProxiesMiddleware

__all__ = [
    "AccessLogMiddleware",
    "BodyLimitMiddleware",
    "CompressionMiddleware",
    "ConditionalRequestsMiddleware",
    "DeadlineMiddleware",
    "DrainingMiddleware",
    "ErrorBoundaryMiddleware",
    "Exchange",
    "LoadSheddingMiddleware",
    "RequestContextMiddleware",
    "RequestObserver",
    "SecurityHeadersMiddleware",
    "Stack",
    "StackChange",
    "TrustedHostsMiddleware",
    "TrustedProxiesMiddleware",
    "is_layer",
    "make_cors",
    "make_exception_handlers",
    "make_stack",
]
