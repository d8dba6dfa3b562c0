"""The pages of an application, and what browsers may do on them."""

import importlib
import logging
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse

from fastapi_baseline import context
from fastapi_baseline._extras import optional
from fastapi_baseline.auth.dependencies import AROUND
from fastapi_baseline.auth.pages.themes import PageName, Theme
from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.middleware.exception_handlers import log_unhandled
from fastapi_baseline.problems import fault_of
from fastapi_baseline.settings import Settings

with optional("python_multipart", extra="oauth2"):
    # Starlette needs it to read a form, and says so no sooner.
    importlib.import_module("python_multipart")

logger = logging.getLogger(__name__)

_POLICY = (
    "default-src 'none'; img-src {images}; style-src {style}; form-action {targets}; "
    "frame-ancestors 'none'; base-uri 'none'"
)
# Parts of a URL that mean nothing else in a policy (CSP 3, section 2.3.1).
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::[0-9]{1,5})?", re.ASCII)
_OPTIONAL: Mapping[str, object] = {
    "client_name": None,
    "continue_label": "Continue",
    "continue_url": None,
    "destination": None,
    "email": "",
    "error": None,
    "fields": {},
    "user": None,
}
"""What templates need not be given."""


class Pages:
    """The pages of one application; `Pages.of(request)` in a route."""

    def __init__(
        self, *, title: str, theme: Path | None = None, is_reloading: bool = False
    ) -> None:
        """Call the service `title`, and take templates from the folder `theme` where it has them.

        With `is_reloading`, a template that has changed counts at once.

        Raises:
            ConfigurationError: If there is no such folder, or a template or style is not valid.
        """
        self._title = title
        self._theme = Theme(theme, is_reloading=is_reloading)

    @classmethod
    def of(cls, connection: HTTPConnection) -> "Pages":
        """Return the pages of the application that answers a request.

        Raises:
            ConfigurationError: If it has none.
        """
        state = connection.app.state
        pages = getattr(state, "pages", None)
        if pages is None and hasattr(state, AROUND):
            pages = getattr(getattr(state, AROUND).state, "pages", None)
        if not isinstance(pages, cls):
            raise ConfigurationError(
                "The application has no pages: set AUTH__LOGIN__CLIENT_ID or AUTH__SERVER__ENABLED, "
                "or include make_sign_in_pages_router()."
            )
        return pages

    def render(
        self,
        name: PageName,
        *,
        status: int = HTTPStatus.OK,
        form_targets: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """Return a page with these values; text in them is escaped.

        `form_targets` are URLs at which its form may arrive by redirects, besides the service:
        Chromium asks the policy of the page about them, too. Only their origins are named.

        Raises:
            ConfigurationError: If a template needs a value that is missing, or a target is no URL
                that a policy can name.
        """
        text, style = self._theme.render(name, {**_OPTIONAL, "service": self._title, **values})
        targets = dict.fromkeys(map(_source_of, form_targets))
        policy = _POLICY.format(
            images=self._theme.images, style=style, targets=" ".join(("'self'", *targets))
        )
        # Where a form is sent from a page that sends no referrer, its origin is `null` (Fetch,
        # section 3.1), and could not be checked.
        has_form = "form_token" in values
        return HTMLResponse(
            text,
            status,
            headers={
                **(headers or {}),
                "Cache-Control": "no-store",
                "Content-Security-Policy": policy,
                "Referrer-Policy": "same-origin" if has_form else "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
            },
        )

    def render_error(
        self,
        error: BaselineError,
        *,
        continue_url: str | None = None,
        continue_label: str = "Continue",
    ) -> HTMLResponse:
        """Return the page for an error, with its status and headers; log it if it is not the asker's.

        `continue_url` is where one can go from there.
        """
        fault = fault_of(error)
        current = context.current()
        if current is not None:
            current.fields["code"] = fault.code
        if fault.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log_unhandled(error)
        elif fault.status > HTTPStatus.INTERNAL_SERVER_ERROR:
            cause = error.__cause__ or error
            logger.warning("%s: %r", error.message, cause, extra={"fields": {"code": error.code}})
        return self.render(
            "error",
            status=fault.status,
            headers=fault.headers,
            code=fault.code,
            message=fault.detail,
            request_id=current.request_id if current else None,
            continue_url=continue_url,
            continue_label=continue_label,
        )


def make_pages(settings: Settings) -> Pages:
    """Return the pages that the settings of an application describe.

    Raises:
        ConfigurationError: If the theme is not valid.
    """
    pages = settings.auth.pages
    return Pages(
        title=pages.title or settings.service_name,
        theme=pages.templates,
        is_reloading=settings.environment == "development",
    )


def _source_of(url: str) -> str:
    """Return what a policy calls the origin of a URL, or its scheme if it has none."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.netloc.lower()
    if not _SCHEME.fullmatch(scheme):
        raise ConfigurationError("The target of a form is no URL.")
    if scheme not in {"http", "https"} or host.startswith("["):
        # Programs are called by their schemes; and a policy has no words for IPv6.
        return f"{scheme}:"
    if not _HOST.fullmatch(host):
        raise ConfigurationError("The target of a form is no URL of a host.")
    return f"{scheme}://{host}"
