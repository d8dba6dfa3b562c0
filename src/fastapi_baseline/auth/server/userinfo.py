"""What a client learns of a user who has let it (OpenID Connect Core, section 5.3)."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.challenges import make_challenge
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.errors import ProtocolError
from fastapi_baseline.auth.server.metadata import USERINFO_PATH
from fastapi_baseline.auth.server.own_tokens import ACCESS_TOKEN, is_of_user, read_own_token
from fastapi_baseline.auth.server.protocol.requests import read_form
from fastapi_baseline.auth.server.protocol.responses import ProtocolRoute, make_json_response

_BEARER = "bearer"
_FIELD = "access_token"
_FORM = "application/x-www-form-urlencoded"
_REALM = "oauth2"
_Refusal = Literal["invalid_request", "invalid_token", "insufficient_scope"]
_STATUSES: Mapping[_Refusal, int] = {
    "invalid_request": 400,
    "invalid_token": 401,
    "insufficient_scope": 403,
}
_DESCRIPTIONS: Mapping[_Refusal, str] = {
    "invalid_request": "Send one access token, once, in the header or in the form.",
    "invalid_token": "The access token is not good, or its user has taken it back.",
    "insufficient_scope": "The access token is not for openid.",
}


@public
async def show_userinfo(request: Request) -> Response:
    """Tell a client of the user whom its access token is for, by the scopes of the token."""
    try:
        token = await _find_token(request)
    except ProtocolError:
        return _refuse("invalid_request")
    if token is None:
        # Nothing is wrong yet, so no error is named (RFC 6750, section 3.1).
        challenge = {"WWW-Authenticate": make_challenge("Bearer", realm=_REALM)}
        return JSONResponse({}, 401, headers={**challenge, "Cache-Control": "no-store"})
    server = AuthorizationServer.of(request)
    claims = await read_own_token(
        token,
        issuer=server.issuer,
        keys=server.signing_keys,
        clock=server.clock,
        kind=ACCESS_TOKEN,
    )
    if claims is None or not is_of_user(claims):
        return _refuse("invalid_token")
    scopes = frozenset(str(claims.get("scope", "")).split(" "))
    if "openid" not in scopes:
        return _refuse("insufficient_scope")
    told = await _describe_owner(server, claims, scopes)
    return _refuse("invalid_token") if told is None else make_json_response(told)


async def _describe_owner(
    server: AuthorizationServer, claims: Mapping[str, Any], scopes: frozenset[str]
) -> dict[str, Any] | None:
    """Return what is told of a user, or `None` if they have taken it back, or may not sign in."""
    grant = await server.grants.find(claims["grant"])
    if grant is None or not grant.is_good(server.clock.now()):
        return None
    owner = await server.find_owner(claims["sub"])
    if owner is None or not owner.is_active:
        return None
    return owner.claims_for(scopes)


async def _find_token(request: Request) -> str | None:
    """Return the token of a request, from its header or its form (RFC 6750, 2.1 and 2.2).

    One in the URL, where logs have it, is refused.

    Raises:
        ProtocolError: If there is more than one, or it is where none belongs.
    """
    headers = request.headers.getlist("authorization")
    if len(headers) > 1 or _FIELD in request.query_params:
        raise ProtocolError
    in_header: str | None = None
    if headers:
        scheme, _, rest = headers[0].partition(" ")
        if scheme.lower() != _BEARER:
            return None
        in_header = rest.strip(" ")
    in_form: str | None = None
    if request.method == "POST" and _has_form(request):
        in_form = (await read_form(request)).get(_FIELD)
    if in_header is not None and in_form is not None:
        raise ProtocolError
    return in_header if in_form is None else in_form


def _has_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith(_FORM)


def _refuse(error: _Refusal) -> Response:
    description = _DESCRIPTIONS[error]
    response = make_json_response(
        {"error": error, "error_description": description}, status=_STATUSES[error]
    )
    more = {"scope": "openid"} if error == "insufficient_scope" else {}
    response.headers["WWW-Authenticate"] = make_challenge(
        "Bearer", realm=_REALM, error=error, error_description=description, **more
    )
    return response


_RESPONSES: Mapping[int | str, dict[str, Any]] = {
    200: {"description": "What is told of the user (OpenID Connect Core, section 5.3.2)"},
    400: {"description": "There is more than one token, or it is in the URL"},
    401: {"description": "There is no token, or it is not good"},
    403: {"description": "The token is not for `openid`"},
}


def make_userinfo_router() -> APIRouter:
    """Return the routes that tell of users."""
    router = APIRouter(route_class=ProtocolRoute)
    summary = "Tell a client of the user whom its access token is for"
    for add, name in ((router.get, "show_userinfo"), (router.post, "post_userinfo")):
        add(USERINFO_PATH, name=name, summary=summary, responses={**_RESPONSES})(show_userinfo)
    return router
