"""Where somebody goes who has signed in: to a page of the service, and nowhere else.

The path comes with a request, so anybody can write it into a link (RFC 9700, section 4.11). Whatever
could be read as another host, by any browser or proxy, counts as no path at all.
"""

import re
from urllib.parse import unquote

MAX_PATH_LENGTH = 2000
"""How long a path may be, with its query; it has to fit into a cookie."""

# Printable ASCII, as browsers send it. No backslash, which they take for a slash, and nothing of
# what they drop from URLs without a word: tabs and line breaks.
_PATH = re.compile(r"/[!-\[\]-~]*", re.ASCII)
# What is decoded more often than that is decoded by nobody.
_DECODINGS = 3


def find_safe_path(text: str | None, default: str = "/") -> str:
    """Return a path of the service, with its query and its fragment, or else `default`.

    A path is safe if it begins with one slash, and if what it stands for does, too, however often
    a proxy decodes it.
    """
    if text is None or len(text) > MAX_PATH_LENGTH or not _PATH.fullmatch(text):
        return default
    path = re.split(r"[?#]", text, maxsplit=1)[0]
    for _ in range(_DECODINGS):
        if not _is_plain(path):
            return default
        path = unquote(path)
    return text if _is_plain(path) else default


def _is_plain(path: str) -> bool:
    # `//` begins a host wherever what comes before it is removed, as `/.//` is.
    return "//" not in path and "\\" not in path and path.isprintable()
