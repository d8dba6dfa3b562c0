"""Which pages of other origins may call the server: those of public clients, and nothing else.

A client that runs in a browser fetches its tokens itself, so its pages must be allowed to. They are
where its redirect URIs are. What people see, and what is done with a session, is for no other page.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.auth.server.application import AuthorizationServer
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.auth.sessions.csrf import parse_origin
from fastapi_baseline.errors import BaselineError, ConfigurationError

logger = logging.getLogger(__name__)

METHODS: Mapping[str, tuple[str, ...]] = {
    "/.well-known/oauth-authorization-server": ("GET",),
    "/.well-known/openid-configuration": ("GET",),
    "/oauth2/jwks": ("GET",),
    "/oauth2/revoke": ("POST",),
    "/oauth2/token": ("POST",),
    "/oauth2/userinfo": ("GET", "POST"),
}
"""What pages of clients may call, and how."""

MAX_AGE = timedelta(minutes=1)
"""How long a process believes what it knows of the clients."""

RawHeader = tuple[bytes, bytes]

_METHOD = "Access-Control-Request-Method"
_HEADERS = "Access-Control-Request-Headers"
_ALLOWED = frozenset({"authorization", "content-type"})
_PREFLIGHT_MAX_AGE = timedelta(minutes=10)
_OWN = b"access-control-"
_VARY = b"vary"


class ClientOrigins:
    """The origins of the pages of public clients, read again after a minute."""

    def __init__(self, server: AuthorizationServer) -> None:
        """Ask the clients of this server."""
        self._server = server
        self._origins: frozenset[str] = frozenset()
        self._read_at: float | None = None
        self._lock = asyncio.Lock()

    async def has(self, origin: str) -> bool:
        """Return whether a client has pages there; not of one that nobody can ask about now."""
        if self._is_stale():
            async with self._lock:
                if self._is_stale():
                    await self._read()
        return origin in self._origins

    def _is_stale(self) -> bool:
        now = self._server.clock.monotonic()
        return self._read_at is None or now - self._read_at >= MAX_AGE.total_seconds()

    async def _read(self) -> None:
        try:
            self._origins = find_origins(await self._server.clients.list())
        except BaselineError as error:
            logger.warning("It could not be read which clients there are: %r", error)
        # Also then: who asks meanwhile does not wait for the same.
        self._read_at = self._server.clock.monotonic()


class ClientCorsMiddleware:
    """Lets pages of public clients call the endpoints for them, without cookies.

    It stands outside of the layer for `CORS_ORIGINS`, which has no say about these endpoints.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`; its state has the server."""
        self._app = app
        self._origins: ClientOrigins | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        methods = METHODS.get(_path_of(scope)) if scope["type"] == "http" else None
        origins = None if methods is None else self._origins_for(scope)
        if methods is None or origins is None:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        added = _added(origin) if origin is not None and await origins.has(origin) else []
        if scope["method"] == "OPTIONS" and _METHOD in headers:
            await _answer_preflight(headers, methods, added)(scope, receive, send)
            return

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _merged(message.get("headers", ()), added)
            await send(message)

        await self._app(scope, receive, send_shared)

    def _origins_for(self, scope: Scope) -> ClientOrigins | None:
        if self._origins is None:
            server = getattr(scope["app"].state, "authorization_server", None)
            self._origins = None if server is None else ClientOrigins(server)
        return self._origins


def find_origins(clients: Iterable[OAuthClient]) -> frozenset[str]:
    """Return the origins of the pages to which public clients have codes sent."""
    return frozenset(
        origin
        for client in clients
        if client.is_public
        for uri in client.redirect_uris
        if (origin := _find_origin(uri)) is not None
    )


def _find_origin(uri: str) -> str | None:
    parts = urlsplit(uri)
    try:
        return parse_origin(f"{parts.scheme}://{parts.netloc}")
    except ConfigurationError:
        return None  # An app is called by its scheme, and has no pages.


def _path_of(scope: Scope) -> str:
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root.rstrip("/"))


def _added(origin: str) -> list[RawHeader]:
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"WWW-Authenticate"),
    ]


def _answer_preflight(
    headers: Headers, methods: Sequence[str], added: Sequence[RawHeader]
) -> Response:
    """Return whether a browser may send what it asks about (Fetch, section 3.3): it is told by headers."""
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    response.headers["Vary"] = f"Origin, {_METHOD}, {_HEADERS}"
    asked = {one.strip().lower() for one in headers.get(_HEADERS, "").split(",")} - {""}
    if added and headers[_METHOD] in methods and asked <= _ALLOWED:
        response.raw_headers.extend(added[:1])
        response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
        response.headers["Access-Control-Allow-Headers"] = ", ".join(sorted(_ALLOWED))
        response.headers["Access-Control-Max-Age"] = str(int(_PREFLIGHT_MAX_AGE.total_seconds()))
    return response


def _merged(headers: Iterable[RawHeader], added: Sequence[RawHeader]) -> list[RawHeader]:
    """Return the headers with ours about other origins in the place of any, and `Origin` in `Vary`."""
    merged: list[RawHeader] = []
    vary: list[bytes] = []
    for name, value in headers:
        if name.lower() == _VARY:
            vary.append(value)
        elif not name.lower().startswith(_OWN):
            merged.append((name, value))
    if not any(b"origin" in value.lower().replace(b" ", b"").split(b",") for value in vary):
        vary.append(b"Origin")
    return [*merged, *added, (_VARY, b", ".join(vary))]
