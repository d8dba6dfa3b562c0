"""Entities that are only marked as deleted: out of sight, until they are restored or purged.

A model that derives from `SoftDelete` is hidden by the sessions of SQLAlchemy themselves, not by
repositories, so that no way of reading sees what is deleted: not a join, a relationship or an
EXISTS either. What no session can narrow still sees it: SELECTs on a `Table`, `text()`, and
entities that the session has loaded already, through `Session.get` or a many-to-one relationship.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Index, Insert, TextClause, delete, event, text, update
from sqlalchemy.orm import (
    InstrumentedAttribute,
    Mapped,
    Mapper,
    ORMExecuteState,
    Session,
    mapped_column,
    with_loader_criteria,
)

from fastapi_baseline.errors import ConfigurationError, ForbiddenError, NotFoundError
from fastapi_baseline.persistence.models import INCLUDE_DELETED, UTCDateTime, stamp_info
from fastapi_baseline.persistence.scope import ModelT, Where
from fastapi_baseline.persistence.specification import Condition
from fastapi_baseline.persistence.writing.guarded import Action, GuardedWrites
from fastapi_baseline.persistence.writing.stamps import restore_values


class SoftDelete:
    """When an entity was deleted; it stays stored, but nothing sees it.

    Who deleted it is in `updated_by`, if the model has it. What refers to it is left as it is.
    Statements with the execution option `INCLUDE_DELETED` see all, and so does a session that is
    made with it.
    """

    deleted_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime, info=stamp_info("deleted_at"), sort_order=105
    )


_PRESENT = with_loader_criteria(
    SoftDelete,
    lambda model: model.deleted_at.is_(None),
    include_aliases=True,
)


def unique_while_present(*columns: str) -> Index:
    """Return a unique index on what is not deleted: a deleted e-mail can be taken again.

    For `__table_args__` of a model that derives from `SoftDelete`.
    """
    present = text("deleted_at IS NULL")
    return Index(None, *columns, unique=True, postgresql_where=present, sqlite_where=present)


@event.listens_for(SoftDelete, "instrument_class", propagate=True)
def _hide_from_now_on(mapper: Mapper[Any], model: type[Any]) -> None:
    """Make all sessions pass over what is deleted, once there is anything that can be."""
    del mapper, model
    if not event.contains(Session, "do_orm_execute", _hide):
        event.listen(Session, "do_orm_execute", _hide)


def _hide(execution: ORMExecuteState) -> None:
    statement = execution.statement
    if execution.execution_options.get(INCLUDE_DELETED) or isinstance(statement, TextClause):
        return
    if isinstance(statement, Insert) and statement.select is None:
        return
    if execution.is_update and execution.is_executemany:
        _hide_from_bulk_update(execution)
        return
    # What is loaded later for an entity has the option from the statement that loaded the entity.
    if _PRESENT not in getattr(statement, "_with_options", ()):
        execution.statement = cast("Any", statement).options(_PRESENT)


def _hide_from_bulk_update(execution: ORMExecuteState) -> None:
    """Narrow an UPDATE of many rows by their keys, to which no loader criteria are applied."""
    mapper = execution.bind_mapper
    if mapper is None or not issubclass(mapper.class_, SoftDelete):
        return
    if len(mapper.tables) > 1:
        message = (
            f"{mapper.class_.__name__} is deleted softly and in several tables: update it by "
            "conditions, or pass the execution option INCLUDE_DELETED."
        )
        raise ConfigurationError(message)
    execution.statement = cast("Any", execution.statement).where(mapper.class_.deleted_at.is_(None))
    # With a condition, SQLAlchemy cannot tell which loaded entities it has changed.
    execution.update_execution_options(synchronize_session=None)


class _DeletedRows(GuardedWrites[ModelT]):
    """How rows are written that nobody else sees."""

    @property
    def _deleted_at(self) -> InstrumentedAttribute[datetime | None]:
        if self._shape.deleted_at is None:
            message = f"{self.model.__name__} is not deleted softly: derive it from SoftDelete."
            raise ConfigurationError(message)
        return self._shape.deleted_at

    async def _restore(self, key: Any, deleted_at: InstrumentedAttribute[Any]) -> ModelT:
        widened: _DeletedRows[ModelT] = self.with_deleted()
        if self._shape.is_updated_loaded:
            return await widened._restore_loaded(key, deleted_at)
        return await widened._restore_row(key, deleted_at)

    async def _restore_row(self, key: Any, deleted_at: InstrumentedAttribute[Any]) -> ModelT:
        values = restore_values(self._shape)
        check = self._check_of_update(values)
        where = [*self._is(key), deleted_at.is_not(None)]
        statement = (
            update(self.model)
            .where(*self._writable("update", where))
            .values(values)
            .returning(self.model)
            .options(*self._hidden())
            .execution_options(
                synchronize_session=False, populate_existing=True, **self._options(key)
            )
        )
        async with self._undone_unless(check):
            with self._translated():
                entity = (await self.session.scalars(statement)).one_or_none()
            if entity is None:
                raise await self._refusal(key, "update", None, also=where)
            if check is not None:
                await self._check_restored(entity, check)
        return entity

    async def _check_restored(self, entity: ModelT, check: Condition) -> None:
        # In a statement of its own: SQLite 3.40 takes a column in RETURNING for another one when it
        # asks whether that is NULL.
        try:
            await self._check_new([entity], check)
        except ForbiddenError:
            # What is loaded has the values that are undone now.
            self.session.expire(entity)
            raise

    async def _restore_loaded(self, key: Any, deleted_at: InstrumentedAttribute[Any]) -> ModelT:
        entity = await self._load_deleted(key, deleted_at, action="update")
        check = self._check_of_update([deleted_at.key])
        async with self._undone_unless(check):
            setattr(entity, deleted_at.key, None)
            await self._flush()
            if check is not None:
                await self._check_new([entity], check)
        return entity

    async def _purge(self, key: Any, deleted_at: InstrumentedAttribute[Any]) -> None:
        widened: _DeletedRows[ModelT] = self.with_deleted()
        if self._shape.is_deleted_loaded:
            await widened._purge_loaded(key, deleted_at)
        else:
            await widened._purge_row(key, deleted_at)

    async def _purge_row(self, key: Any, deleted_at: InstrumentedAttribute[Any]) -> None:
        where = [*self._is(key), deleted_at.is_not(None)]
        statement = (
            delete(self.model)
            .where(*self._writable("delete", where))
            .returning(*self._shape.key)
            .execution_options(synchronize_session="fetch", **self._options(key))
        )
        with self._translated():
            purged = (await self.session.execute(statement)).first()
        if purged is None:
            raise await self._refusal(key, "delete", None, also=where)

    async def _purge_loaded(self, key: Any, deleted_at: InstrumentedAttribute[Any]) -> None:
        session = self.session.sync_session
        seen = session.execution_options
        # What goes with it goes too, deleted or not.
        session.execution_options = seen.union(self._options())
        try:
            entity = await self._load_deleted(key, deleted_at, action="delete")
            with self._translated():
                await self.session.delete(entity)
            await self._flush()
        finally:
            session.execution_options = seen

    async def _purge_rows(self, conditions: list[Condition]) -> int:
        await self._flush()
        widened: _DeletedRows[ModelT] = self.with_deleted()
        statement = (
            delete(self.model)
            .where(*widened._writable("delete", conditions))
            .execution_options(synchronize_session=False, **widened._options())
        )
        with self._translated():
            result = await self.session.execute(statement)
        return cast("CursorResult[Any]", result).rowcount

    async def _load_deleted(
        self, key: Any, deleted_at: InstrumentedAttribute[Any], *, action: Action
    ) -> ModelT:
        statement = self._start().where(*self._is(key), deleted_at.is_not(None))
        statement = statement.options(*self._hidden())
        with self._translated():
            entity = (await self.session.scalars(statement)).unique().one_or_none()
        if entity is None:
            raise NotFoundError
        await self._check_entity(entity, action, None)
        return entity


class Restores(_DeletedRows[ModelT]):
    """Brings back what was deleted softly, or removes it for good."""

    async def restore(self, key: Any) -> ModelT:
        """Bring back a deleted entity, and return it; the `update` of a policy says who may.

        Raises:
            NotFoundError: If there is none, or it is not deleted.
            ForbiddenError: If the policy does not allow it; nothing is stored.
            UniqueViolationError: If its values have been taken meanwhile.
            ConfigurationError: If the model is not deleted softly.
        """
        return await self._restore(key, self._deleted_at)

    async def purge(self, key: Any) -> None:
        """Remove an entity for good that was deleted; the `delete` of a policy says who may.

        Raises:
            NotFoundError: If there is none, or it is not deleted: delete it first.
            ForbiddenError: If the policy does not allow it.
            ForeignKeyViolationError: If something still refers to it, deleted or not.
            ConfigurationError: If the model is not deleted softly.
        """
        await self._purge(key, self._deleted_at)

    async def purge_where(self, *where: Where[ModelT], before: datetime | None = None) -> int:
        """Remove all deleted entities that meet every condition, and return how many do.

        It is one statement for any number of them, and it passes over what is not deleted. Give
        `before` to keep what was deleted later. Entities that are loaded are not told of it.

        Raises:
            ForeignKeyViolationError: If something still refers to one of them, deleted or not.
            ConfigurationError: If the model is not deleted softly, or is in several tables.
        """
        deleted_at = self._deleted_at
        if self._shape.is_spread:
            message = f"{self.model.__name__} is in several tables: purge its entities one by one."
            raise ConfigurationError(message)
        conditions = [*self._conditions(where), deleted_at.is_not(None)]
        if before is not None:
            conditions.append(deleted_at < before)
        return await self._purge_rows(conditions)
