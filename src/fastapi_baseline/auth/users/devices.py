"""Browsers that have signed in to an account before, known by a cookie.

The cookie proves nothing but that: whoever has it still needs the password, and has a budget of
attempts that strangers do not use up. It names the account by a signature only.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.clock import Clock

COOKIE = "__Host-device"
LIFETIME = timedelta(days=180)
"""How long a device is known after it signed in."""
MAX_ACCOUNTS = 4
"""How many accounts one browser is known to; that which signed in longest ago is forgotten."""

_ID_BYTES = 12
_MAC_BYTES = 18
_MAX_LENGTH = 512


class _Entry(NamedTuple):
    """A device, when it signed in to an account in seconds since 1970, and what proves it."""

    device: str
    issued: int
    mac: str


class KnownDevices:
    """Reads and writes the cookie by which devices are known."""

    def __init__(
        self,
        keys: KeyRing,
        *,
        clock: Clock,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Sign with the keys."""
        self._keys = keys.derive("known devices")
        self._clock = clock
        self._token_bytes = token_bytes

    def find(self, connection: HTTPConnection, *, account: str) -> str | None:
        """Return which device a request comes from if it has signed in to an account before."""
        now = int(self._clock.now().timestamp())
        lifetime = LIFETIME.total_seconds()
        for entry in _read(connection):
            if 0 <= now - entry.issued < lifetime and self._fits(entry, account):
                return entry.device
        return None

    def remember(self, connection: HTTPConnection, response: Response, *, account: str) -> None:
        """Make the browser of a request known to an account that it has signed in to.

        A device that is known already stays the same one: else each success would give it another
        budget.
        """
        others = [entry for entry in _read(connection) if not self._fits(entry, account)]
        known = self.find(connection, account=account)
        device = known or _encode(self._token_bytes(_ID_BYTES))
        issued = int(self._clock.now().timestamp())
        entry = _Entry(device, issued, _sign(self._keys[0], f"{device}\0{issued}\0{account}"))
        response.set_cookie(
            COOKIE,
            "~".join(
                f"{each.device}.{each.issued:x}.{each.mac}"
                for each in [entry, *others][:MAX_ACCOUNTS]
            ),
            max_age=int(LIFETIME.total_seconds()),
            path="/",
            secure=True,
            httponly=True,
            samesite="strict",
        )

    def _fits(self, entry: _Entry, account: str) -> bool:
        signed = f"{entry.device}\0{entry.issued}\0{account}"
        return any(hmac.compare_digest(_sign(key, signed), entry.mac) for key in self._keys)


def _read(connection: HTTPConnection) -> list[_Entry]:
    value = connection.cookies.get(COOKIE, "")
    if len(value) > _MAX_LENGTH or not value.isascii():
        return []
    entries: list[_Entry] = []
    for part in value.split("~")[:MAX_ACCOUNTS]:
        device, _, rest = part.partition(".")
        issued, _, mac = rest.partition(".")
        try:
            entries.append(_Entry(device, int(issued, 16), mac))
        except ValueError:
            continue
    return entries


def _sign(key: bytes, text: str) -> str:
    mac = hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return _encode(mac[:_MAC_BYTES])


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode()
