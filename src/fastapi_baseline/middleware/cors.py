"""Which pages of other origins may call the service."""

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from fastapi_baseline.settings import Settings


def make_cors(settings: Settings) -> Middleware | None:
    """Return the CORS layer, or `None` if no origin is allowed: then browsers refuse by default."""
    if not settings.cors_origins:
        return None
    cors = settings.cors
    return Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=cors.allow_methods,
        allow_headers=cors.allow_headers,
        allow_credentials=cors.allow_credentials,
        expose_headers=cors.expose_headers,
        max_age=int(cors.max_age.total_seconds()),
    )
