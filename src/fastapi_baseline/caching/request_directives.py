"""What a request says of stored responses that it would be given (RFC 9111, section 5.2.1).

Taken are `no-store`, `no-cache`, `max-age`, `min-fresh` and `only-if-cached`, and `Pragma:
no-cache` where there is no `Cache-Control`. Whether something stale is given is for the route to
say, so `max-stale` and `stale-if-error` change nothing, and neither does what nobody knows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from fastapi_baseline.caching.entries import Entry

CACHE_CONTROL = b"cache-control"
PRAGMA = b"pragma"

_LONGEST_REMEMBERED = 200
# More seconds than that are as good as any (section 1.2.2).
_MOST_SECONDS = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDirectives:
    """What a client wants; seconds for `max_age` and `min_fresh`."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int | None = None

    def accept(self, entry: Entry, *, now: float) -> bool:
        """Return whether an entry is young enough for the client, and fresh for long enough."""
        if self.no_cache:
            return False
        if self.max_age is not None and now - entry.stored_at > self.max_age:
            return False
        return self.min_fresh is None or entry.fresh_until - now >= self.min_fresh


NO_DIRECTIVES = RequestDirectives()
"""What a request says that says nothing."""


def find_directives(headers: Iterable[tuple[bytes, bytes]]) -> RequestDirectives:
    """Return what the headers of a request say; several of one name are one list."""
    control: bytes | None = None
    pragma: bytes | None = None
    for name, value in headers:
        if name == CACHE_CONTROL:
            control = value if control is None else b"%b, %b" % (control, value)
        elif name == PRAGMA:
            pragma = value if pragma is None else b"%b, %b" % (pragma, value)
    if control is None:
        if pragma is None or "no-cache" not in dict(parse_list(pragma)):
            return NO_DIRECTIVES
        return RequestDirectives(no_cache=True)
    return _remember(control) if len(control) <= _LONGEST_REMEMBERED else _parse(control)


def _parse(value: bytes) -> RequestDirectives:
    found = dict(parse_list(value))
    return RequestDirectives(
        no_store="no-store" in found,
        no_cache="no-cache" in found,
        only_if_cached="only-if-cached" in found,
        max_age=parse_seconds(found["max-age"]) if "max-age" in found else None,
        min_fresh=parse_seconds(found["min-fresh"]) if "min-fresh" in found else None,
    )


_remember = lru_cache(maxsize=256)(_parse)


def parse_list(value: bytes) -> Iterable[tuple[str, str]]:
    """Return the directives of a `Cache-Control` header with their values, without quotes.

    Of one that is there twice the first counts, so it comes last here (section 4.2.1).
    """
    return [
        (name.strip().lower(), argument.strip().strip('"'))
        for name, _, argument in (part.partition("=") for part in _split(value))
        if name.strip()
    ][::-1]


def _split(value: bytes) -> Iterable[str]:
    """Return what is between commas that are not in quotes."""
    text = value.decode("latin-1")
    if '"' not in text:
        return text.split(",")
    parts: list[str] = [""]
    is_quoted = False
    for character in text:
        is_quoted ^= character == '"'
        if character == "," and not is_quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def parse_seconds(argument: str) -> int:
    """Return a number of seconds; what is none means that nothing is fresh (section 4.2.1)."""
    if not argument.isascii() or not argument.isdigit():
        return 0
    # Longer numbers are refused by int(), and all of them are many.
    return _MOST_SECONDS if len(argument) > len(str(_MOST_SECONDS)) else int(argument)
