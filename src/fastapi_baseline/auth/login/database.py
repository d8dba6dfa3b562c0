"""What signing in with a provider remembers, in the database of the service."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.login.models import AuthLoginEntry, AuthLoginGroup
from fastapi_baseline.auth.login.store import Stored
from fastapi_baseline.auth.sessions.errors import SessionsUnavailableError
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import DeadlineExceededError, UnavailableError
from fastapi_baseline.persistence import Database, WriteSession

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import delete, select, update
    from sqlalchemy.dialects import postgresql, sqlite

# How many of all values that are over each new one removes: more than one, so that the table
# shrinks, and few, so that nobody waits for it.
_SWEEP = 20
_UPDATE = update(AuthLoginEntry).execution_options(synchronize_session=False)
_DELETE = delete(AuthLoginEntry).execution_options(synchronize_session=False)


class DatabaseLoginStore:
    """A `LoginStore` in the tables `auth_login_entry` and `auth_login_group`.

    Each method is a transaction of its own, so what is used up stays so, even if the request fails.
    On SQLite, which has one writer at a time, a route that has written would wait for itself.
    """

    def __init__(self, database: Database, *, clock: Clock | None = None) -> None:
        """Keep values in `database`."""
        self._database = database
        self._clock = clock or SystemClock()

    async def add_if_absent(
        self, key: str, value: str, *, lifetime: timedelta, groups: Sequence[str] = ()
    ) -> bool:
        """Keep a value for `lifetime`, and return whether there was none.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        now = self._clock.now()
        values = {"key": key, "value": value, "version": 1, "expires_at": now + lifetime}
        async with self._writing() as session:
            await _sweep(session, now)
            await session.execute(
                _DELETE.where(AuthLoginEntry.key == key, AuthLoginEntry.expires_at <= now)
            )
            # The second of two waits for the first, and then does nothing.
            adding = (
                sqlite.insert(AuthLoginEntry)
                if self._is_sqlite
                else postgresql.insert(AuthLoginEntry)
            )
            added = adding.values(values).on_conflict_do_nothing().returning(AuthLoginEntry.key)
            if await session.scalar(added) is None:
                return False
            session.add_all(AuthLoginGroup(name=group, entry_key=key) for group in groups)
            await session.flush()
            return True

    async def get(self, key: str) -> Stored | None:
        """Return a value; `None` if there is none.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        wanted = select(AuthLoginEntry.value, AuthLoginEntry.version).where(self._is_there(key))
        async with self._reading() as session:
            row = (await session.execute(wanted)).one_or_none()
        return None if row is None else Stored(row.value, row.version)

    async def take(self, key: str) -> str | None:
        """Remove a value, and return it to one caller only; `None` if there is none.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        taking = _DELETE.where(self._is_there(key)).returning(AuthLoginEntry.value)
        async with self._writing() as session:
            return await session.scalar(taking)

    async def replace_if(self, key: str, value: str, *, version: int, lifetime: timedelta) -> bool:
        """Keep another value if nobody else has replaced it; return whether that is so.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        replacing = _UPDATE.where(self._is_there(key), AuthLoginEntry.version == version).values(
            value=value, version=version + 1, expires_at=self._clock.now() + lifetime
        )
        async with self._writing() as session:
            return await session.scalar(replacing.returning(AuthLoginEntry.key)) is not None

    async def remove(self, key: str, *, version: int | None = None) -> bool:
        """Remove a value, if it has still that version; return whether it was there and had.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        removing = _DELETE.where(self._is_there(key)).returning(AuthLoginEntry.key)
        if version is not None:
            removing = removing.where(AuthLoginEntry.version == version)
        async with self._writing() as session:
            return await session.scalar(removing) is not None

    async def list_group(self, group: str) -> Sequence[str]:
        """Return the keys of a group, in no order.

        Raises:
            SessionsUnavailableError: If the database does not answer.
        """
        theirs = (
            select(AuthLoginEntry.key)
            .join(AuthLoginGroup, AuthLoginGroup.entry_key == AuthLoginEntry.key)
            .where(AuthLoginGroup.name == group, AuthLoginEntry.expires_at > self._clock.now())
        )
        async with self._reading() as session:
            return (await session.scalars(theirs)).all()

    def _is_there(self, key: str) -> Any:
        return (AuthLoginEntry.key == key) & (AuthLoginEntry.expires_at > self._clock.now())

    @property
    def _is_sqlite(self) -> bool:
        return self._database.engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[WriteSession]:
        async with _unavailable(), self._database.transaction() as session:
            yield session

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[Any]:
        # Not from a replica, which may not know yet what was used up. On SQLite there is none, and
        # whoever writes would wait for others.
        database = self._database
        opened: AbstractAsyncContextManager[Any]
        opened = database.read_transaction() if self._is_sqlite else database.transaction()
        async with _unavailable(), opened as session:
            yield session


async def _sweep(session: WriteSession, now: datetime) -> None:
    over = select(AuthLoginEntry.key).where(AuthLoginEntry.expires_at <= now).limit(_SWEEP)
    keys = (await session.scalars(over.with_for_update(skip_locked=True))).all()
    if keys:
        await session.execute(_DELETE.where(AuthLoginEntry.key.in_(keys)))


@asynccontextmanager
async def _unavailable() -> AsyncGenerator[None]:
    try:
        yield
    except (UnavailableError, DeadlineExceededError) as error:
        raise SessionsUnavailableError(retry_after=error.retry_after) from error
