"""Which pages of other origins may call the service."""

from collections.abc import Awaitable, Iterable
from functools import lru_cache
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware import cors as starlette_cors
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.settings import Settings

RawHeader = tuple[bytes, bytes]

_ORIGIN = b"origin"
_VARY = b"vary"
_REMEMBERED_ORIGINS = 256


class CORSMiddleware(starlette_cors.CORSMiddleware):
    """Starlette's layer, which answers preflight requests, with a cheaper way for all others.

    The headers of a response depend on the origin only, and few origins ask, so they are made once
    for each and added to the raw headers of the response.
    """

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        """Wrap `app`; the options are Starlette's."""
        super().__init__(app, **options)
        self._headers_for = lru_cache(maxsize=_REMEMBERED_ORIGINS)(self._make_headers_for)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            await super().__call__(scope, receive, send)
            return

        origin = next((value for name, value in scope["headers"] if name == _ORIGIN), None)
        added = self._headers_for(origin)

        def send_shared(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = _merged(message.get("headers", ()), added)
            return send(message)

        await self.app(scope, receive, send_shared)

    def _make_headers_for(self, origin: bytes | None) -> dict[bytes, bytes]:
        """Return what a page of that origin needs, by names in lower case."""
        if origin is None:
            return {}
        text = origin.decode("latin-1")
        headers = {
            name.lower().encode("latin-1"): value.encode("latin-1")
            for name, value in self.simple_headers.items()
        }
        # With credentials, browsers take no `*` for an answer.
        if self.preflight_explicit_allow_origin and self.is_allowed_origin(text):
            headers[b"access-control-allow-origin"] = origin
        return headers


def _merged(headers: Iterable[RawHeader], added: dict[bytes, bytes]) -> list[RawHeader]:
    """Return the headers with those in `added` instead of their own, and `Origin` in `Vary`."""
    merged: list[RawHeader] = []
    vary = b""
    for pair in headers:
        name = pair[0]
        if name == _VARY:
            vary += pair[1] + b", "
        elif name not in added:
            merged.append(pair)
    merged += added.items()
    merged.append((_VARY, vary + b"Origin"))
    return merged


def make_cors(settings: Settings) -> Middleware | None:
    """Return the CORS layer, or `None` if no origin is allowed: then browsers refuse by default."""
    if not settings.cors_origins:
        return None
    cors = settings.cors
    return Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=cors.allow_methods,
        allow_headers=cors.allow_headers,
        allow_credentials=cors.allow_credentials,
        expose_headers=cors.expose_headers,
        max_age=int(cors.max_age.total_seconds()),
    )
