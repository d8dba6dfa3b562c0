"""The entities of one model, in the transaction of the caller."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin

from sqlalchemy import (
    ColumnElement,
    Select,
    UnaryExpression,
    delete,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from fastapi_baseline.errors import ConfigurationError, NotFoundError
from fastapi_baseline.persistence.errors import UnknownAttributeError
from fastapi_baseline.persistence.page import Page
from fastapi_baseline.persistence.shape import shape_of
from fastapi_baseline.persistence.translation import READ_ONLY, translated

ModelT = TypeVar("ModelT")

Condition = ColumnElement[bool]
Order = ColumnElement[Any] | InstrumentedAttribute[Any] | UnaryExpression[Any]


class Repository(Generic[ModelT]):
    """The entities of one model, which is the generic parameter: `Repository[Item]`.

    It never commits: the owner of the session does. Every read starts at `_select`, so a subclass
    that overrides it narrows all of them, and what can be updated and deleted, in one place.

    A statement that fails ends the transaction. Whoever wants to catch its error and go on wraps
    the call in `async with session.begin_nested():`.
    """

    model: ClassVar[type[Any]]
    _narrows: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = cls.__mro__[: cls.__mro__.index(Repository)]
        cls._narrows = any("_select" in vars(kind) for kind in own)
        for base in getattr(cls, "__orig_bases__", ()):
            origin, arguments = get_origin(base), get_args(base)
            is_repository = isinstance(origin, type) and issubclass(origin, Repository)
            if is_repository and not isinstance(arguments[0], TypeVar):
                cls.model = arguments[0]

    def __init__(self, session: AsyncSession) -> None:
        """Work in the transaction of `session`."""
        if not hasattr(self, "model"):
            message = f"{type(self).__name__} names no model: write Repository[Model]."
            raise ConfigurationError(message)
        self.session = session
        self._shape = shape_of(self.model)

    async def get(self, entity_id: Any) -> ModelT:
        """Return an entity by its primary key; a tuple, if the key is composite.

        Raises:
            NotFoundError: If there is none.
        """
        entity = await self.find(entity_id)
        if entity is None:
            raise NotFoundError
        return entity

    async def find(self, entity_id: Any) -> ModelT | None:
        """Return an entity by its primary key, or `None`; without a query if it is loaded."""
        with self._translated():
            if not self._narrows:
                return await self.session.get(self.model, entity_id)
            return await self.session.scalar(self._select().where(*self._is(entity_id)))

    async def exists(self, *where: Condition) -> bool:
        """Return whether any entity meets all conditions."""
        statement = self._select().where(*where).order_by(None)
        with self._translated():
            found = statement.with_only_columns(literal(1), maintain_column_froms=True).exists()
            return bool(await self.session.scalar(select(found)))

    async def count(self, *where: Condition) -> int:
        """Return how many entities meet all conditions."""
        matching = self._select().where(*where).order_by(None)
        keys = matching.with_only_columns(*self._shape.key, maintain_column_froms=True).subquery()
        with self._translated():
            return await self.session.scalar(select(func.count()).select_from(keys)) or 0

    async def list(
        self,
        *where: Condition,
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> Sequence[ModelT]:
        """Return the entities that meet all conditions, in a stable order: the key comes last."""
        orders = order_by if isinstance(order_by, Sequence) else (order_by,)
        statement = self._select().where(*where).order_by(*orders, *self._shape.key)
        statement = statement.limit(limit).offset(offset or None)
        with self._translated():
            return (await self.session.scalars(statement)).all()

    async def page(
        self,
        *where: Condition,
        limit: int = 20,
        offset: int = 0,
        order_by: Order | Sequence[Order] = (),
    ) -> Page[ModelT]:
        """Return a page of the entities that meet all conditions.

        They are counted only if the page does not tell how many there are.
        """
        items = await self.list(*where, order_by=order_by, limit=limit, offset=offset)
        is_last = len(items) < limit and (items or offset == 0)
        total = offset + len(items) if is_last else await self.count(*where)
        return Page(items=[*items], total=total, limit=limit, offset=offset)

    async def add(self, entity: ModelT) -> ModelT:
        """Insert an entity, and return it with what the database has computed.

        Raises:
            UniqueViolationError: If its values are taken.
        """
        self.session.add(entity)
        await self._flush()
        return entity

    async def add_many(self, entities: Iterable[ModelT]) -> Sequence[ModelT]:
        """Insert entities, with one statement if the service makes their keys."""
        added = [*entities]
        self.session.add_all(added)
        await self._flush()
        return added

    async def update(self, target: Any, values: Mapping[str, Any]) -> ModelT:
        """Set attributes of an entity, given itself or by its key, and return it.

        Raises:
            NotFoundError: If there is none.
            UnknownAttributeError: If one of the names is no column that can be set.
        """
        unknown = sorted(values.keys() - self._shape.settable)
        if unknown:
            message = f"{self.model.__name__} has no attribute to set: {', '.join(unknown)}"
            raise UnknownAttributeError(message)
        if isinstance(target, self.model):
            return await self._update_loaded(target, values)
        if not values or self._shape.is_updated_loaded:
            return await self._update_loaded(await self.get(target), values)
        statement = (
            update(self.model)
            .where(*self._is(target), *self._narrowing(target))
            .values(dict(values))
            .returning(self.model)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        with self._translated():
            entity = await self.session.scalar(statement)
        if entity is None:
            raise NotFoundError
        return entity

    async def delete(self, target: Any) -> None:
        """Delete an entity, given itself or by its key.

        Raises:
            NotFoundError: If there is none.
            ForeignKeyViolationError: If something still refers to it.
        """
        if not isinstance(target, self.model) and self._shape.is_deleted_loaded:
            target = await self.get(target)
        if isinstance(target, self.model):
            with self._translated():
                await self.session.delete(target)
            await self._flush()
            return
        statement = delete(self.model).where(*self._is(target), *self._narrowing(target))
        with self._translated():
            deleted = await self.session.scalar(statement.returning(*self._shape.key))
        if deleted is None:
            raise NotFoundError

    def _select(self) -> Select[ModelT]:
        """Return what every read starts at; override it to narrow, or to load more."""
        return select(self.model)

    async def _update_loaded(self, entity: ModelT, values: Mapping[str, Any]) -> ModelT:
        for name, value in values.items():
            setattr(entity, name, value)
        await self._flush()
        return entity

    async def _flush(self) -> None:
        with self._translated():
            await self.session.flush()

    def _translated(self) -> Any:
        read_only = self.session.info.get(READ_ONLY, False)
        return translated(registries=(self._shape.mapper.registry,), read_only=read_only)

    def _is(self, entity_id: Any) -> Sequence[Condition]:
        values = cast("Sequence[Any]", entity_id if isinstance(entity_id, tuple) else (entity_id,))
        return [column == value for column, value in zip(self._shape.key, values, strict=True)]

    def _narrowing(self, entity_id: Any) -> Sequence[Condition]:
        if not self._narrows:
            return []
        visible = self._select().where(*self._is(entity_id)).order_by(None)
        keys = visible.with_only_columns(*self._shape.key, maintain_column_froms=True)
        key = self._shape.key[0] if len(self._shape.key) == 1 else tuple_(*self._shape.key)
        return [key.in_(keys)]
