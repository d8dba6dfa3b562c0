"""Signing out here and at the provider (OpenID Connect RP-Initiated Logout 1.0)."""

import base64
import secrets
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.encryption import KeyRing, UndecryptableError
from fastapi_baseline.auth.login.application import Login
from fastapi_baseline.auth.login.errors import ProviderUnavailableError
from fastapi_baseline.auth.login.provider_sessions import ProviderSession
from fastapi_baseline.auth.login.store import LoginStore
from fastapi_baseline.auth.sessions import (
    AmbiguousSessionError,
    CsrfError,
    Sessions,
    SessionsUnavailableError,
)
from fastapi_baseline.auth.sessions.records import SessionRecord
from fastapi_baseline.problems import problem_responses

_SEE_OTHER = 303
_PATH = "/logout"
_HANDLE_BYTES = 32
_STATE_BYTES = 16
_HANDLE_LIFETIME = timedelta(minutes=1)
_HANDLE_LENGTH = 43
_PURPOSE = "logout"
# Longer ones make URLs that not every server takes.
_MAX_HINT_LENGTH = 4096
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def make_logout_router(
    *,
    prefix: str = "/auth",
    tags: list[str] | None = None,
    token_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> APIRouter:
    """Return the routes by which somebody signs out here and at their provider.

    A form is sent on to the provider. A script is told where to send the browser, since it cannot
    follow a redirect to another site: that is a URL here, good for once, so that no page gets to see
    the ID token by which the provider recognises the session.
    """
    options: dict[str, Any] = {"prefix": prefix, "tags": [*(tags or ["auth"])]}
    router = APIRouter(**options)

    @router.post(
        _PATH,
        summary="Sign out, here and at the provider",
        status_code=_SEE_OTHER,
        response_class=Response,
        responses={
            200: {"description": "Where to send the browser, as `redirect_to`; for scripts"},
            303: {"description": "To the provider, or to where people go who have signed out"},
            **problem_responses(AmbiguousSessionError, CsrfError, SessionsUnavailableError),
        },
    )
    @public
    async def log_out(request: Request) -> Response:
        login = Login.of(request)
        url = await _end_session(login, request, token_bytes)
        response = await _answer(login, request, url, path=f"{prefix}{_PATH}", random=token_bytes)
        login.sessions.cookie.delete(response)
        return response

    @router.get(f"{_PATH}/{{handle}}", include_in_schema=False)
    @public
    async def go_on(handle: str, request: Request) -> Response:
        login = Login.of(request)
        url = await _take(login.store, handle)
        return _redirect(url or login.settings.after_logout)

    return router


async def _end_session(
    login: Login, request: Request, token_bytes: Callable[[int], bytes]
) -> str | None:
    """End the session of a request, and return where its provider lets people sign out."""
    sessions = login.sessions
    secret = sessions.cookie.find(request)
    if secret is None:
        return None
    await _check_csrf(sessions, request, secret)
    record = await sessions.find(secret)
    # Tokens first: a session that goes on without them is noticed, and the reverse is not.
    tokens = None if record is None else await login.provider_sessions.remove(record.id)
    await sessions.end(request, Response())
    if record is None:
        return None
    return await _find_url(login, record, tokens, state=_encode(token_bytes(_STATE_BYTES)))


async def _check_csrf(sessions: Sessions, request: Request, secret: str) -> None:
    try:
        await sessions.csrf.check_session(request, secret=secret)
    except CsrfError:
        await sessions.report_csrf()
        raise


async def _find_url(
    login: Login, record: SessionRecord, tokens: ProviderSession | None, *, state: str
) -> str | None:
    client = login.find_client_by_issuer(record.issuer)
    if client is None:
        return None
    hint = None if tokens is None else tokens.id_token
    if hint is not None and len(hint) > _MAX_HINT_LENGTH:
        hint = None
    try:
        return await client.find_logout_url(
            id_token=hint, return_url=_return_url_of(login), state=state
        )
    except ProviderUnavailableError:
        # Here they have signed out, which is all that anybody here can do.
        return None


def _return_url_of(login: Login) -> str:
    url = login.settings.after_logout
    return f"{login.public_url}{url}" if url.startswith("/") else url


async def _answer(
    login: Login, request: Request, url: str | None, *, path: str, random: Callable[[int], bytes]
) -> Response:
    if login.sessions.csrf.header not in request.headers:
        return _redirect(url or login.settings.after_logout)
    target = login.settings.after_logout
    if url is not None:
        handle = _encode(random(_HANDLE_BYTES))
        await _keep(login.store, handle, url)
        target = f"{login.public_url}{path}/{handle}"
    return JSONResponse({"redirect_to": target}, headers=_PRIVATE)


def _redirect(url: str) -> Response:
    return RedirectResponse(url, _SEE_OTHER, headers=_PRIVATE)


async def _keep(store: LoginStore, handle: str, url: str) -> None:
    # The handle is the key as well, so that only who has it can read where it leads.
    value = KeyRing([handle]).encrypt(url, owner=_PURPOSE)
    await store.add_if_absent(_key_of(handle), value, lifetime=_HANDLE_LIFETIME)


async def _take(store: LoginStore, handle: str) -> str | None:
    if len(handle) != _HANDLE_LENGTH:
        return None
    value = await store.take(_key_of(handle))
    try:
        return None if value is None else KeyRing([handle]).decrypt(value, owner=_PURPOSE)
    except UndecryptableError:
        return None


def _key_of(handle: str) -> str:
    return f"logout:{sha256(handle.encode(errors='replace')).hexdigest()}"


def _encode(random: bytes) -> str:
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode("ascii")
