"""The routes by which people sign in with a provider."""

from html import escape
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.login.application import CALLBACK_PATH, LOGIN_PATH, Login
from fastapi_baseline.auth.login.backchannel import make_backchannel_router
from fastapi_baseline.auth.login.callback import begin_session
from fastapi_baseline.auth.login.errors import LoginProviderNotFoundError, LoginRefusedError
from fastapi_baseline.auth.login.logout import make_logout_router
from fastapi_baseline.auth.pages import Pages
from fastapi_baseline.auth.return_paths import find_safe_path
from fastapi_baseline.errors import BaselineError

_SEE_OTHER = 303
_MAX_AGE_S = 31_536_000
_HOP = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Signed in</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta http-equiv="refresh" content="0;url={url}"></head>'
    '<body><main><h1>Signed in</h1><p><a href="{url}">Continue</a></p></main></body></html>'
)

_Text = Annotated[str | None, Query(max_length=256)]


def make_login_router() -> APIRouter:
    """Return the routes for who signs in with a provider: begin, come back, sign out."""
    router = APIRouter(tags=["auth"])
    router.get(LOGIN_PATH, include_in_schema=False)(begin_login)
    router.get(CALLBACK_PATH, include_in_schema=False)(end_login)
    router.include_router(make_logout_router())
    router.include_router(make_backchannel_router())
    return router


@public
async def begin_login(
    request: Request,
    *,
    provider: _Text = None,
    return_to: Annotated[str | None, Query()] = None,
    prompt: Annotated[Literal["login", "select_account"] | None, Query()] = None,
    login_hint: _Text = None,
    acr_values: _Text = None,
    max_age: Annotated[int | None, Query(ge=0, le=_MAX_AGE_S)] = None,
) -> Response:
    """Send somebody to their provider to sign in; afterwards they come to `return_to`.

    `provider` is one of the names in the settings, by default the first. `max_age` is how many
    seconds ago they may have proved who they are, `acr_values` how well they have to.
    """
    login = Login.of(request)
    given = {"prompt": prompt, "login_hint": login_hint, "acr_values": acr_values}
    parameters = {name: value for name, value in given.items() if value is not None}
    if max_age is not None:
        parameters["max_age"] = str(max_age)
    try:
        client = login.find_client(provider)
        if client is None:
            raise LoginProviderNotFoundError
        transaction = login.transactions.make(
            provider=client.provider.name,
            return_to=find_safe_path(return_to, login.settings.after_login),
            max_age_s=max_age,
        )
        url = await client.make_authorization_url(
            redirect_uri=login.redirect_uri,
            state=transaction.state,
            nonce=transaction.nonce,
            verifier=transaction.verifier,
            parameters=parameters,
        )
    except BaselineError as error:
        return _show_error(login, request, error)
    response = _redirect(url)
    login.transactions.keep(request, response, transaction)
    return response


@public
async def end_login(request: Request) -> Response:
    """Sign in whoever comes back from their provider, and send them to where they wanted to go."""
    login = Login.of(request)
    # Cookies are put here first: where somebody goes is known at the end only.
    cookies = Response()
    try:
        path = await begin_session(login, request, cookies)
    except BaselineError as error:
        if isinstance(error, LoginRefusedError):
            details = {} if error.detail is None else {"detail": error.detail}
            await login.report("login_refused", reason=error.reason, **details)
        response = _show_error(login, request, error)
    else:
        response = _send_on(login, path)
        for value in cookies.headers.getlist("set-cookie"):
            response.headers.append("set-cookie", value)
    login.transactions.forget(request, response, request.query_params.get("state"))
    return response


def _send_on(login: Login, path: str) -> Response:
    if login.sessions.settings.same_site != "strict":
        return _redirect(path)
    # A browser that comes from another site takes such a cookie to the next page only if a page of
    # this one has sent it there.
    page = _HOP.format(url=escape(path))
    return HTMLResponse(
        page,
        headers={
            **_PRIVATE,
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
        },
    )


# The URL of the callback has a code, and no cache may keep a session.
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _redirect(url: str) -> RedirectResponse:
    return RedirectResponse(url, _SEE_OTHER, headers=_PRIVATE)


def _show_error(login: Login, request: Request, error: BaselineError) -> Response:
    return Pages.of(request).render_error(
        error, continue_url=f"{login.public_url}{LOGIN_PATH}", continue_label="Sign in again"
    )
