"""The pages that show the OpenAPI document to people, and what they may load.

They have no inline scripts, so their Content-Security-Policy is as strict as what they show allows.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from fastapi_baseline.documentation.assets import Assets

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{icon}">
"""
_NO_ICON = "data:,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page shows, and from where; addresses begin with the path that the service is at."""

    title: str
    document_url: str
    assets: Assets
    prefix: str
    connect_to: Collection[str] = ()

    def _url(self, name: str) -> str:
        return escape(self.assets.url(name, prefix=self.prefix))

    def _source(self, name: str) -> str:
        """Return from where a file may come: the service, or the one address that it is at."""
        address = self.assets.addresses.get(name)
        return f"'self' {address}" if address else "'self'"

    def _head(self, title: str) -> str:
        has_icon = "favicon.png" in self.assets.files
        icon = self._url("favicon.png") if has_icon else _NO_ICON
        return _HEAD.format(title=escape(title), icon=icon)

    def swagger_ui(
        self, parameters: Mapping[str, Any], *, redirect_path: str | None, oauth: Any
    ) -> HTMLResponse:
        """Return the page of Swagger UI, with the parameters that FastAPI was given for it."""
        settings = {
            "url": self.document_url,
            **parameters,
            "redirectPath": redirect_path,
            "oauth": oauth,
        }
        html = (
            f"{self._head(self.title)}"
            f'<link rel="stylesheet" href="{self._url("swagger-ui.css")}">\n'
            "</head>\n<body>\n"
            f'<div id="swagger-ui" data-settings="{escape(json.dumps(settings))}"></div>\n'
            f'<script src="{self._url("swagger-ui-bundle.js")}"></script>\n'
            f'<script src="{self._url("swagger-initializer.js")}"></script>\n'
            "</body>\n</html>\n"
        )
        policy = _policy(
            script_src=self._source("swagger-ui-bundle.js"),
            style_src=self._source("swagger-ui.css"),
            # Swagger UI has its icons in its style sheet.
            img_src="'self' data:",
            connect_src=" ".join(("'self'", *self.connect_to)),
        )
        # Whoever signs in does so in another window, which has to find its way back.
        return _respond(html, policy, opener_policy="same-origin-allow-popups")

    def redirect(self) -> HTMLResponse:
        """Return the page that an authorization server sends people back to."""
        html = (
            f"{self._head('Signing in')}"
            "</head>\n<body>\n"
            f'<script src="{self._url("oauth2-redirect.js")}"></script>\n'
            "</body>\n</html>\n"
        )
        return _respond(html, _policy(script_src="'self'"), opener_policy="unsafe-none")

    def redoc(self) -> HTMLResponse:
        """Return the page of Redoc."""
        html = (
            f"{self._head(self.title)}"
            "</head>\n<body>\n"
            f'<redoc spec-url="{escape(self.document_url)}"></redoc>\n'
            f'<script src="{self._url("redoc.standalone.js")}"></script>\n'
            "</body>\n</html>\n"
        )
        policy = _policy(
            script_src=self._source("redoc.standalone.js"),
            # It writes its styles into the page, and searches in a worker that it makes itself.
            style_src="'self' 'unsafe-inline'",
            worker_src="blob:",
            img_src="'self' data:",
            connect_src="'self'",
        )
        return _respond(html, policy, opener_policy="same-origin")


def _policy(**sources: str) -> str:
    """Return a Content-Security-Policy that allows only what is named."""
    directives = {
        "default-src": "'none'",
        **{name.replace("_", "-"): value for name, value in sources.items()},
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _respond(html: str, policy: str, *, opener_policy: str) -> HTMLResponse:
    return HTMLResponse(
        html,
        headers={"Content-Security-Policy": policy, "Cross-Origin-Opener-Policy": opener_policy},
    )
