"""Writes to all rows that meet a condition, without loading them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, True_, Update, delete, inspect, select, update
from sqlalchemy.orm import lazyload

from fastapi_baseline.errors import ConfigurationError, ForbiddenError
from fastapi_baseline.persistence.errors import UnconditionedWriteError
from fastapi_baseline.persistence.models import INCLUDE_DELETED
from fastapi_baseline.persistence.scope import ModelT, Where, attribute_names
from fastapi_baseline.persistence.specification import Condition
from fastapi_baseline.persistence.writing.guarded import GuardedWrites
from fastapi_baseline.persistence.writing.stamps import (
    check_settable,
    delete_values,
    stamp_of,
    update_values,
)


class ConditionalWrites(GuardedWrites[ModelT]):
    """Updates and deletes rows by condition: one statement, and no entity is loaded for it.

    Something that every row meets is no condition: neither `Spec.all()`, nor a query of a client
    that asks for nothing. Whoever means all rows says `all_rows=True`. Of a query only its filters
    and its search count, not its limit.

    Entities that the session has loaded already are read again, with one statement more for some
    hundreds of them, so that they show what was written; those that are deleted cannot be read any
    more. What the database itself changes in other tables is not noticed.
    """

    async def update_where(
        self, *where: Where[ModelT], values: Mapping[str, Any], all_rows: bool = False
    ) -> int:
        """Set attributes of all rows that meet every condition, and return how many do.

        Values may be expressions: `{"total": Order.total + 1}`. If what the policy demands of a
        row may change with the values, the database tells of each row whether it still holds.

        Raises:
            UnconditionedWriteError: If there is no condition.
            ForbiddenError: If the policy does not allow a row as it would become; nothing is stored.
            UnknownAttributeError: If one of the names is no column that can be set.
            ConfigurationError: If the unit of work is needed to update the model.
        """
        check_settable(self._shape, values)
        if self._policy is not None:
            self._policy.check_settable(values)
        conditions = self._bounded(where, all_rows=all_rows)
        if not values:
            return 0
        return await self._update_rows(conditions, {**values, **update_values(self._shape)})

    async def delete_where(self, *where: Where[ModelT], all_rows: bool = False) -> int:
        """Delete all rows that meet every condition, and return how many did.

        They are deleted softly if the model is. Otherwise it is up to the database what becomes of
        rows that refer to them (`ON DELETE`): cascades of relationships take loaded entities.

        Raises:
            UnconditionedWriteError: If there is no condition.
            ForeignKeyViolationError: If something still refers to one of them.
            ConfigurationError: If the unit of work is needed to delete the model.
        """
        conditions = self._bounded(where, all_rows=all_rows)
        if self._shape.deleted_at is None:
            return await self._write(
                delete(self.model).where(*self._writable("delete", conditions))
            )
        conditions = [*conditions, self._shape.deleted_at.is_(None)]
        values = delete_values(self._shape, stamp_of(self.session, self._shape))
        return await self._write(
            update(self.model).where(*self._writable("delete", conditions)).values(values)
        )

    async def _update_rows(self, conditions: Sequence[Condition], values: dict[str, Any]) -> int:
        statement = update(self.model).where(*self._writable("update", conditions)).values(values)
        check = self._check_of_update(values)
        if check is None:
            return await self._write(statement)
        async with self._undone_unless(check):
            with self._translated():
                result = await self.session.scalars(
                    statement.returning(check), execution_options=self._rows_only()
                )
                met = result.all()
            if not all(met):
                raise ForbiddenError
        await self._read_again()
        return len(met)

    async def _write(self, statement: Update | Delete) -> int:
        await self._flush()
        with self._translated():
            result = await self.session.execute(statement, execution_options=self._rows_only())
        await self._read_again()
        return cast("CursorResult[Any]", result).rowcount

    def _rows_only(self) -> dict[str, Any]:
        return {"synchronize_session": False, **self._options()}

    def _bounded(self, where: Sequence[Where[ModelT]], *, all_rows: bool) -> list[Condition]:
        if self._shape.is_spread:
            message = f"{self.model.__name__} is in several tables: change loaded entities instead."
            raise ConfigurationError(message)
        conditions = self._conditions(where)
        if not all_rows and all(isinstance(condition, True_) for condition in conditions):
            raise UnconditionedWriteError
        return conditions

    async def _read_again(self) -> None:
        """Make entities that are loaded show what their rows have now."""
        session = self.session.sync_session
        loaded = {
            inspect(entity).identity: entity
            for entity in session.identity_map.values()
            if isinstance(entity, self.model)
        }
        hidden = self._policy.hidden if self._policy else ()
        columns = {*self._shape.mapper.columns.keys()}.difference(attribute_names(hidden))
        for entity in loaded.values():
            session.expire(entity, columns & inspect(entity).dict.keys())
        for key in loaded.keys() - await self._stored(loaded):
            # Whoever gets it next learns that it is gone.
            session.expire(loaded[key])

    async def _stored(self, keys: Collection[Any]) -> set[Any]:
        """Read rows into the entities that are loaded, and return the keys of those there are."""
        stored: set[Any] = set()
        every = select(self.model).options(*self._hidden(), lazyload("*"))
        for among in self._among(keys):
            with self._translated():
                found = await self.session.scalars(
                    every.where(among), execution_options={INCLUDE_DELETED: True}
                )
                stored.update(inspect(entity).identity for entity in found)
        return stored
