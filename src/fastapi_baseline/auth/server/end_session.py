"""How a client asks to sign its user out of the service (OpenID Connect RP-Initiated Logout).

Who brings the ID token of this very session is believed. Everybody else, such as a picture on a page
of another site, only gets people to see a page that asks them. And nobody is sent anywhere that was
not registered for the client, to the letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fastapi_baseline.access import public
from fastapi_baseline.auth.pages import Pages, find_form_secret, open_form, read_form
from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.metadata import END_SESSION_PATH
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.auth.server.own_tokens import ID_TOKEN, read_own_token
from fastapi_baseline.auth.sessions import CsrfError, Sessions
from fastapi_baseline.auth.sessions.records import SessionRecord
from fastapi_baseline.errors import InvalidRequestError

_PARAMETERS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
_MAX_LENGTH = 16_384
_DECISION = "decision"
_SIGN_OUT = "sign_out"


class InvalidSignOutError(InvalidRequestError):
    """A client asks for something that it may not, or that makes no sense."""

    code = "invalid_sign_out"
    default_message = (
        "The application that sent you here made a mistake, so you are not signed out of anything."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOutRequest:
    """What a client asks for, as it was checked."""

    client: OAuthClient | None
    hint: Mapping[str, Any] | None
    """The claims of its ID token, if it has one of this service."""
    target: str | None
    """Where people are sent in the end, with the state of the client: a registered address."""
    fields: Mapping[str, str]
    """What the page that asks sends once more."""


@public
async def end_session(request: Request) -> Response:
    """Sign a user out whose client asks for it; ask them first, if anybody could have asked."""
    try:
        if request.method == "POST":
            form = await read_form(request)
            if _DECISION in form:
                return await _decide(request, form)
            return await _consider(request, _parameters_of(form))
        return await _consider(request, _parameters_of(_read_once(request.query_params)))
    except (InvalidRequestError, CsrfError) as error:
        return Pages.of(request).render_error(error)


async def _consider(request: Request, parameters: Mapping[str, str]) -> Response:
    """Do what a client asks for, or ask the user."""
    asked = await _check(request, parameters)
    sessions = Sessions.of(request)
    secret = sessions.cookie.find(request)
    if secret is None and request.method == "POST":
        # Cookies are not sent with forms of other sites: as a link, it comes with them.
        return RedirectResponse(f"{END_SESSION_PATH}?{urlencode(parameters)}", 303)
    record = None if secret is None else await sessions.find(secret)
    if record is None and not _may_be_hidden(request, sessions):
        return _finish(request, asked)
    if record is not None and _is_known_by(record, asked.hint):
        response = _finish(request, asked)
        await sessions.end(request, response)
        return response
    return _ask(request, asked)


async def _decide(request: Request, form: Mapping[str, str]) -> Response:
    """Do what a user has decided on the page that asks."""
    asked = await _check(request, _parameters_of(form))
    sessions = Sessions.of(request)
    try:
        await _check_form(request, sessions)
    except CsrfError:
        await sessions.report_csrf()
        raise
    if form[_DECISION] != _SIGN_OUT:
        return _no_store(RedirectResponse("/", 303))
    response = _finish(request, asked)
    await sessions.end(request, response)
    return response


async def _check_form(request: Request, sessions: Sessions) -> None:
    secret = find_form_secret(request)
    if secret is None:
        raise CsrfError
    await sessions.csrf.check_session(request, secret=secret)


async def _check(request: Request, parameters: Mapping[str, str]) -> SignOutRequest:
    """Return what is asked for, as far as it is to be believed.

    Raises:
        InvalidSignOutError: If an address is not registered, or two clients are named.
    """
    server = AuthorizationServer.of(request)
    if server.sessions is None:
        # Programs alone ask for tokens, and nobody signs in.
        raise InvalidSignOutError
    hint = await _read_hint(server, parameters.get("id_token_hint"))
    named = parameters.get("client_id")
    if hint is not None and named not in {None, hint["aud"]}:
        raise InvalidSignOutError
    # An ID token that is not good says nothing, and makes what comes with it doubtful.
    is_doubtful = hint is None and "id_token_hint" in parameters
    client_id: str | None = named if hint is None else hint["aud"]
    client = None
    if client_id is not None and not is_doubtful:
        client = await server.clients.find(client_id)
    address = parameters.get("post_logout_redirect_uri")
    if address is not None and client is not None:
        if address not in client.post_logout_redirect_uris:
            raise InvalidSignOutError
        target = _with_state(address, parameters.get("state"))
    else:
        target = None
    kept = ("post_logout_redirect_uri", "state") if target is not None else ()
    fields = {name: parameters[name] for name in kept if name in parameters}
    if client is not None:
        fields["client_id"] = client.client_id
    return SignOutRequest(client=client, hint=hint, target=target, fields=fields)


async def _read_hint(server: AuthorizationServer, token: str | None) -> Mapping[str, Any] | None:
    """Return the claims of an ID token, also of one that has expired (section 4)."""
    if token is None:
        return None
    return await read_own_token(
        token,
        issuer=server.issuer,
        keys=server.signing_keys,
        clock=server.clock,
        kind=ID_TOKEN,
        may_be_expired=True,
    )


def _is_known_by(record: SessionRecord, hint: Mapping[str, Any] | None) -> bool:
    """Return whether an ID token is of a session: others of the same user are asked about."""
    return hint is not None and (hint.get("sub"), hint.get("sid")) == (record.subject, record.id)


def _may_be_hidden(request: Request, sessions: Sessions) -> bool:
    """Return whether there may be a session whose cookie does not come with a link of others."""
    is_foreign = request.headers.get("sec-fetch-site") == "cross-site"
    return sessions.settings.same_site == "strict" and is_foreign


def _ask(request: Request, asked: SignOutRequest) -> Response:
    # Not with the secret of the session, whose cookie may not have come with a link of others.
    form = open_form(request)
    response = Pages.of(request).render(
        "sign_out",
        action=END_SESSION_PATH,
        form_token=form.token,
        form_targets=() if asked.target is None else (asked.target,),
        client_name=None if asked.client is None else asked.client.name,
        fields=asked.fields,
    )
    form.keep(response)
    return response


def _finish(request: Request, asked: SignOutRequest) -> Response:
    """Return what people see when they are signed out; of all the service tells, `state` alone."""
    if asked.target is not None:
        return _no_store(RedirectResponse(asked.target, 303))
    return Pages.of(request).render("signed_out")


def _no_store(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _with_state(address: str, state: str | None) -> str:
    if state is None:
        return address
    separator = "&" if urlsplit(address).query else "?"
    return f"{address}{separator}{urlencode({'state': state})}"


def _read_once(parameters: QueryParams) -> Mapping[str, str]:
    pairs = parameters.multi_items()
    if len({name for name, _ in pairs}) != len(pairs):
        raise InvalidSignOutError
    return dict(pairs)


def _parameters_of(values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the parameters that are understood; those that are empty count as left out.

    Raises:
        InvalidSignOutError: If one is longer than any of them is.
    """
    found = {name: values[name] for name in _PARAMETERS if values.get(name)}
    if any(len(value) > _MAX_LENGTH for value in found.values()):
        raise InvalidSignOutError
    return found


def make_end_session_router() -> APIRouter:
    """Return the routes by which clients sign their users out."""
    router = APIRouter(include_in_schema=False)
    router.get(END_SESSION_PATH, name="end_session")(end_session)
    router.post(END_SESSION_PATH, name="post_end_session")(end_session)
    return router
