"""Who may see what operators see, and where: on the service's port, or on one of its own."""

import hmac
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, Depends, FastAPI
from fastapi.params import Depends as Dependency
from pydantic import SecretStr
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection

from fastapi_baseline.app.management_server import serve_beside
from fastapi_baseline.errors import UnauthenticatedError
from fastapi_baseline.lifecycle import StatelessLifespan
from fastapi_baseline.middleware import (
    ErrorBoundaryMiddleware,
    RequestContextMiddleware,
    SecurityHeadersMiddleware,
    make_exception_handlers,
)
from fastapi_baseline.settings import ManagementSettings, Settings

_CHALLENGE = 'Bearer realm="management"'


def is_authorized(connection: HTTPConnection, token: SecretStr | None) -> bool:
    """Return whether a caller has sent the token, compared in constant time."""
    scheme, _, offered = connection.headers.get("authorization", "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    expected = token.get_secret_value().encode("utf-8")
    return hmac.compare_digest(offered.strip().encode("utf-8"), expected)


def add_management(
    internal: APIRouter, settings: Settings, routers: Sequence[APIRouter]
) -> StatelessLifespan | None:
    """Serve what operators see where the settings say, if anywhere.

    That is among the `internal` routes of the service, or on a port of its own.

    Returns:
        What opens and closes a port for it, or `None` if it has none of its own.

    Raises:
        MissingExtraError: If it is to have one, and the server is not installed.
    """
    management = settings.management
    guards = _guards(management)
    if management.port is not None:
        return _on_its_own_port(_application(settings, routers, guards), settings)
    if guards or not settings.is_deployed:
        for router in routers:
            internal.include_router(router, dependencies=guards)
    return None


def _guards(management: ManagementSettings) -> list[Dependency]:
    token = management.token
    if token is None:
        return []

    async def require_token(connection: HTTPConnection) -> None:
        if not is_authorized(connection, token):
            raise UnauthenticatedError(
                "Send the management token as Authorization: Bearer.", challenge=_CHALLENGE
            )

    return [Depends(require_token)]


def _application(
    settings: Settings, routers: Sequence[APIRouter], guards: list[Dependency]
) -> FastAPI:
    app = FastAPI(
        openapi_url=None,
        dependencies=guards,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers={**make_exception_handlers(validation_status=422)},
        middleware=[
            Middleware(RequestContextMiddleware),
            Middleware(SecurityHeadersMiddleware, settings=settings.security_headers),
            Middleware(ErrorBoundaryMiddleware),
        ],
    )
    for router in routers:
        app.include_router(router)
    return app


def _on_its_own_port(app: FastAPI, settings: Settings) -> StatelessLifespan:
    host, port = settings.management.host, settings.management.port or 0
    # What processes of one service share by a file or a folder is named only if there are several.
    is_shared = bool(settings.prometheus_multiproc_dir or settings.log.levels_file)

    def lifespan(service: object) -> AbstractAsyncContextManager[None]:
        del service
        return serve_beside(app, host=host, port=port, is_shared=is_shared)

    return lifespan
