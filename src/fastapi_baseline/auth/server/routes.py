"""The routes of the authorization server.

    app.include_router(make_authorization_server_router())

Clients are added by command (`baseline auth client add`); nobody registers one over the network.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from fastapi_baseline.access import public
from fastapi_baseline.auth.server.application import TOKEN_PATH, AuthorizationServer
from fastapi_baseline.auth.server.authorization import make_authorization_router
from fastapi_baseline.auth.server.end_session import make_end_session_router
from fastapi_baseline.auth.server.grant_routes import make_grants_router
from fastapi_baseline.auth.server.introspection import make_introspection_router
from fastapi_baseline.auth.server.metadata import make_metadata_router
from fastapi_baseline.auth.server.owners import ResourceOwners
from fastapi_baseline.auth.server.protocol.requests import read_form
from fastapi_baseline.auth.server.protocol.responses import ProtocolRoute, make_json_response
from fastapi_baseline.auth.server.revocation import make_revocation_router
from fastapi_baseline.auth.server.userinfo import make_userinfo_router

_FORM = {
    "application/x-www-form-urlencoded": {
        "schema": {
            "type": "object",
            "required": ["grant_type"],
            "properties": {
                "grant_type": {
                    "type": "string",
                    "enum": ["authorization_code", "client_credentials", "refresh_token"],
                },
                "client_id": {"type": "string"},
                "code": {"type": "string"},
                "code_verifier": {"type": "string"},
                "redirect_uri": {"type": "string"},
                "refresh_token": {"type": "string"},
                "scope": {"type": "string"},
            },
        }
    }
}


def make_authorization_server_router(*, owners: ResourceOwners | None = None) -> APIRouter:
    """Return all routes of the authorization server.

    `owners` are the users, if they are not those of `make_users_router`.
    """
    router = APIRouter(tags=["oauth2"], lifespan=_make_lifespan(owners))
    for made in (
        make_token_router(),
        make_authorization_router(),
        make_grants_router(),
        make_metadata_router(),
        make_userinfo_router(),
        make_introspection_router(),
        make_revocation_router(),
        make_end_session_router(),
    ):
        router.include_router(made)
    return router


def make_token_router() -> APIRouter:
    """Return the route at which clients get tokens (RFC 6749, section 3.2)."""
    router = APIRouter(route_class=ProtocolRoute)

    @router.post(
        TOKEN_PATH,
        summary="Exchange a code, a refresh token or the credentials of a client for tokens",
        openapi_extra={"requestBody": {"required": True, "content": _FORM}},
        responses={
            200: {"description": "The tokens (RFC 6749, section 5.1)"},
            400: {"description": "There are none (RFC 6749, section 5.2)"},
            401: {"description": "It is not known which client is asking"},
        },
    )
    @public
    async def exchange_for_tokens(request: Request) -> JSONResponse:
        form = await read_form(request)
        server = AuthorizationServer.of(request)
        return make_json_response(await server.engine.exchange(request.headers, form))

    return router


def _make_lifespan(
    owners: ResourceOwners | None,
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None]:
        if owners is not None:
            app.state.authorization_server.owners = owners
        yield

    return lifespan
