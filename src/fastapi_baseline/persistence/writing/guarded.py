"""What keeps writes within the policy, the narrowing and the version that the asker expects."""

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from sqlalchemy import Column, ColumnClause, and_, func, inspect, literal, select, true
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import InstanceState
from sqlalchemy.sql import TextClause
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.sql.visitors import iterate

from fastapi_baseline.errors import BaselineError, ForbiddenError, NotFoundError
from fastapi_baseline.persistence.errors import StaleEntityError, VersionMismatchError
from fastapi_baseline.persistence.models import INCLUDE_DELETED
from fastapi_baseline.persistence.scope import ModelT, WritingScope
from fastapi_baseline.persistence.sessions.changes import CHANGED_KEY
from fastapi_baseline.persistence.specification import Condition
from fastapi_baseline.persistence.writing.preconditions import Precondition, is_expected, version_of
from fastapi_baseline.persistence.writing.returning import returnable

Action = Literal["update", "delete"]
Expected = int | Precondition | None

_KEYS_PER_STATEMENT = 500
_SEEING_ALL: dict[str, Any] = {"execution_options": {INCLUDE_DELETED: True}}


class GuardedWrites(WritingScope[ModelT]):
    """A scope whose writes are refused, undone and explained."""

    def _options(self, key: Any = None) -> dict[str, Any]:
        """Return the execution options of a statement; `key` is that of the row it changes."""
        options: dict[str, Any] = {} if key is None else {CHANGED_KEY: key}
        return {**options, INCLUDE_DELETED: True} if self._includes_deleted else options

    def _check_of_update(self, names: Iterable[str]) -> Condition | None:
        """Return what rows must meet after these attributes were set, unless they do anyway."""
        condition = self._policy.after("update") if self._policy else None
        if condition is None:
            return None
        columns = self._shape.mapper.columns
        set_anyway = [column for column in columns if getattr(column, "onupdate", None) is not None]
        changed = {*set_anyway, *(columns[name] for name in names)}
        return returnable(condition) if _may_depend_on(condition, changed) else None

    @asynccontextmanager
    async def _undone_unless(self, check: Condition | None) -> AsyncGenerator[None]:
        """Undo what happens inside if it raises; if there is nothing to check, nothing does so."""
        if check is None:
            yield
            return
        with self._translated():
            async with self.session.begin_nested():
                yield

    def _among(self, keys: Collection[tuple[Any, ...]]) -> Iterator[Condition]:
        """Yield conditions that say that a row has one of these keys, for some of them each."""
        every = [*keys] if len(self._shape.key) > 1 else [value for (value,) in keys]
        for start in range(0, len(every), _KEYS_PER_STATEMENT):
            yield self._key.in_(every[start : start + _KEYS_PER_STATEMENT])

    async def _check_new(self, entities: Sequence[ModelT], check: Condition) -> None:
        """Refuse entities that were flushed, if one of them does not meet the condition.

        Raises:
            ForbiddenError: If one does not; what was flushed is not undone here.
        """
        mapper = self._shape.mapper
        keys = [tuple(mapper.primary_key_from_instance(entity)) for entity in entities]
        counting = select(func.count()).select_from(self.model).where(check)
        met = 0
        for among in self._among(keys):
            with self._translated():
                met += await self.session.scalar(counting.where(among), **_SEEING_ALL) or 0
        if met != len(keys):
            raise ForbiddenError

    async def _attach(self, entity: ModelT) -> tuple[Any, ...]:
        """Take an entity into the session, with what it was loaded with, and return its key."""
        state: InstanceState[ModelT] = inspect(entity)
        if state.transient:
            raise InvalidRequestError(f"{self.model.__name__} is not stored: add it first.")
        self.session.add(entity)  # one of a session that has ended belongs to none
        if state.pending:
            await self._flush()
        key = state.identity or ()
        if state.expired:
            with self._translated():
                found = await self.session.get(
                    self.model, key, options=self._hidden(), **_SEEING_ALL
                )
            if found is None:
                raise NotFoundError
        return key

    async def _check_entity(self, entity: ModelT, action: Action, expected: Expected) -> None:
        """Refuse to change an entity that is loaded, if it may not be or has another version.

        What the policy says is asked of the row, which stays locked.

        Raises:
            NotFoundError: If it is out of sight.
            ForbiddenError: If the policy does not allow it.
            VersionMismatchError: If it has another version than expected.
        """
        key = await self._attach(entity)
        if self._narrows or (self._policy is not None and self._policy.before(action)):
            allowed = select(literal(1)).select_from(self.model)
            allowed = allowed.where(*self._writable(action, self._is(key)))
            allowed = allowed.with_for_update(of=self.model)
            with self._translated():
                found = await self.session.scalar(allowed, execution_options=self._options())
            if found is None:
                raise await self._refusal(key, action, expected)
        if not is_expected(version_of(entity, self._shape), expected):
            raise VersionMismatchError

    async def _flush_expecting(self, expected: Expected) -> None:
        try:
            await self._flush()
        except StaleEntityError as error:
            if expected is None:
                raise
            raise VersionMismatchError from error

    async def _refusal(
        self, key: Any, action: Action, expected: Expected, *, also: Sequence[Condition] = ()
    ) -> BaselineError:
        """Return why no row was changed; what it met or did not meet is asked only now."""
        if self._policy is None and expected is None:
            return NotFoundError()
        readable = self._policy.readable if self._policy else ()
        allowed = self._policy.before(action) if self._policy else ()
        version = literal(None) if self._shape.version is None else self._shape.version
        statement = (
            self.select()
            .where(*self._is(key), *readable, *also)
            .order_by(None)
            .with_only_columns(version, and_(true(), *allowed), maintain_column_froms=True)
        )
        with self._translated():
            result = await self.session.execute(statement, execution_options=self._options())
            row = result.first()
        if row is None:
            return NotFoundError()
        if not row[1]:
            return ForbiddenError()
        # If everything fits by now, someone else has changed it between the two statements.
        return StaleEntityError() if is_expected(row[0], expected) else VersionMismatchError()


def _may_depend_on(condition: Condition, changed: Collection[Any]) -> bool:
    """Return whether a condition may change its mind when these columns change."""
    return any(
        part in changed
        if isinstance(part, Column)
        else isinstance(part, ColumnClause | TextClause | ReturnsRows)
        for part in iterate(condition)
    )
