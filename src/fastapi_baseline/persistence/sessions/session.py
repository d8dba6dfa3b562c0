"""What routes and repositories are given: a session that only reads, or one that writes too."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, TypeVarTuple, overload

from sqlalchemy import CompoundSelect, Result, ScalarResult, Select, TextualSelect
from sqlalchemy.ext.asyncio import (
    AsyncResult,
    AsyncScalarResult,
    AsyncSession,
    AsyncSessionTransaction,
)
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from fastapi_baseline.persistence.errors import CommitInTransactionError
from fastapi_baseline.persistence.sessions.hooks import Hook, Hooks

CURSOR_KEY = "fastapi_baseline_cursor_key"
"""What `session.info` has for the sessions of a `Database`: a function without parameters that
returns the key that page cursors are signed with, or raises `ConfigurationError`."""

UNIT_OF_WORK = "fastapi_baseline_unit_of_work"
"""What `session.info` has for a session whose transaction ends with the block that it was made
for."""

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Values = Mapping[str, Any] | None
_Options = Mapping[str, Any]
_AnyRow = tuple[Any, ...]
_Reading = Select[*_AnyRow] | CompoundSelect[*_AnyRow] | TextualSelect


class ReadSession(Protocol):
    """A session that is only read from. As far as types go, any `AsyncSession` is one.

    A statement is a SELECT, or a set operation on them; text says that it reads by naming its
    columns, `text("SELECT ...").columns(...)`. The database refuses what a type does not show.
    """

    @property
    def info(self) -> dict[Any, Any]:
        """Return what is noted about the session."""
        ...

    @overload
    async def execute(
        self,
        statement: Select[*_Ts] | CompoundSelect[*_Ts],
        params: _Values = None,
        *,
        execution_options: _Options = ...,
    ) -> Result[*_Ts]: ...
    @overload
    async def execute(
        self, statement: TextualSelect, params: _Values = None, *, execution_options: _Options = ...
    ) -> Result[*_AnyRow]: ...
    async def execute(
        self, statement: _Reading, params: _Values = None, *, execution_options: _Options = ...
    ) -> Result[*_AnyRow]:
        """Return the rows of a statement."""
        ...

    @overload
    async def scalar(
        self,
        statement: Select[_T] | CompoundSelect[_T],
        params: _Values = None,
        *,
        execution_options: _Options = ...,
    ) -> _T | None: ...
    @overload
    async def scalar(
        self, statement: TextualSelect, params: _Values = None, *, execution_options: _Options = ...
    ) -> Any: ...
    async def scalar(
        self, statement: _Reading, params: _Values = None, *, execution_options: _Options = ...
    ) -> Any:
        """Return the first column of the first row, or `None` if there is no row."""
        ...

    @overload
    async def scalars(
        self,
        statement: Select[_T] | CompoundSelect[_T],
        params: _Values = None,
        *,
        execution_options: _Options = ...,
    ) -> ScalarResult[_T]: ...
    @overload
    async def scalars(
        self, statement: TextualSelect, params: _Values = None, *, execution_options: _Options = ...
    ) -> ScalarResult[Any]: ...
    async def scalars(
        self, statement: _Reading, params: _Values = None, *, execution_options: _Options = ...
    ) -> ScalarResult[Any]:
        """Return the first column of all rows."""
        ...

    @overload
    async def stream(
        self,
        statement: Select[*_Ts] | CompoundSelect[*_Ts],
        params: _Values = None,
        *,
        execution_options: _Options = ...,
    ) -> AsyncResult[*_Ts]: ...
    @overload
    async def stream(
        self, statement: TextualSelect, params: _Values = None, *, execution_options: _Options = ...
    ) -> AsyncResult[*_AnyRow]: ...
    async def stream(
        self, statement: _Reading, params: _Values = None, *, execution_options: _Options = ...
    ) -> AsyncResult[*_AnyRow]:
        """Return the rows as they arrive."""
        ...

    @overload
    async def stream_scalars(
        self,
        statement: Select[_T] | CompoundSelect[_T],
        params: _Values = None,
        *,
        execution_options: _Options = ...,
    ) -> AsyncScalarResult[_T]: ...
    @overload
    async def stream_scalars(
        self, statement: TextualSelect, params: _Values = None, *, execution_options: _Options = ...
    ) -> AsyncScalarResult[Any]: ...
    async def stream_scalars(
        self, statement: _Reading, params: _Values = None, *, execution_options: _Options = ...
    ) -> AsyncScalarResult[Any]:
        """Return the first column of the rows as they arrive."""
        ...

    async def get(
        self,
        entity: type[_T],
        ident: Any,
        *,
        options: Sequence[ORMOption] | None = None,
        populate_existing: bool | None = None,
        execution_options: _Options = ...,
    ) -> _T | None:
        """Return the entity with a primary key, or `None`; what is loaded is not read again."""
        ...

    async def get_one(
        self,
        entity: type[_T],
        ident: Any,
        *,
        options: Sequence[ORMOption] | None = None,
        populate_existing: bool | None = None,
        execution_options: _Options = ...,
    ) -> _T:
        """Return the entity with a primary key.

        Raises:
            NoResultFound: If there is none; leaving the transaction, it is a `NotFoundError`.
        """
        ...

    async def refresh(self, instance: object, attribute_names: Iterable[str] | None = None) -> None:
        """Read the columns of an entity again."""
        ...

    def begin_nested(self) -> AsyncSessionTransaction:
        """Begin a savepoint, so that a statement that fails can be passed over."""
        ...

    async def rollback(self) -> None:
        """End the transaction before its block, so that a failed statement is no error any more."""
        ...


class _WriteSession(Session):
    def commit(self) -> None:
        if self.info.get(UNIT_OF_WORK):
            raise CommitInTransactionError
        super().commit()


class WriteSession(AsyncSession):
    """A session that writes, and knows what to do when it has.

    Inside of a `Transaction`, the end of the block commits; `rollback()` gives up what was written,
    and the block then ends without a commit.
    """

    sync_session_class = _WriteSession
    _hooks: Hooks | None = None

    def on_commit(self, hook: Hook) -> None:
        """Call `hook`, and await it, when all of this is committed, before a response is sent.

        It is dropped if the transaction, or the savepoint that it is registered in, is rolled back.
        It needs a transaction of its own to use the database. One that fails is logged: what was
        committed stays so.
        """
        self._hooks_of_session().add("commit", hook)

    def on_rollback(self, hook: Hook) -> None:
        """Call `hook`, and await it, when the transaction has ended, if this was rolled back.

        That is the transaction, or the savepoint that it is registered in.
        """
        self._hooks_of_session().add("rollback", hook)

    async def commit(self) -> None:
        """Commit what was written, and call the hooks.

        Raises:
            CommitInTransactionError: In a `Transaction`, whose end does that.
        """
        await super().commit()
        await self._run_hooks()

    async def rollback(self) -> None:
        """Give up what was written; hooks are called at the end of a `Transaction`."""
        await super().rollback()
        if not self.info.get(UNIT_OF_WORK):
            await self._run_hooks()

    async def close(self) -> None:
        """Give the connection back, and call the hooks that have not been called yet."""
        await super().close()
        await self._run_hooks()

    def _hooks_of_session(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks(self.sync_session)
        if not self.in_transaction() and not self.info.get(UNIT_OF_WORK):
            self.sync_session.begin()  # A session of one's own begins by itself, too.
        return self._hooks

    async def _run_hooks(self) -> None:
        if self._hooks is not None:
            await self._hooks.run()
