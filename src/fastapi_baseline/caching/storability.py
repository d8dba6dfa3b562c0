"""Which responses may be kept (RFC 9111, section 3), and what they say of it themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from fastapi_baseline.caching.entries import Header
from fastapi_baseline.caching.request_directives import CACHE_CONTROL, parse_list, parse_seconds

VARY = b"vary"

# Errors are not answers that anybody wants again; the rest needs what is not kept here.
STATUSES = frozenset(
    {
        HTTPStatus.OK,
        HTTPStatus.NON_AUTHORITATIVE_INFORMATION,
        HTTPStatus.NO_CONTENT,
        HTTPStatus.MULTIPLE_CHOICES,
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
ABSENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""What is kept only where a route says for how long."""
# `private` is for the client that asked. What is kept here may not be, even for one caller.
_FORBIDDING = frozenset({"no-store", "private", "no-cache"})
_NEVER_STALE = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage"})
_PART_OF_OTHERS = frozenset({b"content-range", b"set-cookie", b"set-cookie2"})
_ANY = b"*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a response says of how it may be kept.

    `expire` is `None` if it does not say for how long, and `vary` are the request headers that it
    depends on, in lower case.
    """

    expire: timedelta | None = None
    may_be_stale: bool = True
    vary: frozenset[bytes] = frozenset()
    has_control: bool = False


def find_terms(headers: Sequence[Header]) -> Terms | None:
    """Return on which terms a response may be kept, or `None` if it may not.

    The names of the headers are in lower case.
    """
    names = {name for name, _ in headers}
    if not names.isdisjoint(_PART_OF_OTHERS):
        return None
    vary = find_vary(headers)
    if _ANY in vary:
        return None
    if CACHE_CONTROL not in names:
        # It says when it expires in a way that is not read here, so it is not known.
        return None if b"expires" in names else Terms(vary=vary)
    control = dict(parse_list(_join(headers, CACHE_CONTROL)))
    if not _FORBIDDING.isdisjoint(control):
        return None
    lifetime = control.get("s-maxage", control.get("max-age"))
    expire = None if lifetime is None else timedelta(seconds=parse_seconds(lifetime))
    if expire == timedelta(0):
        return None
    return Terms(
        expire=expire,
        may_be_stale=_NEVER_STALE.isdisjoint(control),
        vary=vary,
        has_control=True,
    )


def find_vary(headers: Iterable[Header]) -> frozenset[bytes]:
    """Return the names of the request headers that a response depends on, in lower case."""
    value = _join(headers, VARY)
    return frozenset(name.strip().lower() for name in value.split(b",") if name.strip())


def _join(headers: Iterable[Header], name: bytes) -> bytes:
    return b", ".join(value for found, value in headers if found == name)
