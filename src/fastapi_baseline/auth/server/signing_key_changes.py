"""How signing keys change: each change in a transaction, and in turn with those of other processes."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.server.signing_key_errors import (
    RotationPendingError,
    SigningKeyNotFoundError,
)
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.auth.server.signing_key_storage import (
    MakeKey,
    PrivateKey,
    find_active,
    make_row,
    read_rows,
)
from fastapi_baseline.clock import Clock
from fastapi_baseline.persistence import Database, WriteSession
from fastapi_baseline.settings.auth import AuthorizationServerSettings

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import func, select

NOTICED_WITHIN = timedelta(minutes=1)
"""How long a process believes what it has read; so long a key that is revoked is good elsewhere."""

_TURN = int.from_bytes(hashlib.sha256(b"fastapi-baseline signing keys").digest()[:8], signed=True)


class SigningKeyChanges:
    """Makes, changes and removes the keys of an authorization server in its database."""

    def __init__(
        self,
        database: Database,
        *,
        keys: KeyRing,
        settings: AuthorizationServerSettings,
        clock: Clock,
        clock_skew: timedelta,
        make_key: MakeKey,
    ) -> None:
        """Encrypt the private halves of keys with `keys`."""
        self._database = database
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._make_key = make_key
        # What it has signed last is believed to its end, also by those whose clock is behind; who
        # has not noticed the next one signs with it for a while.
        self._overlap = settings.access_token_lifetime + clock_skew + NOTICED_WITHIN

    async def make_first(self) -> tuple[Sequence[OAuthSigningKey], bool]:
        """Return all keys, and whether one had to be made so that there is one that signs."""
        made = await self._make()
        async with self._database.transaction() as session:
            rows = await self._take_turn(session)
            now = self._clock.now()
            if find_active(rows, now) is not None:
                # Another process was faster.
                return rows, False
            row = self._row_of(made, now, notice=timedelta(0))
            session.add(row)
            return [row, *rows], True

    async def rotate(self, *, is_immediate: bool) -> OAuthSigningKey:
        """Add a key that signs after `key_notice`, or at once; remove those that are over.

        Raises:
            RotationPendingError: If one is there already that will sign.
        """
        made = await self._make()
        async with self._database.transaction() as session:
            rows = await self._take_turn(session)
            now = self._clock.now()
            waiting = [row for row in rows if row.activates_at > now]
            if waiting and not is_immediate:
                raise RotationPendingError(
                    f"Key {waiting[0].kid} is published already, and signs from "
                    f"{waiting[0].activates_at:%Y-%m-%d %H:%M} UTC on; with --now it does at once."
                )
            for row in rows:
                if row.retires_at is not None and row.retires_at <= now:
                    await session.delete(row)
            notice = timedelta(0) if is_immediate else self._settings.key_notice
            row = waiting[0] if waiting else self._row_of(made, now, notice=notice)
            row.activates_at = now + notice
            session.add(row)
            self._retire([other for other in rows if other is not row], row.activates_at)
        return row

    async def revoke(self, kid: str) -> OAuthSigningKey:
        """Remove a key; return the one that signs from now on, the next or else a new one.

        Raises:
            SigningKeyNotFoundError: If there is no such key.
        """
        made = await self._make()
        async with self._database.transaction() as session:
            rows = await self._take_turn(session)
            now = self._clock.now()
            revoked = next((row for row in rows if row.kid == kid), None)
            if revoked is None:
                raise SigningKeyNotFoundError
            left = [row for row in rows if row is not revoked]
            await session.delete(revoked)
            active = find_active(rows, now)
            if active is not None and active is not revoked:
                if not any(row.activates_at > now for row in left):
                    # Nothing takes its place any more.
                    active.retires_at = None
                return active
            waiting = [row for row in left if row.activates_at > now]
            row = waiting[-1] if waiting else self._row_of(made, now, notice=timedelta(0))
            row.activates_at = now
            session.add(row)
        return row

    def _retire(self, rows: Sequence[OAuthSigningKey], successor_signs_at: datetime) -> None:
        ends_at = successor_signs_at + self._overlap
        for row in rows:
            row.retires_at = ends_at if row.retires_at is None else min(row.retires_at, ends_at)

    def _row_of(self, made: PrivateKey, now: datetime, *, notice: timedelta) -> OAuthSigningKey:
        algorithm = self._settings.algorithm
        return make_row(made, algorithm=algorithm, ring=self._keys, now=now, notice=notice)

    async def _make(self) -> PrivateKey:
        # Before the transaction, and beside the requests: it takes long.
        return await asyncio.to_thread(self._make_key, self._settings.algorithm)

    async def _take_turn(self, session: WriteSession) -> list[OAuthSigningKey]:
        """Let those wait who change keys, until the transaction ends, and return all keys."""
        if session.get_bind().dialect.name != "sqlite":
            await session.execute(select(func.pg_advisory_xact_lock(_TURN)))
        # SQLite has one writer at a time anyway.
        return await read_rows(session)
