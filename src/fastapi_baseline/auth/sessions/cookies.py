"""The cookie that a session comes in (RFC 6265bis; its prefix: section 4.1.3.2).

`__Host-` makes browsers refuse it from other hosts, also from subdomains, and over plain HTTP.
`localhost` is an exception that they make, so that nothing is different in development.
"""

import base64
import hashlib
import re
from typing import Literal

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.sessions.errors import AmbiguousSessionError

SECRET_BYTES = 32
_SECRET = re.compile(rb"[A-Za-z0-9_-]{43}", re.ASCII)


class SessionCookie:
    """Reads and writes the cookie of one application."""

    def __init__(self, name: str, *, same_site: Literal["lax", "strict"]) -> None:
        """Call it `name`, which begins with `__Host-`."""
        self.name = name
        self._prefix = f"{name}=".encode("latin-1")
        self._same_site: Literal["lax", "strict"] = same_site

    def is_in(self, connection: HTTPConnection) -> bool:
        """Return whether a request has the cookie, whatever is in it."""
        return bool(self._values_of(connection))

    def find(self, connection: HTTPConnection) -> str | None:
        """Return what is in the cookie of a request; `None` if there is none, or it cannot be ours.

        Raises:
            AmbiguousSessionError: If there are two.
        """
        values = self._values_of(connection)
        if not values:
            return None
        if len(values) > 1:
            # Whoever could add one chooses which of them counts.
            raise AmbiguousSessionError
        return values[0].decode("ascii") if _SECRET.fullmatch(values[0]) else None

    def set(self, response: Response, secret: str) -> None:
        """Give the browser a session; it ends with the browser, if not before."""
        response.set_cookie(
            self.name,
            secret,
            path="/",
            secure=True,
            httponly=True,
            samesite=self._same_site,
        )
        _forbid_storing(response)

    def delete(self, response: Response) -> None:
        """Make the browser forget its session."""
        response.delete_cookie(
            self.name, path="/", secure=True, httponly=True, samesite=self._same_site
        )
        _forbid_storing(response)

    def _values_of(self, connection: HTTPConnection) -> list[bytes]:
        prefix = self._prefix
        return [
            pair[len(prefix) :].rstrip()
            for name, value in connection.scope["headers"]
            if name == b"cookie" and prefix in value
            for pair in (part.lstrip() for part in value.split(b";"))
            if pair.startswith(prefix)
        ]


def encode_secret(random: bytes) -> str:
    """Return what is in the cookie for so many random bytes."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode("ascii")


def digest_of(secret: str) -> str:
    """Return what a session is kept under: who reads the store cannot make a cookie of it.

    The secret is random, so that a plain hash cannot be inverted by guessing.
    """
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _forbid_storing(response: Response) -> None:
    # A cache that keeps the response would give one user the session of another.
    response.headers["Cache-Control"] = "no-store"
