"""The pages on which people sign in and agree: HTML from the service, without scripts.

`make_pages` makes them of the settings. A theme takes the place of templates by name.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily

if TYPE_CHECKING:
    from fastapi_baseline.auth.pages.forms import (
        InvalidFormError,
        PageForm,
        find_form_secret,
        open_form,
        read_form,
    )
    from fastapi_baseline.auth.pages.pages import Pages, make_pages
    from fastapi_baseline.auth.pages.themes import PageName, Theme

__all__ = [
    "InvalidFormError",
    "PageForm",
    "PageName",
    "Pages",
    "Theme",
    "find_form_secret",
    "make_pages",
    "open_form",
    "read_form",
]

_HOMES = {
    "InvalidFormError": "forms",
    "PageForm": "forms",
    "PageName": "themes",
    "Pages": "pages",
    "Theme": "themes",
    "find_form_secret": "forms",
    "make_pages": "pages",
    "open_form": "forms",
    "read_form": "forms",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
