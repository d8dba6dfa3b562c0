"""What models are made of: a base class, mixins and a type for moments."""

import re
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, Dialect, MetaData, Uuid
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    declared_attr,
    has_inherited_table,
    mapped_column,
)
from sqlalchemy.types import TypeDecorator

from fastapi_baseline.clock import SystemClock
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


class Base(DeclarativeBase):
    """The base of all models; a table is called like its class, in snake case.

    A subclass of a model shares its table; one that names its own with `__tablename__` gets it.
    """

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime, UUID: Uuid}
    # What the database computes comes back with the statement; reading it later would be I/O
    # where a plain attribute is read, which asyncio does not allow.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012 -- SQLAlchemy declares its type

    @declared_attr.directive
    def __tablename__(cls) -> str | None:  # noqa: N805 -- SQLAlchemy calls it on the class
        model: type[Any] = cls  # pyright: ignore[reportAssignmentType] -- a class, as said above
        return None if has_inherited_table(model) else _WORD_START.sub("_", cls.__name__).lower()


class UUIDPrimaryKey:
    """A primary key `id` that sorts by creation: UUID version 7, made by the service."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=lambda: uuid7(), sort_order=-100)  # noqa: PLW0108


def _now(context: ExecutionContext) -> datetime:
    return context.execution_options.get(CLOCK_OPTION, _SYSTEM_CLOCK).now()


def _created_or_now(context: Any) -> datetime:
    created = context.get_current_parameters().get("created_at")
    return created if isinstance(created, datetime) else _now(context)


class Timestamps:
    """When a row was made and last changed, by the clock of the `Database`."""

    created_at: Mapped[datetime] = mapped_column(default=_now, sort_order=100)
    updated_at: Mapped[datetime] = mapped_column(
        default=_created_or_now, onupdate=_now, sort_order=101
    )
