"""Other services for the pages of this one: asked with the access token, which no page gets to see.

    app.include_router(make_api_proxy_router(upstreams={"/orders": "https://orders.internal/v1"}))

A page asks `/api/orders/7` with its session, and the service asks `https://orders.internal/v1/7`
with the token of whoever has signed in. Only what is listed can be asked.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.login.access_tokens import ProviderAccessToken
from fastapi_baseline.auth.login.proxy_requests import (
    is_header,
    pick_request_headers,
    pick_response_headers,
    read_target,
)
from fastapi_baseline.auth.login.session_errors import ProxyPathError
from fastapi_baseline.auth.sessions import CsrfError, Sessions
from fastapi_baseline.auth.sessions.csrf import SAFE_METHODS
from fastapi_baseline.auth.tokens.addresses import check_address
from fastapi_baseline.errors import ConfigurationError, DeadlineExceededError, UnavailableError

with optional("httpx2", extra="oauth2"):
    import httpx2
    from httpx2 import AsyncBaseTransport, AsyncClient

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_NAME = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", re.ASCII)
_TIMEOUT = timedelta(seconds=30)
_RETRY_AFTER = timedelta(seconds=1)


class UpstreamUnavailableError(UnavailableError):
    """The service behind does not answer."""

    code = "upstream_unavailable"
    default_message = "The service behind this one does not answer."


class UpstreamTimeoutError(DeadlineExceededError):
    """The service behind takes too long."""

    code = "upstream_timeout"
    default_message = "The service behind this one takes too long."


def make_api_proxy_router(
    *,
    upstreams: Mapping[str, str],
    prefix: str = "/api",
    request_headers: Collection[str] = (),
    timeout: timedelta = _TIMEOUT,
    make_transport: Callable[[], AsyncBaseTransport] | None = None,
) -> APIRouter:
    """Return a router that asks other services with the access token of whoever has signed in.

    `upstreams` are paths below `prefix`, each with the URL that stands for it. All of them see the
    same token, so list only those that it is issued for. `request_headers` are headers that go on
    besides the usual ones. `timeout` is how long each of them may be silent. Answers are streamed,
    never followed to somewhere else, and never kept by shared caches.

    Raises:
        ConfigurationError: If an upstream is no URL with https, or has a query, or a path or a
            header is none that can be sent on.
    """
    more = frozenset(name.lower() for name in request_headers)
    for name in more:
        if not is_header(name):
            raise ConfigurationError(f"The header {name!r} cannot be sent on.")
    asking = _Asking(timeout=timeout, make_transport=make_transport)
    router = APIRouter(prefix=prefix, include_in_schema=False, lifespan=asking.lifespan)
    # The longest first, so that `/orders/archive` is not taken for a part of `/orders`.
    for name in sorted(upstreams, key=len, reverse=True):
        base = _read_upstream(name, upstreams[name])
        endpoint = _make_endpoint(base, asking, more)
        router.api_route(name, methods=[*_METHODS])(endpoint)
        router.api_route(f"{name}/{{path:path}}", methods=[*_METHODS])(endpoint)
    return router


def _read_upstream(name: str, url: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(f"The path of an upstream is like /orders, and not {name!r}.")
    check_address(url, what=f"The upstream of {name!r}")
    if "?" in url or not url.isascii():
        raise ConfigurationError(f"The upstream of {name!r} must have no query, and be in ASCII.")
    return url.rstrip("/")


def _make_endpoint(base: str, asking: "_Asking", more: frozenset[str]) -> Callable[..., Any]:
    async def forward(request: Request, token: ProviderAccessToken) -> Response:
        _check_header(request)
        path: str | None = request.path_params.get("path")
        target = read_target(request, path)
        headers = pick_request_headers(request, more=more, token=token)
        answer = await asking.ask(request, url=_join(base, target.rest), headers=headers)
        response = StreamingResponse(
            _read(answer),
            status_code=answer.status_code,
            background=BackgroundTask(answer.aclose),
        )
        response.raw_headers = pick_response_headers(
            answer.headers.raw, upstream=base, here=target.here
        )
        return response

    return forward


def _check_header(request: Request) -> None:
    """Refuse what changes something and has the token of a form instead of the header.

    Raises:
        CsrfError: If so: its body was read to find the token, and cannot be sent on.
    """
    if request.method in SAFE_METHODS:
        return
    if Sessions.of(request).csrf.header not in request.headers:
        raise CsrfError


def _join(base: str, target: bytes) -> "httpx2.URL":
    url = httpx2.URL(base)
    joined = url.copy_with(raw_path=url.raw_path.rstrip(b"/") + target)
    if (joined.scheme, joined.netloc, joined.userinfo) != (url.scheme, url.netloc, b""):
        raise ProxyPathError
    return joined


class _Asking:
    """Asks other services, with connections that are kept while the application runs."""

    def __init__(
        self, *, timeout: timedelta, make_transport: Callable[[], AsyncBaseTransport] | None
    ) -> None:
        self._timeout_s = timeout.total_seconds()
        self._make_transport = make_transport
        self._client: AsyncClient | None = None

    @asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            client, self._client = self._client, None
            if client is not None:
                await client.aclose()

    async def ask(
        self, request: Request, *, url: "httpx2.URL", headers: list[tuple[bytes, bytes]]
    ) -> "httpx2.Response":
        client = self._open()
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        asked = client.build_request(
            request.method, url, headers=headers, content=request.stream() if has_body else None
        )
        try:
            return await client.send(asked, stream=True, follow_redirects=False)
        except httpx2.TimeoutException as error:
            raise UpstreamTimeoutError from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise UpstreamUnavailableError(retry_after=_RETRY_AFTER) from error

    def _open(self) -> AsyncClient:
        if self._client is None:
            transport = None if self._make_transport is None else self._make_transport()
            self._client = AsyncClient(
                timeout=self._timeout_s,
                follow_redirects=False,
                transport=transport,
                # One client asks for everybody: cookies that it kept for one would go with others.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        return self._client


async def _read(answer: "httpx2.Response") -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
