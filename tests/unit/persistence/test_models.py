from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, ForeignKey, Integer, Table, UniqueConstraint, inspect, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, Timestamps, UTCDateTime, UUIDPrimaryKey
from fastapi_baseline.persistence.models import Authorship, Versioned, current_actor
from fastapi_baseline.persistence.shape import shape_of

_POSTGRESQL, _SQLITE = postgresql.dialect(), sqlite.dialect()


class HTTPLogEntry(Base, UUIDPrimaryKey, Timestamps):
    status: Mapped[int] = mapped_column(index=True)


class LogArchive(Base, UUIDPrimaryKey):
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("http_log_entry.id"))
    number: Mapped[int]
    shelf: Mapped[int]
    kind: Mapped[str]

    __table_args__ = (
        UniqueConstraint("entry_id", "number"),
        UniqueConstraint("entry_id", "shelf"),
    )
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "plain"}  # noqa: RUF012


class SealedArchive(LogArchive):
    __mapper_args__ = {"polymorphic_identity": "sealed"}  # noqa: RUF012


def test_a_table_is_called_like_its_class() -> None:
    assert HTTPLogEntry.__tablename__ == "http_log_entry"
    assert LogArchive.__tablename__ == "log_archive"


def test_a_subclass_of_a_model_shares_its_table() -> None:
    assert SealedArchive.__table__ is LogArchive.__table__


def test_the_key_comes_first_and_the_timestamps_last() -> None:
    names = [column.name for column in HTTPLogEntry.__table__.columns]

    assert names == ["id", "status", "created_at", "updated_at"]


def test_constraints_with_the_same_first_column_have_different_names() -> None:
    table = Base.metadata.tables["log_archive"]

    names = {str(constraint.name) for constraint in table.constraints}

    assert names == {
        "pk_log_archive",
        "fk_log_archive_entry_id_http_log_entry",
        "uq_log_archive_entry_id_number",
        "uq_log_archive_entry_id_shelf",
    }
    indexes = Base.metadata.tables["http_log_entry"].indexes
    assert [index.name for index in indexes] == ["ix_http_log_entry_status"]


def test_a_moment_is_stored_in_utc() -> None:
    column_type = UTCDateTime()
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    stored = column_type.process_bind_param(noon, _POSTGRESQL)

    assert (stored, stored and stored.tzinfo) == (datetime(2026, 1, 1, 10, tzinfo=UTC), UTC)
    assert column_type.process_bind_param(None, _POSTGRESQL) is None


def test_a_naive_moment_is_refused() -> None:
    naive = datetime(2026, 1, 1, 12)  # noqa: DTZ001 -- that is the point

    with pytest.raises(ValueError, match="no time zone"):
        UTCDateTime().process_bind_param(naive, _SQLITE)


def test_a_moment_is_aware_when_it_is_read() -> None:
    column_type = UTCDateTime()
    naive = datetime(2026, 1, 1, 12)  # noqa: DTZ001 -- as SQLite returns it
    elsewhere = datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))

    from_sqlite = column_type.process_result_value(naive, _SQLITE)
    from_postgresql = column_type.process_result_value(elsewhere, _POSTGRESQL)

    assert from_sqlite == from_postgresql == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert column_type.process_result_value(None, _SQLITE) is None


class LogSeal(Base, Versioned, UUIDPrimaryKey, Timestamps, Authorship):
    mark: Mapped[str]


class LogStamp(UUIDPrimaryKey, Versioned, Base):
    mark: Mapped[str]
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012


class LogLabel(Base, UUIDPrimaryKey, Versioned):
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "plain"}  # noqa: RUF012


class LogTag(LogLabel):
    __tablename__ = "log_tag"
    id: Mapped[UUID] = mapped_column(ForeignKey("log_label.id"), primary_key=True)
    __mapper_args__ = {"polymorphic_identity": "tag"}  # noqa: RUF012


@pytest.mark.parametrize("model", [LogSeal, LogStamp, LogLabel, LogTag])
def test_versions_are_counted_wherever_the_mixin_stands(model: type[Any]) -> None:
    mapper: Mapper[Any] = inspect(model)

    assert mapper.version_id_col is not None
    assert mapper.version_id_col.name == "version"
    assert shape_of(model).version is model.version


def test_versions_are_counted_on_any_base_and_in_any_order() -> None:
    class Foreign(DeclarativeBase):
        __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012

    class First(Versioned, Foreign):
        __tablename__ = "first"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Last(Foreign, Versioned):
        __tablename__ = "last"
        id: Mapped[int] = mapped_column(primary_key=True)

    columns = [inspect(model).version_id_col for model in (First, Last)]

    assert columns == [First.__table__.c.version, Last.__table__.c.version]


def test_refuses_to_count_versions_twice() -> None:
    class Foreign(DeclarativeBase):
        pass

    with pytest.raises(ConfigurationError, match="Twice counts its versions in another column"):

        class Twice(  # pyright: ignore[reportUnusedClass] -- it cannot be made
            Foreign, Versioned
        ):
            __tablename__ = "twice"
            id: Mapped[int] = mapped_column(primary_key=True)
            edition: Mapped[int] = mapped_column()
            __mapper_args__ = {"version_id_col": edition}  # noqa: RUF012


def test_refuses_a_table_that_cannot_count_versions() -> None:
    class Foreign(DeclarativeBase):
        pass

    with pytest.raises(ConfigurationError, match="Ready has no column for its versions"):

        class Ready(  # pyright: ignore[reportUnusedClass] -- it cannot be made
            Foreign, Versioned
        ):
            __table__ = Table(
                "ready",
                Foreign.metadata,
                Column("id", Integer, primary_key=True),
                Column("version", Integer),
            )


def test_an_update_without_the_unit_of_work_counts_the_version_too() -> None:
    statement = str(update(LogSeal).values(mark="x"))

    assert "version=(log_seal.version + :version_1)" in statement
    assert "updated_by=:updated_by" in statement


@pytest.mark.parametrize("model", [LogSeal, LogLabel, LogTag])
def test_what_the_database_computes_comes_back_with_the_statement(model: type[Any]) -> None:
    mapper: Mapper[Any] = inspect(model)

    assert mapper.eager_defaults is True


def test_a_model_may_leave_what_the_database_computes_for_later() -> None:
    assert inspect(LogStamp).eager_defaults is False


def test_what_is_stamped_comes_last() -> None:
    names = [column.name for column in LogSeal.__table__.columns]

    assert names == [
        "id",
        "mark",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
        "version",
    ]


def test_nobody_acts_outside_of_a_request() -> None:
    assert current_actor() is None


@pytest.mark.parametrize(("principal", "actor"), [(None, None), ("ann", "ann"), (7, "7")])
def test_who_sent_the_request_acts(principal: object, actor: str | None) -> None:
    token = request_context.set(RequestContext(request_id="1", principal=principal))
    found = current_actor()
    request_context.reset(token)

    assert found == actor


class NamedVehicle(Base):
    __tablename__ = "vehicle_by_another_name"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind"}  # noqa: RUF012 -- SQLAlchemy declares its type


class NamedBicycle(NamedVehicle):
    __mapper_args__ = {"polymorphic_identity": "bicycle"}  # noqa: RUF012 -- likewise


def test_a_model_shares_the_table_of_its_parent_also_if_that_was_named() -> None:
    assert NamedBicycle.__table__ is NamedVehicle.__table__
