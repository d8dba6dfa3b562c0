"""Answers to clients that name what they already have (RFC 9110, section 13)."""

from fastapi_baseline.middleware.conditional_requests.layer import ConditionalRequestsMiddleware

__all__ = ["ConditionalRequestsMiddleware"]
