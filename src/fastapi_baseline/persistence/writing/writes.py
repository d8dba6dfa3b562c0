"""Writes to entities one by one, or to as many as are given."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import delete, inspect, update
from sqlalchemy.orm import InstanceState

from fastapi_baseline.errors import ForbiddenError, NotFoundError
from fastapi_baseline.persistence.scope import ModelT
from fastapi_baseline.persistence.specification import Condition
from fastapi_baseline.persistence.writing.guarded import Action, Expected, GuardedWrites
from fastapi_baseline.persistence.writing.preconditions import check_versioned, version_conditions
from fastapi_baseline.persistence.writing.stamps import (
    check_settable,
    delete_values,
    insert_values,
    stamp_of,
    update_values,
)


class _RowWrites(GuardedWrites[ModelT]):
    """How rows are written, once it is known that the asker asks for something sensible."""

    async def _insert(self, entities: Sequence[ModelT]) -> None:
        for entity in entities:
            self._stamp(entity)
        check = self._policy.after("create") if self._policy else None
        async with self._undone_unless(check):
            self.session.add_all(entities)
            await self._flush()
            if check is not None:
                await self._check_new(entities, check)

    def _stamp(self, entity: ModelT) -> None:
        state: InstanceState[ModelT] = inspect(entity)
        if state.key is not None:  # it is stored
            return
        columns = self._shape.mapper.columns
        given = {name: value for name, value in state.dict.items() if name in columns}
        if self._policy is not None:
            self._policy.check_settable(given)
        for name, value in insert_values(self._shape, given).items():
            if name not in given or given[name] is not value:
                setattr(entity, name, value)

    async def _load(self, key: Any) -> ModelT:
        statement = self._start().where(*self._is(key)).options(*self._hidden())
        with self._translated():
            entity = (await self.session.scalars(statement)).unique().one_or_none()
        if entity is None:
            raise NotFoundError
        return entity

    async def _change(
        self, entity: ModelT, values: Mapping[str, Any], expected: Expected, *, action: Action
    ) -> ModelT:
        """Set attributes of a loaded entity."""
        await self._check_entity(entity, action, expected)
        check = self._check_of_update(values) if action == "update" else None
        async with self._undone_unless(check):
            for name, value in values.items():
                setattr(entity, name, value)
            await self._flush_expecting(expected)
            if check is not None:
                await self._check_new([entity], check)
        return entity

    async def _change_row(
        self,
        key: Any,
        values: Mapping[str, Any],
        expected: Expected,
        *,
        action: Action,
        also: Sequence[Condition] = (),
    ) -> ModelT:
        """Update a row with one statement, and return its entity."""
        where = [*self._is(key), *version_conditions(self._shape, expected), *also]
        check = self._check_of_update(values) if action == "update" else None
        statement = (
            update(self.model)
            .where(*self._writable(action, where))
            .values(dict(values))
            .returning(self.model, *([] if check is None else [check]))
            .options(*self._hidden())
            .execution_options(
                synchronize_session=False, populate_existing=True, **self._options(key)
            )
        )
        async with self._undone_unless(check):
            with self._translated():
                row = (await self.session.execute(statement)).first()
            if row is None:
                raise await self._refusal(key, action, expected, also=also)
            if check is not None and not row[-1]:
                # What is loaded has the values that are undone now.
                self.session.expire(row[0])
                raise ForbiddenError
        return row[0]

    async def _look_at_row(self, key: Any, expected: Expected) -> ModelT:
        """Return an entity that could be updated, for an update that changes nothing."""
        where = [*self._is(key), *version_conditions(self._shape, expected)]
        statement = self._start().where(*self._writable("update", where)).options(*self._hidden())
        statement = statement.execution_options(populate_existing=True)
        with self._translated():
            entity = (await self.session.scalars(statement)).unique().one_or_none()
        if entity is None:
            raise await self._refusal(key, "update", expected)
        return entity

    async def _delete_entity(self, entity: ModelT, expected: Expected) -> None:
        await self._check_entity(entity, "delete", expected)
        with self._translated():
            await self.session.delete(entity)
        await self._flush_expecting(expected)

    async def _delete_row(self, key: Any, expected: Expected) -> None:
        where = [*self._is(key), *version_conditions(self._shape, expected)]
        statement = (
            delete(self.model)
            .where(*self._writable("delete", where))
            .returning(*self._shape.key)
            .execution_options(synchronize_session="fetch", **self._options(key))
        )
        with self._translated():
            deleted = (await self.session.execute(statement)).first()
        if deleted is None:
            raise await self._refusal(key, "delete", expected)

    async def _delete_softly(self, target: Any, deleted_at: Any, expected: Expected) -> None:
        stamp = stamp_of(self.session, self._shape)
        is_loaded = isinstance(target, self.model)
        if not is_loaded and not self._shape.is_updated_loaded:
            values = delete_values(self._shape, stamp)
            also = [deleted_at.is_(None)]
            await self._change_row(target, values, expected, action="delete", also=also)
            return
        entity = target if is_loaded else await self._load(target)
        if getattr(entity, deleted_at.key) is not None:
            raise NotFoundError
        values = {deleted_at.key: stamp.moment}
        await self._change(entity, values, expected, action="delete")


class Writes(_RowWrites[ModelT]):
    """Adds, updates and deletes entities, each with one statement where the model allows it.

    One that is given by its key is not loaded before it is changed, unless its model is in several
    tables, deletes others with it, or makes its versions in a way of its own.

    `expected_version` is a version or what a client says of it (`IfMatch`).
    """

    async def add(self, entity: ModelT) -> ModelT:
        """Insert an entity, and return it with what the database has computed.

        Raises:
            UniqueViolationError: If its values are taken.
            ForbiddenError: If the policy allows no such entity; nothing is stored.
        """
        await self._insert([entity])
        return entity

    async def add_many(self, entities: Iterable[ModelT]) -> Sequence[ModelT]:
        """Insert entities, with one statement if the service makes their keys.

        Raises:
            UniqueViolationError: If the values of one are taken.
            ForbiddenError: If the policy does not allow one of them; nothing is stored.
        """
        added = [*entities]
        await self._insert(added)
        return added

    async def update(
        self, target: Any, values: Mapping[str, Any], *, expected_version: Expected = None
    ) -> ModelT:
        """Set attributes of an entity, given itself or by its key, and return it.

        Without values nothing changes, and the version and the policy are checked all the same.

        Raises:
            NotFoundError: If there is none.
            ForbiddenError: If the policy does not allow it; nothing is stored.
            VersionMismatchError: If it has another version than expected.
            StaleEntityError: If someone else has changed or removed it since it was loaded.
            UnknownAttributeError: If one of the names is no column that can be set.
        """
        check_settable(self._shape, values)
        if self._policy is not None:
            self._policy.check_settable(values)
        if expected_version is not None:
            check_versioned(self._shape)
        if isinstance(target, self.model):
            return await self._change(target, values, expected_version, action="update")
        if self._shape.is_updated_loaded:
            entity = await self._load(target)
            return await self._change(entity, values, expected_version, action="update")
        if not values:
            return await self._look_at_row(target, expected_version)
        values = {**values, **update_values(self._shape)}
        return await self._change_row(target, values, expected_version, action="update")

    async def patch(
        self, target: Any, body: BaseModel, *, expected_version: Expected = None
    ) -> ModelT:
        """Set those attributes of an entity that a client has sent, and return it.

        The fields of `body` are called like the attributes. It raises what `update` does.
        """
        values = body.model_dump(exclude_unset=True)
        return await self.update(target, values, expected_version=expected_version)

    async def delete(self, target: Any, *, expected_version: Expected = None) -> None:
        """Delete an entity, given itself or by its key; softly, if its model is so deleted.

        Raises:
            NotFoundError: If there is none.
            ForbiddenError: If the policy does not allow it.
            VersionMismatchError: If it has another version than expected.
            StaleEntityError: If someone else has changed or removed it since it was loaded.
            ForeignKeyViolationError: If something still refers to it.
        """
        if expected_version is not None:
            check_versioned(self._shape)
        if self._shape.deleted_at is not None:
            await self._delete_softly(target, self._shape.deleted_at, expected_version)
        elif isinstance(target, self.model):
            await self._delete_entity(target, expected_version)
        elif self._shape.is_deleted_loaded:
            await self._delete_entity(await self._load(target), expected_version)
        else:
            await self._delete_row(target, expected_version)
