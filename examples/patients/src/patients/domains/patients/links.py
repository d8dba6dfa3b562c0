"""The `Link` header of a list that is read in pages (RFC 8288), as json-server writes it."""

import re
from urllib.parse import unquote_plus

from starlette.datastructures import URL

from patients.domains.patients.query import Window

_PAGE = re.compile(r"_page(?:\[[0-9]*\])?")


def link_header(url: URL, window: Window, *, found: int, total: int) -> str:
    """Return links to the first, previous, next and last page, in that order.

    There is none if the list has one page only, or the page that was asked for has nothing on it:
    json-server then sends an empty header. `found` is how many this page has.
    """
    if window.page is None or found in {0, total}:
        return ""
    last = -(-total // window.limit)
    pages = {"first": 1}
    if window.page > 1:
        pages["prev"] = window.page - 1
    if window.page < last:
        pages["next"] = window.page + 1
    pages["last"] = last
    return ", ".join(f'<{_with_page(url, page)}>; rel="{rel}"' for rel, page in pages.items())


def _with_page(url: URL, page: int) -> URL:
    """Return the URL with another `_page`, and the rest as the client wrote it."""
    parts = url.query.split("&")
    index = next(i for i, part in enumerate(parts) if _PAGE.fullmatch(_name_of(part)))
    parts[index] = f"_page={page}"
    # A quoted URL may not contain these, and not every client encodes them.
    query = "&".join(parts).replace("<", "%3C").replace(">", "%3E")
    return url.replace(query=query)


def _name_of(part: str) -> str:
    return unquote_plus(part.partition("=")[0])
