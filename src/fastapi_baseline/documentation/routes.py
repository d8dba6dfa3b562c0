"""The documentation pages of an application, in the place of FastAPI's own."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.openapi.docs import swagger_ui_default_parameters
from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from fastapi_baseline.access import public
from fastapi_baseline.documentation.assets import DISTRIBUTION, Assets, find_assets, media_type_of
from fastapi_baseline.documentation.pages import Page
from fastapi_baseline.errors import NotFoundError

logger = logging.getLogger(__name__)

_FOR_EVER = "public, max-age=31536000, immutable"
_METHODS = frozenset({"GET", "HEAD"})

Respond = Callable[[Request], Awaitable[Response]]


@public
class PageRoute(BaseRoute):
    """Pages at fixed paths, found by one look into a table.

    It stands before the routes of the service, so it has to cost nothing.
    """

    def __init__(self, pages: Mapping[str, Respond], *, path_format: str) -> None:
        """Serve `pages`, by their paths; together they are known as `path_format`."""
        self._pages = pages
        self.path = self.path_format = path_format

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is for one of the pages."""
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            return Match.NONE, {}
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root and path.startswith(root):
            path = path[len(root) :]
        respond = self._pages.get(path)
        if respond is None:
            return Match.NONE, {}
        return Match.FULL, {"endpoint": respond, "path_params": {}, "route": self}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Refuse: the pages have no names."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the page that was found."""
        response = await scope["endpoint"](Request(scope, receive))
        await response(scope, receive, send)


def add_documentation_pages(
    app: FastAPI, *, allow_cdn: bool = False, connect_to: Collection[str] = ()
) -> None:
    """Serve the documentation of an application from the service itself.

    The pages take the place of those that FastAPI serves at `docs_url` and `redoc_url`. Each has a
    Content-Security-Policy of its own. Their scripts come from the extra `docs`; without it, from
    a CDN if that is allowed, and else there are no pages. Swagger UI may also send requests to the
    origins in `connect_to`, such as the token endpoint of an identity provider, and to the
    application's `servers`.
    """
    if not app.openapi_url or not (app.docs_url or app.redoc_url):
        return
    assets = find_assets(allow_cdn=allow_cdn)
    if assets is None:
        logger.warning(
            "The documentation pages are not served: pip install 'fastapi-baseline[docs]', or set "
            "docs_url and redoc_url to None."
        )
        pages = _absent(app)
    else:
        servers = (_origin_of(str(server.get("url", ""))) for server in app.servers or ())
        origins = dict.fromkeys((*connect_to, *(origin for origin in servers if origin)))
        pages = _present(app, assets, connect_to=tuple(origins))
    route = PageRoute(
        {path: show for path, show in pages.items() if path},
        path_format=app.docs_url or app.redoc_url or "",
    )
    # Before FastAPI's own, and with it before all that may cost something.
    app.router.routes.insert(0, route)


def _present(
    app: FastAPI, assets: Assets, *, connect_to: Collection[str]
) -> dict[str | None, Respond]:
    below = f"{(app.docs_url or app.redoc_url or '').rstrip('/')}/assets"

    def page(request: Request, title: str) -> Page:
        root = _root_of(request)
        return Page(
            title=f"{app.title} - {title}",
            document_url=f"{root}{app.openapi_url}",
            assets=assets,
            prefix=f"{root}{below}",
            connect_to=connect_to,
        )

    async def swagger_ui(request: Request) -> Response:
        redirect_path = app.swagger_ui_oauth2_redirect_url
        return page(request, "Swagger UI").swagger_ui(
            swagger_ui_default_parameters | (app.swagger_ui_parameters or {}),
            redirect_path=f"{_root_of(request)}{redirect_path}" if redirect_path else None,
            oauth=app.swagger_ui_init_oauth,
        )

    async def redirect(request: Request) -> Response:
        return page(request, "Signing in").redirect()

    async def redoc(request: Request) -> Response:
        return page(request, "ReDoc").redoc()

    pages: dict[str | None, Respond] = {app.docs_url: swagger_ui, app.redoc_url: redoc}
    if app.docs_url:
        pages[app.swagger_ui_oauth2_redirect_url] = redirect
    for name, path in assets.files.items():
        pages[f"{below}/{assets.version}/{name}"] = _send(path)
    if app.redoc_url and "logo-mini.svg" in assets.files:
        # Redoc looks for it below its own page.
        pages[f"{app.redoc_url}/logo-mini.svg"] = _send(assets.files["logo-mini.svg"])
    return pages


def _absent(app: FastAPI) -> dict[str | None, Respond]:
    async def refuse(request: Request) -> NoReturn:
        del request
        raise NotFoundError(f"This page needs the package {DISTRIBUTION}.")

    paths = (app.docs_url, app.swagger_ui_oauth2_redirect_url, app.redoc_url)
    return dict.fromkeys(paths, refuse)


def _send(path: Path) -> Respond:
    async def send(request: Request) -> Response:
        del request
        return FileResponse(
            path, media_type=media_type_of(path), headers={"Cache-Control": _FOR_EVER}
        )

    return send


def _root_of(request: Request) -> str:
    return request.scope.get("root_path", "").rstrip("/")


def _origin_of(url: str) -> str | None:
    """Return the origin of an absolute URL, and `None` for a path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else None
