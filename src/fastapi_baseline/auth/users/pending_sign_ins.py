"""Who has said the password, and not yet the code of the second factor.

It is kept in a cookie that only the service reads, so it is bound to the browser, and costs the
service nothing however many begin to sign in. It lets nobody in by itself.
"""

import hashlib
import json
from datetime import datetime, timedelta

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.encryption import KeyRing, UndecryptableError
from fastapi_baseline.auth.users.models import UserRecord, subject_of
from fastapi_baseline.clock import Clock

COOKIE = "__Host-sign-in"
LIFETIME = timedelta(minutes=5)
"""How long a user has for the code."""

_OWNER = "pending sign-in"
_MAX_LENGTH = 1024


class PendingSignIns:
    """Reads and writes the cookie of those who are about to sign in."""

    def __init__(self, keys: KeyRing, *, clock: Clock) -> None:
        """Encrypt with the keys."""
        self._keys = keys
        self._clock = clock

    def begin(self, response: Response, user: UserRecord) -> None:
        """Note that whoever gets the response has said the password of a user."""
        expires_at = self._clock.now() + LIFETIME
        text = json.dumps([subject_of(user), _state_of(user), expires_at.isoformat()])
        response.set_cookie(
            COOKIE,
            self._keys.encrypt(text, owner=_OWNER),
            max_age=int(LIFETIME.total_seconds()),
            path="/",
            secure=True,
            httponly=True,
            samesite="strict",
        )

    def find_subject(self, connection: HTTPConnection) -> str | None:
        """Return who has said the password in this browser, or `None` if nobody has lately."""
        found = self._read(connection)
        return None if found is None else found[0]

    def is_of(self, connection: HTTPConnection, user: UserRecord) -> bool:
        """Return whether it was this user, and nothing that matters has changed since."""
        return self._read(connection) == (subject_of(user), _state_of(user))

    def end(self, response: Response) -> None:
        """Make the browser forget it."""
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")

    def _read(self, connection: HTTPConnection) -> tuple[str, str] | None:
        value = connection.cookies.get(COOKIE, "")
        if not value or len(value) > _MAX_LENGTH:
            return None
        try:
            subject, state, expires_at = json.loads(self._keys.decrypt(value, owner=_OWNER))
        except UndecryptableError:
            return None
        if self._clock.now() >= datetime.fromisoformat(expires_at):
            return None
        return subject, state


def _state_of(user: UserRecord) -> str:
    """Return what changes when a user's password, address or admission does."""
    changed, disabled = user.password_changed_at, user.disabled_at
    text = json.dumps(
        [user.email, changed and changed.isoformat(), disabled and disabled.isoformat()]
    )
    return hashlib.sha256(text.encode()).hexdigest()
