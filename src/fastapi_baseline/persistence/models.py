"""What models are made of: a base class, mixins and a type for moments."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from sqlalchemy import Column, ColumnDefault, DateTime, Dialect, MetaData, Uuid, event
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Mapper,
    declared_attr,
    has_inherited_table,
    mapped_column,
)
from sqlalchemy.types import TypeDecorator

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.context import current
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.ids import uuid7

CLOCK_OPTION = "fastapi_baseline_clock"
"""The execution option that carries the clock of a `Database` to the columns."""

# Names hold every column: keys of a shared schema all begin with the same one.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

ACTOR_OPTION = "fastapi_baseline_actor"
"""The execution option that carries to the columns who is writing: a callable."""

STAMP = "fastapi_baseline"
"""The key in a column's `info` under which stands how it is stamped."""

Stamp = Literal["created_at", "updated_at", "created_by", "updated_by", "version", "deleted_at"]

INCLUDE_DELETED = "fastapi_baseline_include_deleted"
"""The execution option of a statement that also sees what is softly deleted."""

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SYSTEM_CLOCK = SystemClock()


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: aware, and in UTC when it is read, on every database.

    SQLite has no time zones, so there it is stored without one.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC.

        Raises:
            ValueError: If it is naive: it could be any of a day's worth of moments.
        """
        del dialect
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value!r} has no time zone; use an aware datetime.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment, aware."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _table_of(model: type[Any]) -> str | None:
    """Return what the table of a model is called, or `None` if it shares that of its parent."""
    return None if has_inherited_table(model) else _WORD_START.sub("_", model.__name__).lower()


class Base(DeclarativeBase):
    """The base of all models; a table is called like its class, in snake case.

    A subclass of a model shares its table; one that names its own with `__tablename__` gets it.
    """

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime, UUID: Uuid}
    __tablename__: Any = declared_attr.directive(_table_of)

    def __init_subclass__(cls, **keywords: Any) -> None:
        if "__tablename__" not in vars(cls) and has_inherited_table(cls):
            # The name that its parent was given is no name of its own.
            cls.__tablename__ = None
        super().__init_subclass__(**keywords)


@event.listens_for(Base, "instrument_class", propagate=True)
def _fetch_defaults(mapper: Mapper[Any], model: type[Any]) -> None:
    """Make what the database computes come back with the statement.

    Reading it later would be I/O where a plain attribute is read, which asyncio does not allow.
    `__mapper_args__` of the base would be lost with those of a model.
    """
    del model
    if mapper.eager_defaults == "auto":
        mapper.eager_defaults = True


class UUIDPrimaryKey:
    """A primary key `id` that sorts by creation: UUID version 7, made by the service."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=lambda: uuid7(), sort_order=-100)  # noqa: PLW0108


def current_actor() -> str | None:
    """Return who sent the request that is being answered, or `None` if nobody is known."""
    request = current()
    return None if request is None or request.principal is None else str(request.principal)


def stamp_info(stamp: Stamp) -> dict[Any, Any]:
    """Return what a column's `info` says if it is stamped, and so cannot be set by an update."""
    return {STAMP: stamp}


def moment_of(options: Mapping[str, Any]) -> datetime:
    """Return the present moment by the clock that execution options carry."""
    clock: Clock = options.get(CLOCK_OPTION, _SYSTEM_CLOCK)
    return clock.now()


def actor_of(options: Mapping[str, Any]) -> str | None:
    """Return who is writing, by the actor that execution options carry."""
    actor: Callable[[], str | None] = options.get(ACTOR_OPTION, current_actor)
    return actor()


def _now(context: ExecutionContext) -> datetime:
    return moment_of(context.execution_options)


def _created_or_now(context: Any) -> datetime:
    created = context.get_current_parameters().get("created_at")
    return created if isinstance(created, datetime) else _now(context)


def _actor(context: ExecutionContext) -> str | None:
    return actor_of(context.execution_options)


class Timestamps:
    """When a row was made and last changed, by the clock of the `Database`."""

    created_at: Mapped[datetime] = mapped_column(
        default=_now, info=stamp_info("created_at"), sort_order=100
    )
    updated_at: Mapped[datetime] = mapped_column(
        default=_created_or_now, onupdate=_now, info=stamp_info("updated_at"), sort_order=101
    )


class Authorship:
    """Who made a row and who last changed it, by the actor of the `Database`.

    Both are empty for what nobody is known to have done, such as a migration.
    """

    created_by: Mapped[str | None] = mapped_column(
        default=_actor, info=stamp_info("created_by"), sort_order=102
    )
    updated_by: Mapped[str | None] = mapped_column(
        default=_actor, onupdate=_actor, info=stamp_info("updated_by"), sort_order=103
    )


class Versioned:
    """A number that begins at 1 and grows with every change, so that none is overwritten unseen.

    What the unit of work flushes is checked against the version that was loaded. It works on every
    declarative base, wherever it stands among the bases of a model.
    """

    version: Mapped[int] = mapped_column(default=1, info=stamp_info("version"), sort_order=104)


@event.listens_for(Versioned, "instrument_class", propagate=True)
def _count_versions(mapper: Mapper[Any], model: type[Any]) -> None:
    """Make the mapper count versions.

    `__mapper_args__` of a mixin would be overridden by those of whichever base stands before it,
    and nothing would be checked.
    """
    own = (column for column in mapper.local_table.c if column.info.get(STAMP) == "version")
    column = next(own, mapper.version_id_col if mapper.inherits else None)
    if column is None:
        message = f"{model.__name__} has no column for its versions, as Versioned.version is one."
        raise ConfigurationError(message)
    if mapper.version_id_col is None:
        mapper.version_id_col = column
    if mapper.version_id_col is not column:
        message = (
            f"{model.__name__} counts its versions in another column than Versioned.version: leave "
            "one of the two out."
        )
        raise ConfigurationError(message)
    if isinstance(column, Column) and column.onupdate is None:
        # For statements that the unit of work does not see.
        column.onupdate = ColumnDefault(column + 1, for_update=True)
