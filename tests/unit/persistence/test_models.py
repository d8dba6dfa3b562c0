from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.persistence import Base, Timestamps, UTCDateTime, UUIDPrimaryKey

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
