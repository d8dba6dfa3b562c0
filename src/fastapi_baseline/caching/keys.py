"""Under which key a response is kept, so that nobody gets what belongs to somebody else.

A key stands for what was asked (scheme, host, path, query, and the request headers that the
response depends on), by which function it was answered, and for whom: the tenant, the principal,
and every credential of the request. No part of it can be read from the key, which is a hash.
"""

import inspect
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from fastapi_baseline import context
from fastapi_baseline._extras import optional
from fastapi_baseline.settings import CacheSettings

with optional("msgspec", extra="cache"):
    import msgspec

HOST = b"host"
COOKIE = b"cookie"

_DIGEST_SIZE = 16
# Unlike joined texts, what is encoded so can be taken apart in one way only.
_encode = msgspec.msgpack.Encoder().encode


class UnnamedPrincipalError(TypeError):
    """The principal of a request has no text of its own, so it cannot be told from others."""


def identity_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, below all decorators: `shop.routes.get_order`."""
    found = inspect.unwrap(function)
    found = getattr(found, "func", found)
    return f"{found.__module__}.{found.__qualname__}"


def digest_of(*parts: object) -> str:
    """Return a hash of bytes, texts, numbers and lists of them; 32 hex digits."""
    return blake2b(_encode(parts), digest_size=_DIGEST_SIZE).hexdigest()


def url_of(scope: Scope) -> tuple[object, ...]:
    """Return what tells what is asked for, without its headers.

    The host is part of it (RFC 9111, section 2): a response may hold links, and must not hold those
    of a host that somebody else has sent.
    """
    return (
        scope["scheme"],
        scope.get("root_path", ""),
        scope["path"],
        sort_query(scope["query_string"]),
    )


def sort_query(query: bytes) -> bytes:
    """Return a query string with its parameters by their names; those of one name keep their order."""
    if b"&" not in query:
        return query
    name = _escaped_name if b"%" in query or b"+" in query else _name
    return b"&".join(sorted(query.split(b"&"), key=name))


def _name(parameter: bytes) -> bytes:
    return parameter.partition(b"=")[0]


def _escaped_name(parameter: bytes) -> bytes:
    # Names that are written differently and are the same belong together.
    return unquote_to_bytes(parameter.partition(b"=")[0].replace(b"+", b" "))


class Credentials:
    """Which parts of a request tell who is asking."""

    def __init__(self, settings: CacheSettings) -> None:
        """Look at the headers and the cookies that the settings name."""
        cookies = settings.credential_cookies
        self._cookies = (
            None if cookies is None else frozenset(name.encode("latin-1") for name in cookies)
        )
        headers = {name.lower().encode("latin-1") for name in settings.credential_headers}
        if cookies is None or cookies:
            headers.add(COOKIE)
        self.headers = frozenset(headers)
        """The names of the headers that may hold one."""

    def select(self, name: bytes, value: bytes) -> bytes | None:
        """Return what a header of such a name says of who is asking; `None` if it says nothing."""
        if name != COOKIE or self._cookies is None:
            return value
        wanted = [
            part
            for part in (part.strip() for part in value.split(b";"))
            if part.partition(b"=")[0].strip() in self._cookies
        ]
        return b";".join(wanted) if wanted else None


def caller_of(scope: Scope, credentials: Credentials) -> tuple[object, ...]:
    """Return what tells who is asking, and in which tenant.

    Raises:
        UnnamedPrincipalError: If the principal cannot be told from others by its text.
    """
    current = context.current()
    principal = None if current is None else current.principal
    found = [
        (name, selected)
        for name, value in scope["headers"]
        if name in credentials.headers and (selected := credentials.select(name, value)) is not None
    ]
    if len(found) > 1:
        # In which order a client sends headers means nothing; those of one name keep theirs.
        found.sort(key=_first)
    return (
        None if current is None else current.tenant,
        None if principal is None else text_of(principal),
        _certificate_of(scope),
        found,
    )


def text_of(value: object) -> str:
    """Return a text that tells a value from others.

    Raises:
        UnnamedPrincipalError: If it has none: its text would be its place in memory.
    """
    kind = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        raise UnnamedPrincipalError(kind.__name__)
    return f"{kind.__qualname__}:{value}"


def select_headers(scope: Scope, names: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request that have one of these names."""
    found = [pair for pair in scope["headers"] if pair[0] in names]
    if len(found) > 1:
        found.sort(key=_first)
    return found


def _first(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0]


def _certificate_of(scope: Scope) -> str | None:
    """Return who a client certificate was made out to, if the server tells (ASGI TLS extension)."""
    extensions: dict[str, Any] | None = scope.get("extensions")
    tls: dict[str, Any] | None = extensions.get("tls") if extensions else None
    return tls.get("client_cert_name") if tls else None
