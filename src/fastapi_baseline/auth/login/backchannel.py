"""Providers that end sessions by themselves (OpenID Connect Back-Channel Logout 1.0).

They say so with a token that they sign, which no browser carries. It ends the sessions that it
names, of the people whom this provider has signed in, and no others.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.login.application import Login
from fastapi_baseline.auth.login.client import ProviderClient
from fastapi_baseline.auth.login.errors import (
    IdTokenFlaw,
    InvalidIdTokenError,
    ProviderUnavailableError,
)
from fastapi_baseline.auth.login.provider_sessions import EndedSession
from fastapi_baseline.auth.sessions import SessionsUnavailableError
from fastapi_baseline.auth.tokens.errors import InvalidTokenError
from fastapi_baseline.auth.tokens.verification import MAX_TOKEN_LENGTH, read_token
from fastapi_baseline.problems import problem_responses

EVENT = "http://schemas.openid.net/event/backchannel-logout"
"""What `events` of a logout token has (section 2.4)."""

_TYPES = frozenset({"logout+jwt", "jwt", ""})
_FORM = "application/x-www-form-urlencoded"
_FIELD = "logout_token"
# Percent-encoding may make three bytes of one.
_MAX_BODY = 3 * MAX_TOKEN_LENGTH + len(_FIELD) + 1
_MAX_TEXT = 1024
# How long a token may last: how long it is remembered that it was used. Two minutes are usual.
_MAX_LIFETIME = timedelta(hours=24)
_SKEW = timedelta(minutes=2)
_NO_STORE = {"Cache-Control": "no-store"}

_Flaw = IdTokenFlaw | Literal["form", "events", "jti", "replayed", "session", "lifetime"]


class _LogoutTokenError(Exception):
    """The provider, or whoever it is, has sent no logout token that is good."""

    def __init__(self, flaw: _Flaw) -> None:
        super().__init__(flaw)
        self.flaw: _Flaw = flaw


def make_backchannel_router(*, prefix: str = "/auth", tags: list[str] | None = None) -> APIRouter:
    """Return the route at which providers say that somebody has signed out there.

    Tell them its URL as `backchannel_logout_uri`. It is for no browser, and needs no session.
    """
    options: dict[str, Any] = {"prefix": prefix, "tags": [*(tags or ["auth"])]}
    router = APIRouter(**options)
    router.post(
        "/backchannel-logout",
        summary="End the sessions of somebody who has signed out at their provider",
        response_class=Response,
        responses={
            200: {"description": "They have ended, or there were none"},
            400: {"description": "It is no good logout token"},
            **problem_responses(SessionsUnavailableError, ProviderUnavailableError),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    _FORM: {
                        "schema": {
                            "type": "object",
                            "properties": {_FIELD: {"type": "string"}},
                            "required": [_FIELD],
                        }
                    }
                },
            }
        },
    )(receive_logout)
    return router


@public
async def receive_logout(request: Request) -> Response:
    """End the sessions that a logout token names."""
    login = Login.of(request)
    try:
        token = await _read_form(request)
        client = _find_client(login, token)
        claims = await _verify(client, token)
        count = await _end(login, client, claims)
    except (_LogoutTokenError, InvalidIdTokenError) as error:
        await login.report("logout_refused", reason=error.flaw)
        return JSONResponse({"error": "invalid_request"}, 400, headers=_NO_STORE)
    await login.report("logout_received", provider=client.provider.name, sessions=str(count))
    return Response(headers=_NO_STORE)


async def _read_form(request: Request) -> str:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _FORM:
        raise _LogoutTokenError("form")
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > _MAX_BODY:
            raise _LogoutTokenError("form")
    try:
        fields = parse_qsl(received.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        raise _LogoutTokenError("form") from None
    tokens = [value for name, value in fields if name == _FIELD]
    if len(tokens) != 1:
        raise _LogoutTokenError("form")
    return tokens[0]


def _find_client(login: Login, token: str) -> ProviderClient:
    """Return the client of the provider that a token claims to be of; nothing of it is verified."""
    try:
        read = read_token(token.encode(errors="replace"))
    except InvalidTokenError:
        read = None
    if read is None:
        raise _LogoutTokenError("malformed")
    issuer: object = read.claims.get("iss")
    client = login.find_client_by_issuer(issuer) if isinstance(issuer, str) else None
    if client is None:
        raise _LogoutTokenError("issuer")
    return client


async def _verify(client: ProviderClient, token: str) -> Mapping[str, Any]:
    """Return what a logout token says (section 2.6)."""
    claims = await client.id_tokens.read(token, types=_TYPES)
    events: object = claims.get("events")
    if not isinstance(events, dict) or not isinstance(cast("Any", events).get(EVENT), dict):
        raise _LogoutTokenError("events")
    if "nonce" in claims:
        # So that no ID token can be taken for one.
        raise _LogoutTokenError("nonce")
    if claims["exp"] - claims["iat"] > _MAX_LIFETIME.total_seconds():
        raise _LogoutTokenError("lifetime")
    return claims


async def _end(login: Login, client: ProviderClient, claims: Mapping[str, Any]) -> int:
    """End the sessions that a verified token names, and return how many; a token counts once.

    It is noted afterwards that it was used: a provider that is told that it did not work may send
    it again.
    """
    issuer = client.provider.issuer
    mark = _mark_of(issuer, _read_text(claims, "jti", "jti"))
    sid = _read_text(claims, "sid", "session") if "sid" in claims else None
    subject = _read_text(claims, "sub", "session") if "sub" in claims else None
    if await login.store.get(mark) is not None:
        raise _LogoutTokenError("replayed")
    if sid is not None:
        meant = await login.provider_sessions.list_by_sid(issuer, sid)
        if subject is not None and any(one.owner.subject != subject for one in meant):
            raise _LogoutTokenError("session")
        count = await _end_each(login, meant)
    elif subject is not None:
        meant = await login.provider_sessions.list_by_subject(issuer, subject)
        count = await _end_each(login, meant)
        count += await login.sessions.revoke_all(issuer, subject)
    else:
        raise _LogoutTokenError("session")
    over = datetime.fromtimestamp(claims["exp"], UTC) + _SKEW
    lifetime = max(over - login.clock.now(), _SKEW)
    if not await login.store.add_if_absent(mark, "", lifetime=lifetime):
        raise _LogoutTokenError("replayed")
    return count


async def _end_each(login: Login, meant: Sequence[EndedSession]) -> int:
    count = 0
    for session_id, owner in meant:
        count += await login.sessions.revoke(session_id, issuer=owner.issuer, subject=owner.subject)
        await login.provider_sessions.remove(session_id)
    return count


def _read_text(claims: Mapping[str, Any], name: str, flaw: _Flaw) -> str:
    value: object = claims.get(name)
    # What no ID token has had can be no session here either.
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
        raise _LogoutTokenError(flaw)
    return value


def _mark_of(issuer: str, jti: str) -> str:
    return f"logout-token:{sha256(f'{issuer} {jti}'.encode()).hexdigest()}"
