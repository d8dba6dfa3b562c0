"""Whether a request comes from a page of the service itself (cross-site request forgery)."""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request

from fastapi_baseline.auth.sessions.errors import CsrfError
from fastapi_baseline.auth.sessions.form_tokens import FORM_FIELD, is_form_token
from fastapi_baseline.errors import ConfigurationError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Those that change nothing (RFC 9110, section 9.2.1)."""
_TRUSTED_SITES = frozenset({"same-origin", "none"})
_PAGE_SCHEMES = {"ws": "http", "wss": "https"}
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(
    r"(https?)://([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII
)


class CsrfProtection:
    """What a request must show that changes something, or opens a WebSocket, with a session.

    A request that changes something has the header `header`, with any value: a page of another
    site cannot send it without asking first, which CORS refuses. A form, which has no headers of
    its own, has a token instead. And the browser says that it comes from here: by `Sec-Fetch-Site`,
    or else by `Origin`. A WebSocket has no headers either, so its `Origin` must be right.

    The method is that of the request line; headers that name another one are not looked at.
    """

    def __init__(self, *, header: str, trusted_origins: Iterable[str] = ()) -> None:
        """Trust pages of the service's own origin, and of those.

        Raises:
            ConfigurationError: If one of them is no origin.
        """
        self.header = header
        self._trusted = frozenset(parse_origin(origin) for origin in trusted_origins)

    def check(self, connection: HTTPConnection) -> None:
        """Refuse a request that changes something and does not show where it comes from.

        For what has no session yet, such as signing in: another site could sign a user in as
        somebody else.

        Raises:
            CsrfError: If so.
        """
        if _is_harmless(connection):
            return
        self._check_origin(connection)
        if not self._has_header(connection):
            raise CsrfError

    async def check_session(self, connection: HTTPConnection, *, secret: str) -> None:
        """Refuse a request with a session that changes something, and that others may have made.

        `secret` is what is in its cookie. The body is read only if the header is not there.

        Raises:
            CsrfError: If so.
        """
        if _is_harmless(connection):
            return
        self._check_origin(connection)
        if self._has_header(connection):
            return
        token = await _find_form_token(connection)
        if token is None or not is_form_token(token, secret=secret):
            raise CsrfError

    def _has_header(self, connection: HTTPConnection) -> bool:
        return connection.scope["type"] == "websocket" or self.header in connection.headers

    def _check_origin(self, connection: HTTPConnection) -> None:
        headers = connection.headers
        origins = headers.getlist("origin")
        if len(origins) > 1:
            raise CsrfError
        origin = origins[0] if origins else None
        site = headers.get("sec-fetch-site")
        if connection.scope["type"] != "websocket" and site is not None:
            if site in _TRUSTED_SITES or (origin is not None and origin in self._trusted):
                return
            raise CsrfError
        if origin is None or not self._is_own(connection, origin):
            raise CsrfError

    def _is_own(self, connection: HTTPConnection, origin: str) -> bool:
        if origin in self._trusted:
            return True
        try:
            return parse_origin(origin) == _own_origin(
                connection.scope["scheme"], connection.headers
            )
        except ConfigurationError:
            return False


def _is_harmless(connection: HTTPConnection) -> bool:
    scope = connection.scope
    return scope["type"] != "websocket" and scope["method"] in SAFE_METHODS


async def _find_form_token(connection: HTTPConnection) -> str | None:
    content_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not isinstance(connection, Request) or content_type not in _FORMS:
        return None
    # The request remembers its form, so the route gets it, too.
    values = (await connection.form()).getlist(FORM_FIELD)
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


def parse_origin(text: str) -> str:
    """Return an origin as browsers write it (RFC 6454, section 6.2).

    Raises:
        ConfigurationError: If it is none, or a wildcard or `null`, which stand for anybody.
    """
    found = _ORIGIN.fullmatch(text.lower())
    if found is None:
        raise ConfigurationError(
            "An origin is a scheme and a host, and a port if need be: https://shop.example.com"
        )
    scheme, host, port = found.groups()
    number = _DEFAULT_PORTS[scheme] if port is None else int(port)
    return f"{scheme}://{host}" + ("" if number == _DEFAULT_PORTS[scheme] else f":{number}")


def _own_origin(scheme: str, headers: Headers) -> str:
    return parse_origin(f"{_PAGE_SCHEMES.get(scheme, scheme)}://{headers.get('host', '')}")
