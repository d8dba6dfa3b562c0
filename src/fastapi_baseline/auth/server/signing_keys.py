"""The keys that tokens are signed with: published before they sign, and for a while after.

Each process has them in memory, and looks at the database at most once a minute. What a key is good
for follows from the time, so that all processes change to the next one at the same moment, without
a job that does it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.security_events import (
    LogSecurityEvents,
    SecurityEvent,
    SecurityEvents,
)
from fastapi_baseline.auth.server.held_signing_keys import sign
from fastapi_baseline.auth.server.signing_key_changes import SigningKeyChanges
from fastapi_baseline.auth.server.signing_key_errors import SigningKeysUnavailableError
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.auth.server.signing_key_reading import KeyReading
from fastapi_baseline.auth.server.signing_key_storage import (
    KeyState,
    MakeKey,
    make_key,
    state_of,
)
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings.auth import AuthorizationServerSettings

with optional("joserfc", extra="auth"):
    from joserfc.jwk import Key

_SKEW = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSigningKey:
    """What is told of a key."""

    kid: str
    algorithm: str
    state: KeyState
    created_at: datetime
    activates_at: datetime
    retires_at: datetime | None


class SigningKeys:
    """The keys of an authorization server; a `KeySource` for those who verify its tokens."""

    def __init__(
        self,
        database: Database,
        *,
        keys: KeyRing,
        settings: AuthorizationServerSettings,
        clock: Clock | None = None,
        events: SecurityEvents | None = None,
        clock_skew: timedelta = _SKEW,
        make_key: MakeKey = make_key,
    ) -> None:
        """Keep keys in `database`, their private halves encrypted with `keys`."""
        self._settings = settings
        self._clock = clock or SystemClock()
        self._events = events or LogSecurityEvents()
        self._changes = SigningKeyChanges(
            database,
            keys=keys,
            settings=settings,
            clock=self._clock,
            clock_skew=clock_skew,
            make_key=make_key,
        )
        self._reading = KeyReading(
            database, keys=keys, clock=self._clock, make_first=self._make_first
        )
        self._held = self._reading.held

    @property
    def jwks(self) -> bytes:
        """Return the public halves (RFC 7517), also of the one that is next; from memory."""
        return self._held.jwks

    @property
    def algorithms(self) -> Sequence[str]:
        """Return what tokens are signed with that are to be believed, or will be."""
        found = {key.algorithm for key in self._held.published}
        return sorted(found or {self._settings.algorithm})

    async def refresh(self) -> None:
        """Read the keys again if that is due, and make the first of all if there is none.

        Call it before `sign`, which cannot wait.

        Raises:
            SigningKeysUnavailableError: If there is none to sign with.
        """
        await self._reading.read_if_due()
        if self._held.find_active() is None:
            raise SigningKeysUnavailableError

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return claims as a token, signed with the one key that is active.

        It takes as long as one signature: a third of a millisecond with RS256.

        Raises:
            SigningKeysUnavailableError: If there is none; call `refresh` before.
        """
        key = self._held.find_active()
        if key is None:
            raise SigningKeysUnavailableError
        return sign(key, claims, typ=typ)

    async def find_key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the public half of the key that a token with this header is signed with.

        Raises:
            SigningKeysUnavailableError: If nobody can tell at the moment.
        """
        await self._reading.read_if_due()
        found = self._held.find_public(kid, algorithm)
        if found is None:
            await self._reading.read_for_unknown()
            found = self._held.find_public(kid, algorithm)
        if found is None and not self._held.is_usable:
            raise SigningKeysUnavailableError
        return found

    async def list(self) -> Sequence[ListedSigningKey]:
        """Return all keys that are published, the one that signs last first, from the database."""
        keys, now = await self._reading.list(), self._clock.now()
        return [
            ListedSigningKey(
                kid=key.kid,
                algorithm=key.algorithm,
                state=state_of(key, keys, now),
                created_at=key.created_at,
                activates_at=key.activates_at,
                retires_at=key.retires_at,
            )
            for key in keys
        ]

    async def rotate(self, *, is_immediate: bool = False) -> ListedSigningKey:
        """Publish a new key, which signs after `key_notice`; or at once, for those who cannot wait.

        One that is published already then signs at once, and no other is made.

        Raises:
            RotationPendingError: If one is published already that will sign.
        """
        row = await self._changes.rotate(is_immediate=is_immediate)
        return await self._tell(row, "rotated")

    async def revoke(self, kid: str) -> ListedSigningKey:
        """Believe nothing any more that a key has signed; return the one that signs from now on.

        Other processes notice within a minute, and those who verify tokens elsewhere when they
        fetch the keys again.

        Raises:
            SigningKeyNotFoundError: If there is no such key.
        """
        row = await self._changes.revoke(kid)
        return await self._tell(row, "revoked", revoked=kid)

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Read the keys, and make the first; a database that is down keeps no service from starting."""
        del app
        try:
            # What is wrong is in the log, and is tried again when somebody needs a key.
            await self._reading.read()
            yield
        finally:
            await self._reading.close()

    async def _make_first(self) -> Sequence[OAuthSigningKey]:
        rows, is_first = await self._changes.make_first()
        if is_first:
            await self._record(rows[0].kid, "made")
        return rows

    async def _tell(self, row: OAuthSigningKey, change: str, **details: str) -> ListedSigningKey:
        await self._record(row.kid, change, **details)
        await self._reading.read()
        return next(key for key in await self.list() if key.kid == row.kid)

    async def _record(self, kid: str, change: str, **details: str) -> None:
        told = {"key": kid, "change": change, **details}
        await self._events.record(
            SecurityEvent(name="signing_key_changed", outcome="success", details=told)
        )
