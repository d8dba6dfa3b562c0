"""What of a request goes on to another service, and what of its answer comes back.

Both are lists of what is known to be harmless; everything else stays here. So no cookie of this
service gets out, no other service sets one here, and none is made to believe a header that says who
is asking.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from fastapi_baseline.auth.login.session_errors import ProxyPathError

RawHeaders = list[tuple[bytes, bytes]]

REQUEST_HEADERS = frozenset(
    {
        *("accept", "accept-encoding", "accept-language"),
        *("content-encoding", "content-language", "content-length", "content-type"),
        *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
        *("idempotency-key", "prefer", "range", "traceparent", "tracestate", "x-request-id"),
    }
)
"""Headers of requests that go on."""

RESPONSE_HEADERS = frozenset(
    {
        *("accept-patch", "accept-ranges", "allow"),
        *("content-disposition", "content-encoding", "content-language", "content-length"),
        *("content-range", "content-type", "deprecation", "etag", "expires", "last-modified"),
        *("link", "preference-applied", "ratelimit", "ratelimit-policy", "retry-after", "sunset"),
        *("vary", "x-request-id"),
    }
)
"""Headers of answers that come back."""

_FORBIDDEN = frozenset(
    {
        *("authorization", "cookie", "host", "proxy-authorization", "set-cookie"),
        # Those of one connection (RFC 9110, section 7.6.1).
        *("connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
# RFC 3986, section 3.3, without what `_AMBIGUOUS` has.
_PATH = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_QUERY = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]{}|^`\"<>\\-]|%[0-9A-Fa-f]{2}|%)*", re.ASCII
)
# Encoded separators, dots, control characters, and what is encoded twice: not all servers read
# these as one thing.
_AMBIGUOUS = re.compile(rb"%(?:2[eEfF]|5[cC]|[01][0-9A-Fa-f]|7[fF]|25(?:2[eEfF]|5[cC]|00))")
_DOTS = frozenset({b".", b".."})


def is_header(name: str) -> bool:
    """Return whether a header, in lower case, may be among those that go on."""
    return _NAME.fullmatch(name) is not None and name not in _FORBIDDEN


class Target(NamedTuple):
    """What is asked for: the path and the query to send on, and the path here that stands for it."""

    rest: bytes
    here: bytes


def read_target(request: Request, path: str | None) -> Target:
    """Return the rest of a path, and the query, as they are sent on: to the byte as they came.

    `path` is what the router has found after the name of the other service, decoded; `None` if
    there is no slash after it.

    Raises:
        ProxyPathError: If anybody could read it as another path.
    """
    query: bytes = request.scope["query_string"]
    here, rest = _split(request, path)
    if _PATH.fullmatch(rest) is None or _AMBIGUOUS.search(rest) or not _QUERY.fullmatch(query):
        raise ProxyPathError
    segments = rest.split(b"/")[1:]
    # Parameters of a segment (`..;a=1`) are no part of its name for some servers.
    if any(segment.partition(b";")[0] in _DOTS for segment in segments) or b"" in segments[:-1]:
        raise ProxyPathError
    return Target(rest + b"?" + query if query else rest, here)


def _split(request: Request, path: str | None) -> tuple[bytes, bytes]:
    """Return the path as it came: what stands for the other service, and the rest."""
    # Without it, nobody can tell how the path came: only what came without encoding is sent on.
    given: bytes = request.scope.get("raw_path") or request.scope["path"].encode(errors="replace")
    # Some servers leave the query in.
    raw = given.partition(b"?")[0]
    if path is None:
        return raw, b""
    # As many segments as the router has found; one that hides a separator does not match.
    here, *segments = raw.rsplit(b"/", path.count("/") + 1)
    rest = b"/".join([b"", *segments])
    if unquote_to_bytes(rest) != b"/" + path.encode(errors="replace"):
        raise ProxyPathError
    return here, rest


def pick_request_headers(request: Request, *, more: Iterable[str], token: str) -> RawHeaders:
    """Return the headers of a request that go on, and the access token."""
    wanted = REQUEST_HEADERS.union(more)
    headers = [
        (name, value) for name, value in request.headers.raw if name.decode("latin-1") in wanted
    ]
    if not any(name == b"accept-encoding" for name, _ in headers):
        headers.append((b"accept-encoding", b"identity"))
    headers.append((b"authorization", b"Bearer " + token.encode("ascii")))
    return headers


def pick_response_headers(raw: RawHeaders, *, upstream: str, here: bytes) -> RawHeaders:
    """Return the headers of an answer that come back, so that no cache gives it to others.

    Where it names a place of the `upstream`, that becomes the one `here`; no other is named.
    """
    kept: RawHeaders = []
    for original, value in raw:
        name = original.lower()
        if name == b"location":
            place = _find_place(value, upstream=upstream.encode("ascii"), here=here)
            if place is not None:
                kept.append((name, place))
        elif name.decode("latin-1") in RESPONSE_HEADERS:
            kept.append((name, value))
    kept.append((b"cache-control", _make_private(raw)))
    # It is an answer to a program. Shown as a page, it would be one of this service.
    kept.append(
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")
    )
    kept.append((b"x-content-type-options", b"nosniff"))
    return kept


def _find_place(location: bytes, *, upstream: bytes, here: bytes) -> bytes | None:
    path = upstream.partition(b"://")[2].partition(b"/")[2]
    for base in (upstream, b"/" + path if path else b""):
        rest = location.removeprefix(base)
        if location.startswith(base + b"/") and not rest.startswith(b"//"):
            return here + rest
    return None


def _make_private(raw: RawHeaders) -> bytes:
    values = [value for name, value in raw if name.lower() == b"cache-control"]
    said = b", ".join(values).lower()
    directives = {part.partition(b"=")[0].strip() for part in said.split(b",")}
    if b"no-store" in directives or not values:
        return b"no-store"
    # Caches in between do not know that a cookie says whose answer it is (RFC 9111, section 3.5).
    return said if b"private" in directives else b"private, no-cache"
