"""Forms on pages, also of those who have no session yet.

The forms of a session have a token that is made of its secret. Who has none gets a cookie with a
random secret of its own, which lets nobody in: `__Host-` keeps other hosts from setting it, so that
another site cannot send a form in somebody's name, and sign them in as somebody else.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.exceptions import HTTPException  # noqa: TID251 -- what Starlette raises for a body
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from fastapi_baseline.auth.sessions.cookies import SECRET_BYTES, SessionCookie, encode_secret
from fastapi_baseline.auth.sessions.form_tokens import make_form_token
from fastapi_baseline.errors import InvalidRequestError

FORM_COOKIE = "__Host-form"
_MEDIA_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 32
_MAX_FIELD_SIZE = 16 * 1024
# `lax`: who comes from another site's link keeps the cookie that the form in another tab needs.
_COOKIE = SessionCookie(FORM_COOKIE, same_site="lax")


class InvalidFormError(InvalidRequestError):
    """What was sent is not what a form of a page sends."""

    code = "invalid_form"
    default_message = "The form is not valid. Open the page again."


@dataclass(frozen=True, slots=True)
class PageForm:
    """A form on a page for somebody who has no session: its token, and the cookie it goes with."""

    token: str = field(repr=False)
    """What its field `csrf_token` has."""
    _secret: str | None = field(repr=False)

    def keep(self, response: Response) -> None:
        """Give the browser the cookie with the page, unless it has one."""
        if self._secret is not None:
            _COOKIE.set(response, self._secret)


def open_form(
    connection: HTTPConnection, *, token_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> PageForm:
    """Return a form for the browser of a request; `PageForm.keep` must see the response.

    A browser that has the cookie keeps it, so that forms in several tabs work.

    Raises:
        AmbiguousSessionError: If the request has the cookie twice.
    """
    known = find_form_secret(connection)
    secret = known or encode_secret(token_bytes(SECRET_BYTES))
    token = make_form_token(secret, token_bytes=token_bytes)
    return PageForm(token, secret if known is None else None)


def find_form_secret(connection: HTTPConnection) -> str | None:
    """Return what the token of a form must be made of that this browser sends without a session.

    Raises:
        AmbiguousSessionError: If the request has the cookie twice.
    """
    return _COOKIE.find(connection)


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields that a form has sent; each is there once.

    Raises:
        InvalidFormError: If the body is no form of text, or has a field twice.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _MEDIA_TYPE:
        raise InvalidFormError
    try:
        form = await request.form(max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_SIZE)
    except HTTPException as error:
        if error.status_code != HTTPStatus.BAD_REQUEST:
            # A body that is too large, for one.
            raise
        raise InvalidFormError from error
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    if len(fields) != len(form.multi_items()):
        # Whoever could add one chooses which of them counts.
        raise InvalidFormError
    return fields
