"""Response headers that tell browsers to be careful, as OWASP advises for APIs."""

from collections.abc import Collection

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
# Pages that a person looks at load scripts and styles; they still may not be framed.
_PAGE_POLICY = b"base-uri 'none'; frame-ancestors 'none'; object-src 'none'"


class SecurityHeadersMiddleware:
    """Add security headers to every response that does not set them itself.

    Nothing is stored by caches unless a handler allows it with a `Cache-Control` of its own.
    """

    def __init__(
        self, app: ASGIApp, *, settings: SecurityHeadersSettings, pages: Collection[str] = ()
    ) -> None:
        """Wrap `app`; `pages` are the paths of pages for people, which may load scripts."""
        self._app = app
        self._pages = frozenset(pages)
        headers = list(_HEADERS)
        max_age = int(settings.hsts_max_age.total_seconds())
        if max_age > 0:
            value = f"max-age={max_age}"
            if settings.hsts_include_subdomains:
                value += "; includeSubDomains"
            headers.append((b"strict-transport-security", value.encode("ascii")))
        self._headers = tuple(headers)
        self._page_headers = tuple(
            (name, _PAGE_POLICY if name == _POLICY else value) for name, value in headers
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        added = self._page_headers if scope["path"] in self._pages else self._headers

        async def send_careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                present = {name.lower() for name, _ in headers}
                headers.extend(pair for pair in added if pair[0] not in present)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_careful)
