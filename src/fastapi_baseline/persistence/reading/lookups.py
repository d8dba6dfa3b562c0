"""Reads of entities one by one: by their keys, or with a statement."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select

from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.persistence.loading import NOTHING_ELSE, Load
from fastapi_baseline.persistence.models import INCLUDE_DELETED
from fastapi_baseline.persistence.reading.keys import has_key, have_keys, is_within, key_of
from fastapi_baseline.persistence.reading.locking import Lock
from fastapi_baseline.persistence.reading.selection import Selecting
from fastapi_baseline.persistence.scope import ModelT

FoundT = TypeVar("FoundT")


class Lookups(Selecting[ModelT]):
    """Reads single entities that the asker may see.

    `load` says what comes along: the name of a plan in `loads`, or loader options of SQLAlchemy.
    """

    async def get(self, key: Any, *, load: Load | None = None, lock: Lock | None = None) -> ModelT:
        """Return an entity by its primary key; a tuple, if the key is composite.

        Raises:
            NotFoundError: If there is none that the asker may see.
            InvalidKeyError: If the key has not the values that the model's has.
            LockTimeoutError: If it stays locked.
        """
        return _present(await self.find(key, load=load, lock=lock))

    async def find(
        self, key: Any, *, load: Load | None = None, lock: Lock | None = None
    ) -> ModelT | None:
        """Return an entity by its primary key, or `None`; without a query if it is loaded.

        With a load plan or a lock it is read in any case.
        """
        values = key_of(self._shape, key)
        if values is None:
            return None
        with self._translated():
            is_plain = load is None and lock is None and self._policy is None and not self._narrows
            if is_plain and is_within(self._shape, values):
                return await self._identified(key)
            statement = self._matching(()).where(has_key(self._shape, values))
            return await self._only(statement, load=load, lock=lock)

    async def get_many(self, keys: Iterable[Any], *, load: Load | None = None) -> Sequence[ModelT]:
        """Return the entities with these keys, in their order, with one statement.

        Raises:
            NotFoundError: If one is missing.
        """
        wanted = [_present(key_of(self._shape, key)) for key in keys]
        matching = self._matching(()).options(*self._plan(load), NOTHING_ELSE)
        found: dict[tuple[Any, ...], ModelT] = {}
        identify = self._shape.mapper.primary_key_from_instance
        with self._translated():
            for condition in have_keys(self._shape, wanted):
                result = await self.session.scalars(matching.where(condition))
                found |= {tuple(identify(entity)): entity for entity in result.unique()}
        return [_present(found.get(key)) for key in wanted]

    async def one(
        self, statement: Select[ModelT], *, load: Load | None = None, lock: Lock | None = None
    ) -> ModelT:
        """Return the entity that a statement selects.

        Raises:
            NotFoundError: If there is none that the asker may see.
            sqlalchemy.exc.MultipleResultsFound: If there are several.
        """
        return _present(await self.find_one(statement, load=load, lock=lock))

    async def find_one(
        self, statement: Select[ModelT], *, load: Load | None = None, lock: Lock | None = None
    ) -> ModelT | None:
        """Return the entity that a statement selects, or `None`.

        Raises:
            sqlalchemy.exc.MultipleResultsFound: If there are several.
        """
        with self._translated():
            return await self._only(
                self._matching((), statement).options(NOTHING_ELSE), load=load, lock=lock
            )

    async def _identified(self, key: Any) -> ModelT | None:
        options = {INCLUDE_DELETED: True} if self._includes_deleted else {}
        entity: Any = await self.session.get(self.model, key, execution_options=options)
        deleted_at = self._shape.deleted_at
        if deleted_at is None or self._includes_deleted or entity is None:
            return entity
        # What is loaded is given back without a look at the table, and so without its criteria.
        return entity if getattr(entity, deleted_at.key) is None else None

    async def _only(
        self, statement: Select[Any], *, load: Load | None, lock: Lock | None
    ) -> ModelT | None:
        selected = statement.options(*self._plan(load))
        result = await self.session.scalars(
            selected if lock is None else self._locked(selected, lock)
        )
        return result.unique().one_or_none()


def _present(found: FoundT | None) -> FoundT:
    if found is None:
        raise NotFoundError
    return found
