"""Sessions in the database of the service."""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.sessions.errors import SessionsUnavailableError
from fastapi_baseline.auth.sessions.models import AuthSession
from fastapi_baseline.auth.sessions.records import Owner, SessionRecord
from fastapi_baseline.auth.sessions.store import get_touch_interval
from fastapi_baseline.errors import DeadlineExceededError, UnavailableError
from fastapi_baseline.persistence import Database, ReadSession, WriteSession

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import ColumnElement, and_, delete, func, select, update

logger = logging.getLogger(__name__)

# How many of all sessions that are over each new one removes: more than one, so that the table
# shrinks, and few, so that nobody waits for it.
_SWEEP = 20
# Requests are not kept for longer by what they can do without, such as behind SQLite's one writer.
_TOUCH_TIMEOUT_S = 0.5
# A transaction that somebody else has begun may have seen a session before it changed.
_SELECT = select(AuthSession).execution_options(populate_existing=True)
_UPDATE = update(AuthSession).execution_options(synchronize_session=False)
_DELETE = delete(AuthSession).execution_options(synchronize_session=False)
_NEWEST_FIRST = (AuthSession.created_at.desc(), AuthSession.id.desc())


class DatabaseSessionStore:
    """A `SessionStore` in the table `auth_session`.

    Each method is a transaction of its own, so a session ends even if the request that ends it
    fails. On SQLite, which has one writer at a time, a route that has written would wait for
    itself: `within` its transaction it does not.
    """

    def __init__(self, database: Database, *, transaction: WriteSession | None = None) -> None:
        """Keep sessions in `database`, or in a `transaction` of it that somebody else commits."""
        self._database = database
        self._transaction = transaction

    def within(self, transaction: WriteSession) -> "DatabaseSessionStore":
        """Return the same store, whose changes are part of `transaction`."""
        return DatabaseSessionStore(self._database, transaction=transaction)

    async def add(
        self, digest: str, record: SessionRecord, *, idle_timeout: timedelta, max_per_owner: int
    ) -> int:
        """Keep a session, and return how many older ones of its owner ended to make room.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        now = record.last_seen_at
        async with self._writing() as session:
            await _take_turn(session, record.owner)
            await _sweep(session, now)
            ended = AuthSession.last_seen_at <= now - idle_timeout
            await _delete(session, and_(_is_of(record.owner), ended))
            session.add(AuthSession(digest=digest, **_values_of(record)))
            await session.flush()
            return await _end_oldest(session, record.owner, keeping=max_per_owner)

    async def find(
        self, digest: str, *, now: datetime, idle_timeout: timedelta
    ) -> SessionRecord | None:
        """Return a session that has not ended, and note that it is used.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        async with self._reading() as session:
            row = await session.scalar(_SELECT.where(AuthSession.digest == digest))
            record = None if row is None else _record_of(row)
        if record is None or record.has_ended(now, idle_timeout=idle_timeout):
            return None
        if now - record.last_seen_at >= get_touch_interval(idle_timeout):
            await self._touch(digest, now)
        return record

    async def replace(self, digest: str, new_digest: str, record: SessionRecord) -> bool:
        """Keep a session under another digest, and return whether it was there.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        changing = _UPDATE.where(AuthSession.digest == digest).values(
            digest=new_digest, **_values_of(record)
        )
        async with self._writing() as session:
            return await session.scalar(changing.returning(AuthSession.id)) is not None

    async def remove(self, digest: str) -> SessionRecord | None:
        """End a session, and return what it was; `None` if there is none.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        removing = _DELETE.where(AuthSession.digest == digest).returning(AuthSession)
        async with self._writing() as session:
            row = await session.scalar(removing)
            return None if row is None else _record_of(row)

    async def list(
        self, owner: Owner, *, now: datetime, idle_timeout: timedelta
    ) -> Sequence[SessionRecord]:
        """Return the sessions of somebody that have not ended, the newest first.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        theirs = _SELECT.where(_is_of(owner)).order_by(*_NEWEST_FIRST)
        async with self._reading() as session:
            records = [_record_of(row) for row in await session.scalars(theirs)]
        return [each for each in records if not each.has_ended(now, idle_timeout=idle_timeout)]

    async def remove_by_id(self, owner: Owner, session_id: str) -> bool:
        """End one session of somebody, and return whether it was there and theirs.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        async with self._writing() as session:
            return bool(await _delete(session, and_(_is_of(owner), AuthSession.id == session_id)))

    async def remove_all(self, owner: Owner, *, except_: str | None = None) -> int:
        """End all sessions of somebody but the one with the id `except_`; return how many.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        meant = _is_of(owner)
        if except_ is not None:
            meant = and_(meant, AuthSession.id != except_)
        async with self._writing() as session:
            await _take_turn(session, owner)
            return await _delete(session, meant)

    async def _touch(self, digest: str, now: datetime) -> None:
        own = _UPDATE.where(AuthSession.digest == digest, AuthSession.last_seen_at < now)
        try:
            async with asyncio.timeout(_TOUCH_TIMEOUT_S), self._writing() as session:
                await session.execute(own.values(last_seen_at=now))
        except (SessionsUnavailableError, TimeoutError) as error:
            # Who it is, is known; at worst the session ends too early.
            reason = error.__cause__ or error
            logger.warning("It could not be noted that a session is used: %r", reason)

    @property
    def _is_sqlite(self) -> bool:
        return self._database.engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[WriteSession]:
        own = self._transaction
        async with (
            _unavailable(),
            self._database.transaction() if own is None else nullcontext(own) as session,
        ):
            yield session

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[ReadSession]:
        # Not from a replica, which may not know yet that a session began or ended. On SQLite there
        # is none, and whoever writes would wait for others.
        database, own = self._database, self._transaction
        opened: AbstractAsyncContextManager[Any]
        if own is not None:
            opened = nullcontext(own)
        else:
            opened = database.read_transaction() if self._is_sqlite else database.transaction()
        async with _unavailable(), opened as session:
            yield session


@asynccontextmanager
async def _unavailable() -> AsyncGenerator[None]:
    try:
        yield
    except (UnavailableError, DeadlineExceededError) as error:
        raise SessionsUnavailableError(retry_after=error.retry_after) from error


def _is_of(owner: Owner) -> ColumnElement[bool]:
    return and_(AuthSession.issuer == owner.issuer, AuthSession.subject == owner.subject)


async def _delete(session: WriteSession, meant: ColumnElement[bool]) -> int:
    removing = _DELETE.where(meant).returning(AuthSession.digest)
    return len((await session.scalars(removing)).all())


async def _take_turn(session: WriteSession, owner: Owner) -> None:
    """Let those wait who change the sessions of the same owner, until the transaction ends.

    Otherwise one that begins would not be seen by those that end all.
    """
    if session.get_bind().dialect.name == "sqlite":
        return  # It has one writer at a time anyway.
    digest = hashlib.sha256(json.dumps(owner).encode("ascii")).digest()
    number = int.from_bytes(digest[:8], signed=True)
    await session.execute(select(func.pg_advisory_xact_lock(number)))


async def _sweep(session: WriteSession, now: datetime) -> None:
    over = select(AuthSession.digest).where(AuthSession.expires_at <= now).limit(_SWEEP)
    digests = (await session.scalars(over.with_for_update(skip_locked=True))).all()
    if digests:
        await _delete(session, AuthSession.digest.in_(digests))


async def _end_oldest(session: WriteSession, owner: Owner, *, keeping: int) -> int:
    theirs = select(AuthSession.digest).where(_is_of(owner)).order_by(*_NEWEST_FIRST)
    too_many = (await session.scalars(theirs.offset(keeping))).all()
    return await _delete(session, AuthSession.digest.in_(too_many)) if too_many else 0


def _values_of(record: SessionRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "issuer": record.issuer,
        "subject": record.subject,
        "client_id": record.client_id,
        "scopes": sorted(record.scopes),
        "roles": sorted(record.roles),
        "auth_time": record.auth_time,
        "acr": record.acr,
        "amr": sorted(record.amr),
        "created_at": record.created_at,
        "last_seen_at": record.last_seen_at,
        "expires_at": record.expires_at,
        "user_agent": record.user_agent,
        "address": record.address,
    }


def _record_of(row: AuthSession) -> SessionRecord:
    return SessionRecord(
        id=row.id,
        issuer=row.issuer,
        subject=row.subject,
        client_id=row.client_id,
        scopes=frozenset(row.scopes),
        roles=frozenset(row.roles),
        auth_time=row.auth_time,
        acr=row.acr,
        amr=frozenset(row.amr),
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        user_agent=row.user_agent,
        address=row.address,
    )
