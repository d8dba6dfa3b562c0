"""What a token is good for, for who may know it (RFC 7662).

A client may ask about its own tokens, and an API that was registered for it (`may_introspect`) about
access tokens that are for it. Whoever else asks is told the same as of a token that is none.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.errors import ProtocolError
from fastapi_baseline.auth.server.metadata import INTROSPECT_PATH
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.auth.server.own_credentials import (
    TOKEN_BODY,
    FoundAccessToken,
    FoundRefreshToken,
    find_credential,
)
from fastapi_baseline.auth.server.protocol.requests import read_form
from fastapi_baseline.auth.server.protocol.responses import ProtocolRoute, make_json_response

_INACTIVE: Mapping[str, Any] = {"active": False}
# What an access token says that is about its client and user; the rest is for those who made it.
_TOLD = (
    *("iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti"),
    *("auth_time", "acr", "amr", "roles", "sid"),
)


@public
async def introspect_token(request: Request) -> Response:
    """Say whether a token is good, and what for."""
    server = AuthorizationServer.of(request)
    form = await read_form(request)
    # A public client is anybody, who could try out what they have found.
    client = await server.engine.authenticate(request.headers, form, allows_public=False)
    if "token" not in form:
        raise ProtocolError
    found = await find_credential(server, form["token"])
    if isinstance(found, FoundRefreshToken):
        return make_json_response(_describe_refresh_token(server, found, client))
    if found is None or not _may_know(server, found, client):
        return make_json_response(_INACTIVE)
    if not await _is_good(server, found):
        return make_json_response(_INACTIVE)
    told = {name: found.claims[name] for name in _TOLD if name in found.claims}
    return make_json_response({"active": True, "token_type": "Bearer", **told})


def _may_know(server: AuthorizationServer, found: FoundAccessToken, client: OAuthClient) -> bool:
    if found.client_id == client.client_id:
        return True
    audience: str | list[str] = found.claims["aud"]
    meant = {audience} if isinstance(audience, str) else {*audience}
    return client.may_introspect and bool(meant.intersection(client.audiences or server.audiences))


async def _is_good(server: AuthorizationServer, found: FoundAccessToken) -> bool:
    """Return whether what a token came of is still good, whatever the token itself says."""
    if found.grant_id is None:
        return await server.clients.find(found.client_id) is not None
    grant = await server.grants.find(found.grant_id)
    return grant is not None and grant.is_good(server.clock.now())


def _describe_refresh_token(
    server: AuthorizationServer, found: FoundRefreshToken, client: OAuthClient
) -> Mapping[str, Any]:
    token, grant, now = found.token, found.grant, server.clock.now()
    is_good = token.used_at is None and now < token.expires_at and grant.is_good(now)
    if grant.client_id != client.client_id or not is_good:
        return _INACTIVE
    return {
        "active": True,
        # So that no API takes it for an access token.
        "token_use": "refresh_token",
        "client_id": grant.client_id,
        "scope": " ".join(grant.scopes),
        "sub": grant.subject,
        "iss": server.issuer,
        "iat": _seconds(token.issued_at),
        "exp": _seconds(min(token.expires_at, grant.expires_at)),
    }


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def make_introspection_router() -> APIRouter:
    """Return the route that says what tokens are good for."""
    router = APIRouter(route_class=ProtocolRoute)
    router.post(
        INTROSPECT_PATH,
        summary="Say whether a token is good, and what for",
        openapi_extra={**TOKEN_BODY},
        responses={
            200: {"description": "What it is good for (RFC 7662, section 2.2)"},
            400: {"description": "The request makes no sense (RFC 6749, section 5.2)"},
            401: {"description": "It is not known which client is asking"},
        },
    )(introspect_token)
    return router
