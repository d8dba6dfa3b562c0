"""Templates and the style of pages: those of the library, and a folder that takes their place."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError

with optional("jinja2", extra="oauth2"):
    from jinja2 import (
        BaseLoader,
        ChoiceLoader,
        Environment,
        FileSystemLoader,
        PackageLoader,
        PrefixLoader,
        StrictUndefined,
        Template,
        TemplateError,
    )
    from markupsafe import Markup

PageName = Literal["consent", "error", "second_factor", "sign_in", "sign_out", "signed_out"]
"""The pages that there are; each is a template of this name, with `.html`."""

_LAYOUT = "layout"
_STYLE = "style.css"


class Theme:
    """The templates of one application, and the one style that is in each of its pages."""

    def __init__(self, folder: Path | None = None, *, is_reloading: bool = False) -> None:
        """Take from `folder` what it has, and all else from the library.

        With `is_reloading`, what has changed there counts at once.

        Raises:
            ConfigurationError: If there is no such folder, or a template or the style is not valid.
        """
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"AUTH__PAGES__TEMPLATES is no folder: {folder}")
        own = PackageLoader("fastapi_baseline.auth.pages")
        # A template that takes the place of another one can extend it by this name.
        loaders: list[BaseLoader] = [own, PrefixLoader({"library": own})]
        if folder is not None:
            loaders.insert(0, FileSystemLoader(folder))
        self._loader = ChoiceLoader(loaders)
        self._environment = Environment(
            autoescape=True,
            auto_reload=is_reloading,
            loader=self._loader,
            lstrip_blocks=True,
            trim_blocks=True,
            undefined=StrictUndefined,
        )
        self.images = "data:" if folder is None else "'self' data:"
        """From where pages may load pictures, as a policy says it."""
        self._is_reloading = is_reloading
        self._style = self._read_style()
        # A template that is not valid keeps the service from starting, and not somebody from signing in.
        for name in (_LAYOUT, *get_args(PageName)):
            self._load(name)

    def render(self, name: PageName, values: Mapping[str, Any]) -> tuple[str, str]:
        """Return a page with these values, and how a policy names the style that is in it.

        Raises:
            ConfigurationError: If the template needs a value that is missing.
        """
        if self._is_reloading:
            self._style = self._read_style()
        style, source = self._style
        try:
            return self._load(name).render({**values, "style": style}), source
        except TemplateError as error:
            raise ConfigurationError(f"The page {name} cannot be shown: {error}") from error

    def _load(self, name: str) -> Template:
        try:
            return self._environment.get_template(f"{name}.html")
        except TemplateError as error:
            raise ConfigurationError(f"The template {name}.html is not valid: {error}") from error

    def _read_style(self) -> tuple[Markup, str]:
        text = self._loader.get_source(self._environment, _STYLE)[0].replace("\r\n", "\n")
        if "</" in text:
            raise ConfigurationError("The theme's style.css has `</`, which ends it in a page.")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        return Markup(text), f"'sha256-{digest}'"  # noqa: S704 -- it is the operator's own
