"""Response headers that tell browsers to be careful, as OWASP advises for APIs."""

from collections.abc import Awaitable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.settings import SecurityHeadersSettings

_POLICY = b"content-security-policy"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (_POLICY, b"default-src 'none'; frame-ancestors 'none'"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})

_Headers = tuple[tuple[bytes, bytes], ...]


class SecurityHeadersMiddleware:
    """Add security headers to every response that does not set them itself.

    Nothing is stored by caches unless a handler allows it with a `Cache-Control` of its own. The
    refusal of a WebSocket is a response, too.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: SecurityHeadersSettings,
        pages: Mapping[str, str] | None = None,
    ) -> None:
        """Wrap `app`; `pages` are paths of pages for people, and their Content-Security-Policy.

        A page may also send its policy itself, as those of the documentation do.
        """
        self._app = app
        self._headers = _headers_of(settings)
        self._names = frozenset(name for name, _ in self._headers)
        self._pages = {
            path: _with_policy(self._headers, policy) for path, policy in (pages or {}).items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        added = self._pages.get(scope["path"], self._headers)

        # Not a coroutine of its own, which would cost as much as all the rest.
        def send_careful(message: Message) -> Awaitable[None]:
            if message["type"] in _STARTS:
                headers = list(message.get("headers", ()))
                present = {name.lower() for name, _ in headers}
                if present.isdisjoint(self._names):
                    headers += added
                else:
                    headers += [pair for pair in added if pair[0] not in present]
                message["headers"] = headers
            return send(message)

        await self._app(scope, receive, send_careful)


def _headers_of(settings: SecurityHeadersSettings) -> _Headers:
    max_age = int(settings.hsts_max_age.total_seconds())
    if max_age <= 0:
        return _HEADERS
    value = f"max-age={max_age}"
    if settings.hsts_include_subdomains:
        value += "; includeSubDomains"
    return (*_HEADERS, (b"strict-transport-security", value.encode("ascii")))


def _with_policy(headers: _Headers, policy: str) -> _Headers:
    return tuple(
        (name, policy.encode("ascii") if name == _POLICY else value) for name, value in headers
    )
