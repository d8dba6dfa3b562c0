"""What a repository works in: one model, the session of the caller, and what the asker may see.

Everything that reads begins at `Scoped._start`, and everything that updates or deletes is bounded
by `Scoped._writable`: the two places where rows are narrowed.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from copy import copy
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, cast, get_args, get_origin

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import QueryableAttribute, defer
from sqlalchemy.orm.interfaces import ORMOption

from fastapi_baseline.context import current
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.loading import LoadPlans
from fastapi_baseline.persistence.models import INCLUDE_DELETED
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.query.criteria import Criteria
from fastapi_baseline.persistence.sessions.session import ReadSession
from fastapi_baseline.persistence.shape import shape_of
from fastapi_baseline.persistence.specification import Condition, Spec
from fastapi_baseline.persistence.translation import READ_ONLY, translated

ModelT = TypeVar("ModelT")

Where = ColumnElement[bool] | Spec[ModelT] | Criteria[ModelT]
"""A condition on rows: an expression, a `Spec`, or what a client has asked for."""


class Scoped(Generic[ModelT]):
    """The entities of one model, which is the generic parameter, as one asker may see them."""

    model: ClassVar[type[Any]]
    loads: ClassVar[LoadPlans] = {}
    """Load plans by name: what `load="detail"` brings along."""
    _narrows: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own: Any = Scoped
        cls._narrows = cls.select is not own.select
        for base in getattr(cls, "__orig_bases__", ()):
            origin, arguments = get_origin(base), get_args(base)
            is_repository = isinstance(origin, type) and issubclass(origin, Scoped)
            if is_repository and not isinstance(arguments[0], TypeVar):
                cls.model = arguments[0]

    def __init__(self, session: ReadSession) -> None:
        """Work in the transaction of `session`."""
        if not hasattr(self, "model"):
            message = f"{type(self).__name__} names no model: subclass Repository[Model]."
            raise ConfigurationError(message)
        self._session = session
        self._shape = shape_of(self.model)
        self._policy: Policy[ModelT] | None = None
        self._includes_deleted = False

    @property
    def session(self) -> ReadSession:
        """Return the session that it works in."""
        return self._session

    @property
    def scope(self) -> str:
        """Return what page cursors are bound to: the model, the tenant and the policy's name."""
        request = current()
        tenant = request.tenant if request is not None else None
        policy = self._policy.scope if self._policy is not None else None
        return f"{self.model.__qualname__}|{tenant or ''}|{policy or ''}"

    def select(self) -> Select[ModelT]:
        """Return what every read starts at; override it to narrow all of them, and all writes."""
        return select(self.model)

    def restricted(self, policy: Policy[ModelT]) -> Self:
        """Return this repository for an asker to whom `policy` applies, beyond what already does."""
        return self._varied(_policy=policy if self._policy is None else self._policy & policy)

    def with_deleted(self) -> Self:
        """Return this repository with entities that are softly deleted in sight."""
        return self._varied(_includes_deleted=True)

    def _varied(self, **state: Any) -> Self:
        varied = copy(self)
        vars(varied).update(state)
        return varied

    def _start(self, statement: Select[Any] | None = None) -> Select[Any]:
        """Return the statement, or `select()`, narrowed to what the asker may see."""
        started = self.select() if statement is None else statement
        if self._includes_deleted:
            started = started.execution_options(**{INCLUDE_DELETED: True})
        return started.where(*self._policy.readable) if self._policy is not None else started

    def _hidden(self) -> list[ORMOption]:
        """Return the options that keep entities from being loaded with what is hidden."""
        hidden = self._policy.hidden if self._policy is not None else ()
        return [defer(attribute, raiseload=True) for attribute in hidden]

    def _conditions(self, where: Iterable[Where[ModelT]]) -> list[Condition]:
        """Return conditions as expressions.

        Raises:
            HiddenColumnError: If a policy hides what one of them is about.
        """
        conditions = [_expression(condition) for condition in where]
        if self._policy is not None:
            self._policy.check_reach(conditions, doing="filtered")
        return conditions

    def _writable(
        self, action: Literal["update", "delete"], where: Sequence[Condition]
    ) -> list[Condition]:
        """Return `where` and what else a row must meet to be updated or deleted."""
        conditions = [*where, *(self._policy.before(action) if self._policy else ())]
        if self._narrows:
            visible = self.select().where(*where).order_by(None)
            keys = visible.with_only_columns(*self._shape.key, maintain_column_froms=True)
            conditions.append(self._key.in_(keys))
        return conditions

    @property
    def _key(self) -> Any:
        key = self._shape.key
        return key[0] if len(key) == 1 else tuple_(*key)

    def _is(self, entity_id: Any) -> list[Condition]:
        """Return what says that a row has this primary key; a tuple, if the key is composite."""
        values = cast("Sequence[Any]", entity_id if isinstance(entity_id, tuple) else (entity_id,))
        return [column == value for column, value in zip(self._shape.key, values, strict=True)]

    def _translated(self) -> AbstractContextManager[None]:
        read_only = self._session.info.get(READ_ONLY, False)
        return translated(registries=(self._shape.mapper.registry,), read_only=read_only)


class WritingScope(Scoped[ModelT]):
    """A scope whose session writes."""

    def __init__(self, session: AsyncSession) -> None:
        """Work in the transaction of `session`."""
        super().__init__(session)
        self._writing = session

    @property
    def session(self) -> AsyncSession:
        """Return the session that it works in."""
        return self._writing

    async def _flush(self) -> None:
        with self._translated():
            await self._writing.flush()


def _expression(where: Where[Any]) -> Condition:
    if isinstance(where, Spec):
        return where.condition
    if isinstance(where, Criteria):
        return where.spec().condition
    return where


def attribute_names(attributes: Iterable[QueryableAttribute[Any]]) -> list[str]:
    """Return the names that attributes have in their model."""
    return [attribute.key for attribute in attributes]
