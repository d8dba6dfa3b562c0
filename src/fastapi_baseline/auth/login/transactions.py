"""Sign-ins that are under way: what the service has to know when somebody comes back.

Each is in a cookie of its own, so that several tabs can sign in at a time. Only the service can read
it, and only the browser that began has it: whoever comes back without it began elsewhere, or was
made to begin by somebody else (RFC 9700, section 4.7).
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.encryption import KeyRing, UndecryptableError
from fastapi_baseline.auth.login.errors import LoginRefusedError
from fastapi_baseline.auth.sessions.records import from_microseconds, to_microseconds
from fastapi_baseline.clock import Clock

COOKIE_PREFIX = "__Host-tx-"
"""What the names of the cookies begin with; browsers let `__Host-` be set by this host only."""
MAX_TRANSACTIONS = 5
"""How many sign-ins may be under way in one browser; the oldest is given up if there is one more."""
MAX_COOKIE_BYTES = 6000
"""How long their cookies may be together: many servers take 8 kB of headers."""

_OWNER = "login transaction"
_SECRET_BYTES = 32
_NAME_LENGTH = 8
# Nobody has so many by us; the rest is not even looked at, and goes.
_MAX_EXAMINED = 20
_MAX_VALUE_LENGTH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One sign-in that is under way: what was sent to the provider, and where to go after it."""

    provider: str
    return_to: str
    started_at: datetime
    max_age_s: int | None = None
    """How long ago they may have proved who they are, if that matters."""
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def cookie_name(self) -> str:
        """Return the name of its cookie, which tells nothing of its state."""
        return _name_cookie(self.state)

    @property
    def digest(self) -> str:
        """Return what it is known by once it has come to its end."""
        return hashlib.sha256(self.state.encode()).hexdigest()

    def to_json(self) -> str:
        """Return it as text, with its secrets."""
        values = asdict(self) | {"started_at": to_microseconds(self.started_at)}
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` made a text of.

        Raises:
            ValueError: If it is no such text.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            values["started_at"] = from_microseconds(values["started_at"])
            return cls(**values)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError("This is no sign-in.") from error


class Transactions:
    """Begins sign-ins, and finds them again."""

    def __init__(
        self,
        keys: KeyRing,
        *,
        lifetime: timedelta,
        clock: Clock,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Let each take `lifetime`."""
        self._keys = keys
        self.lifetime = lifetime
        self._clock = clock
        self._token_bytes = token_bytes

    def make(self, *, provider: str, return_to: str, max_age_s: int | None = None) -> Transaction:
        """Return a new one; no secret of it has been there before."""
        return Transaction(
            provider=provider,
            return_to=return_to,
            max_age_s=max_age_s,
            started_at=self._clock.now(),
            state=self._make_secret(),
            nonce=self._make_secret(),
            verifier=self._make_secret(),
        )

    def keep(
        self, connection: HTTPConnection, response: Response, transaction: Transaction
    ) -> None:
        """Give it to the browser, which forgets the oldest ones if it has too many."""
        value = self._keys.encrypt(transaction.to_json(), owner=_OWNER)
        room = MAX_COOKIE_BYTES - len(value)
        for position, (name, length) in enumerate(self._list_newest_first(connection), start=2):
            room -= length
            if position > MAX_TRANSACTIONS or room < 0:
                self._delete(response, name)
        response.set_cookie(
            transaction.cookie_name,
            value,
            max_age=int(self.lifetime.total_seconds()),
            path="/",
            secure=True,
            httponly=True,
            # Not `strict`: it is a page of the provider that sends the browser back.
            samesite="lax",
        )

    def find(self, connection: HTTPConnection, state: str | None) -> Transaction:
        """Return the one that this browser has begun with this state.

        Raises:
            LoginRefusedError: If it has begun none, or it took too long.
        """
        if not state:
            raise LoginRefusedError("state")
        name = _name_cookie(state)
        values = [value for one, value in _read_cookies(connection) if one == name]
        # Whoever could add a second cookie would choose which of them counts.
        found = self._read(values[0]) if len(values) == 1 else None
        if found is None or not hmac.compare_digest(found.state.encode(), state.encode()):
            raise LoginRefusedError("state")
        if self._has_ended(found):
            raise LoginRefusedError("expired")
        return found

    def forget(self, connection: HTTPConnection, response: Response, state: str | None) -> None:
        """Make the browser forget the one with this state."""
        name = _name_cookie(state or "")
        if any(one == name for one, _ in _read_cookies(connection)):
            self._delete(response, name)

    def _list_newest_first(self, connection: HTTPConnection) -> list[tuple[str, int]]:
        """Return the names and lengths of all others; those that nothing can be made of come last."""
        found: dict[str, tuple[float, int]] = {}
        for position, (name, value) in enumerate(_read_cookies(connection)):
            one = self._read(value) if position < _MAX_EXAMINED else None
            is_alive = one is not None and not self._has_ended(one)
            since = one.started_at.timestamp() if one is not None and is_alive else 0.0
            # One that is over needs no room: it is as long as all of them may be.
            found[name] = (since, len(value) if is_alive else MAX_COOKIE_BYTES)
        ordered = sorted(found.items(), key=lambda item: item[1][0], reverse=True)
        return [(name, length) for name, (_, length) in ordered]

    def _read(self, value: str) -> Transaction | None:
        if len(value) > _MAX_VALUE_LENGTH:
            return None
        try:
            return Transaction.from_json(self._keys.decrypt(value, owner=_OWNER))
        except (UndecryptableError, ValueError):
            return None

    def _has_ended(self, transaction: Transaction) -> bool:
        return self._clock.now() - transaction.started_at >= self.lifetime

    def _make_secret(self) -> str:
        # 256 bits in 43 characters: what a verifier has at least (RFC 7636, section 4.1).
        random = self._token_bytes(_SECRET_BYTES)
        return base64.urlsafe_b64encode(random).rstrip(b"=").decode("ascii")

    @staticmethod
    def _delete(response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def _name_cookie(state: str) -> str:
    digest = hashlib.sha256(state.encode(errors="replace")).hexdigest()
    return f"{COOKIE_PREFIX}{digest[:_NAME_LENGTH]}"


def _read_cookies(connection: HTTPConnection) -> list[tuple[str, str]]:
    """Return the cookies of transactions, as often as they are there."""
    prefix = COOKIE_PREFIX.encode("ascii")
    pairs = [
        part.strip()
        for name, value in connection.scope["headers"]
        if name == b"cookie" and prefix in value
        for part in value.split(b";")
    ]
    found: list[tuple[str, str]] = []
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        # A name that was made up may have anything in it, and is sent back where it is deleted.
        suffix = name.removeprefix(prefix)
        if name.startswith(prefix) and len(suffix) == _NAME_LENGTH and suffix.isalnum():
            found.append((name.decode("ascii"), value.decode("latin-1")))
    return found
