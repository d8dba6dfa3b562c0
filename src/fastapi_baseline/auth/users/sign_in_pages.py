"""The pages on which users sign in: password, second factor, and where they are when signed out.

They go through `SignIn`, as the routes for scripts do: the same throttles, and the same refusals.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.pages import PageName, Pages, make_pages, open_form, read_form
from fastapi_baseline.auth.return_paths import find_safe_path
from fastapi_baseline.auth.sessions import CsrfError
from fastapi_baseline.auth.users import schemas
from fastapi_baseline.auth.users.second_factor_errors import SignInExpiredError
from fastapi_baseline.auth.users.self_service import CurrentSelfService
from fastapi_baseline.errors import (
    BaselineError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnprocessableError,
)
from fastapi_baseline.problems import fault_of, status_of
from fastapi_baseline.settings import Settings

SIGN_IN_PATH = "/sign-in"
CODE_PATH = "/sign-in/code"
SIGNED_OUT_PATH = "/signed-out"

ReturnTargets = Callable[[HTTPConnection, str], Awaitable[Iterable[str]]]
"""Returns where a path of the service may send a browser on; `app.state.return_targets` is one."""

_ReturnTo = Annotated[str | None, Query(description="Where to go then: a path of the service")]
_Email = Annotated[str | None, Query(description="What the field for the address begins with")]

# What people can do something about on the page itself. All else has a page of its own.
_FOR_THE_FORM = (
    CsrfError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnprocessableError,
)


class EmptyFieldError(UnprocessableError):
    """A field of a form is empty, or longer than anything that is compared."""

    code = "empty_field"
    default_message = "Fill in the form."


def make_sign_in_pages_router() -> APIRouter:
    """Return the pages on which users sign in, for an application with users of its own.

    They are `/sign-in`, `/sign-in/code` and `/signed-out`; none is in the OpenAPI document. When the
    application starts, its `app.state.pages` are made of its settings, unless it has some.
    """
    router = APIRouter(include_in_schema=False, lifespan=_open_pages)
    router.get(SIGN_IN_PATH)(show_sign_in)
    router.post(SIGN_IN_PATH)(sign_in)
    router.get(CODE_PATH)(show_code)
    router.post(CODE_PATH)(enter_code)
    router.get(SIGNED_OUT_PATH)(show_signed_out)
    return router


@asynccontextmanager
async def _open_pages(app: Any) -> AsyncGenerator[None]:
    if not hasattr(app.state, "pages"):
        app.state.pages = make_pages(app.state.baseline_settings)
    yield


@public
async def show_sign_in(
    request: Request, return_to: _ReturnTo = None, email: _Email = None
) -> Response:
    """Show the form for address and password, also to who has a session: they may be asked again."""
    known = email if email is not None and _fits(email, schemas.MAX_EMAIL) else ""
    return await _show_form(request, "sign_in", return_to=return_to, email=known)


@public
async def sign_in(request: Request, service: CurrentSelfService) -> Response:
    """Sign in with a password, or go on to the second factor."""
    return await _answering(request, _sign_in(request, service))


@public
async def show_code(request: Request, return_to: _ReturnTo = None) -> Response:
    """Show the form for the code of the second factor."""
    return await _show_form(request, "second_factor", return_to=return_to)


@public
async def enter_code(request: Request, service: CurrentSelfService) -> Response:
    """Finish signing in with a code."""
    return await _answering(request, _enter_code(request, service))


@public
async def show_signed_out(request: Request) -> Response:
    """Tell somebody that they have signed out."""
    return Pages.of(request).render(
        "signed_out", continue_url=_at(request, SIGN_IN_PATH), continue_label="Sign in again"
    )


async def _sign_in(request: Request, service: CurrentSelfService) -> Response:
    fields = await read_form(request)
    return_to = fields.get("return_to")
    email, password = fields.get("email", "").strip(), fields.get("password", "")
    response = RedirectResponse(_safe(request, return_to), HTTPStatus.SEE_OTHER)
    try:
        if not (_fits(email, schemas.MAX_EMAIL) and _fits(password, schemas.MAX_PASSWORD)):
            raise EmptyFieldError("Enter your e-mail address and your password.")
        outcome = await service.sign_in.with_password(
            request, response, email=email, password=password
        )
    except _FOR_THE_FORM as error:
        return await _show_form(request, "sign_in", return_to=return_to, error=error, email=email)
    if outcome.status == "second_factor_required":
        response.headers["Location"] = _at(request, CODE_PATH, return_to=return_to)
    return _unkept(response)


async def _enter_code(request: Request, service: CurrentSelfService) -> Response:
    fields = await read_form(request)
    return_to = fields.get("return_to")
    code = fields.get("code", "").strip()
    response = RedirectResponse(_safe(request, return_to), HTTPStatus.SEE_OTHER)
    try:
        if not _fits(code, schemas.MAX_CODE):
            raise EmptyFieldError("Enter the code.")
        await service.sign_in.with_code(request, response, code=code)
    except SignInExpiredError as error:
        return await _show_form(request, "sign_in", return_to=return_to, error=error)
    except _FOR_THE_FORM as error:
        return await _show_form(request, "second_factor", return_to=return_to, error=error)
    return _unkept(response)


async def _answering(request: Request, answer: Awaitable[Response]) -> Response:
    """Return an answer, or the page for the error that it ended with, if it is the asker's."""
    try:
        return await answer
    except BaselineError as error:
        if status_of(error) == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return Pages.of(request).render_error(
            error, continue_url=_at(request, SIGN_IN_PATH), continue_label="Sign in"
        )


async def _show_form(
    request: Request,
    name: PageName,
    *,
    return_to: str | None,
    error: BaselineError | None = None,
    **values: Any,
) -> Response:
    fault = None if error is None else fault_of(error)
    destination = _safe(request, return_to)
    find_targets: ReturnTargets | None = getattr(request.app.state, "return_targets", None)
    targets = () if find_targets is None else await find_targets(request, destination)
    form = open_form(request)
    path = SIGN_IN_PATH if name == "sign_in" else CODE_PATH
    page = Pages.of(request).render(
        name,
        status=HTTPStatus.OK if fault is None else fault.status,
        headers=None if fault is None else fault.headers,
        form_targets=targets,
        action=_at(request, path),
        form_token=form.token,
        return_to=destination,
        error=None if fault is None else fault.detail,
        **values,
    )
    form.keep(page)
    return page


def _safe(request: Request, return_to: str | None) -> str:
    settings: Settings = request.app.state.baseline_settings
    return find_safe_path(return_to, settings.auth.login.after_login)


def _at(request: Request, path: str, *, return_to: str | None = None) -> str:
    """Return the path of a page, as the browser knows it."""
    query: Mapping[str, str] = {} if return_to is None else {"return_to": return_to}
    address = f"{request.scope.get('root_path', '')}{path}"
    return f"{address}?{urlencode(query)}" if query else address


def _unkept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _fits(text: str, max_length: int) -> bool:
    return 0 < len(text) <= max_length
