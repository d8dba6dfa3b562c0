"""How a client gives a token back (RFC 7009).

A refresh token ends with all that came of the same grant, and so does an access token of a user:
who gives one of them back has no use for the others. Where access tokens are only verified, one
that was issued is good to its end, which is near.
"""

from typing import ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.errors import InvalidGrantError, ProtocolError
from fastapi_baseline.auth.server.metadata import REVOKE_PATH
from fastapi_baseline.auth.server.own_credentials import (
    TOKEN_BODY,
    FoundRefreshToken,
    find_credential,
)
from fastapi_baseline.auth.server.protocol.requests import read_form
from fastapi_baseline.auth.server.protocol.responses import ProtocolRoute, make_json_response


class UnsupportedTokenTypeError(ProtocolError):
    """A token is of a kind that cannot be given back."""

    error: ClassVar[str] = "unsupported_token_type"
    default_message = "An access token that a client has for itself lasts until it expires."


@public
async def revoke_token(request: Request) -> Response:
    """End a token and all that came of the same grant; one that is none has ended already."""
    server = AuthorizationServer.of(request)
    form = await read_form(request)
    client = await server.engine.authenticate(request.headers, form)
    if "token" not in form:
        raise ProtocolError
    found = await find_credential(server, form["token"])
    if found is None:
        return make_json_response({})
    if found.client_id != client.client_id:
        # It learns nothing: it has the token, and cannot use it.
        raise InvalidGrantError
    grant_id = found.grant.id if isinstance(found, FoundRefreshToken) else found.grant_id
    if grant_id is None:
        raise UnsupportedTokenTypeError
    if await server.grants.revoke(grant_id, reason="by_client", client_id=client.client_id):
        details = {"client": client.client_id, "grant": grant_id}
        await server.events.record(
            SecurityEvent(name="token_revoked", outcome="success", details=details)
        )
    return make_json_response({})


def make_revocation_router() -> APIRouter:
    """Return the route by which tokens are given back."""
    router = APIRouter(route_class=ProtocolRoute)
    router.post(
        REVOKE_PATH,
        summary="End a token, and all that came of the same grant",
        openapi_extra={**TOKEN_BODY},
        responses={
            200: {"description": "It has ended, or was none"},
            400: {"description": "The request makes no sense (RFC 6749, section 5.2)"},
            401: {"description": "It is not known which client is asking"},
        },
    )(revoke_token)
    return router
