from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Integer
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, UnknownAttributeError, UUIDPrimaryKey
from fastapi_baseline.persistence.models import (
    Authorship,
    Timestamps,
    UTCDateTime,
    Versioned,
    stamp_info,
)
from fastapi_baseline.persistence.shape import shape_of
from fastapi_baseline.persistence.writing.stamps import (
    WriteStamp,
    check_settable,
    conflict_values,
    delete_values,
    insert_values,
    restore_values,
    update_values,
)

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_STAMP = WriteStamp(moment=_NOW, actor="ann")


class StampedCoin(Base, UUIDPrimaryKey, Timestamps, Authorship, Versioned):
    value: Mapped[int]
    melted_at: Mapped[datetime | None] = mapped_column(
        "melted", UTCDateTime, info=stamp_info("deleted_at")
    )


class PlainCoin(Base, UUIDPrimaryKey):
    value: Mapped[int]


def _new_seal(seal: str | None) -> str:
    return uuid4().hex


class SealedCoin(Base, UUIDPrimaryKey):
    value: Mapped[int]
    seal: Mapped[str] = mapped_column()
    __mapper_args__ = {"version_id_col": seal, "version_id_generator": _new_seal}  # noqa: RUF012


class ForeignRoot(DeclarativeBase):
    pass


class MarkedCoin(ForeignRoot):
    __tablename__ = "marked_coin"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer, info=stamp_info("version"))


_STAMPED, _PLAIN, _SEALED = shape_of(StampedCoin), shape_of(PlainCoin), shape_of(SealedCoin)


def test_knows_what_is_stamped_by_the_names_of_attributes() -> None:
    assert _STAMPED.stamped == {
        "created_at": "created_at",
        "updated_at": "updated_at",
        "created_by": "created_by",
        "updated_by": "updated_by",
        "version": "version",
        "melted_at": "deleted_at",
    }
    assert _STAMPED.settable == {"value"}
    assert _STAMPED.deleted_at is StampedCoin.melted_at
    assert _STAMPED.attribute("deleted_at") is StampedCoin.melted_at
    assert _PLAIN.attribute("deleted_at") is None


def test_versions_that_a_model_makes_itself_are_stamped_too() -> None:
    assert _SEALED.stamped == {"seal": "version"}
    assert _SEALED.settable == {"value"}
    assert _SEALED.is_updated_loaded
    assert _SEALED.is_deleted_loaded


def test_versions_alone_do_not_need_the_unit_of_work() -> None:
    assert not _STAMPED.is_updated_loaded
    assert not _STAMPED.is_deleted_loaded


def test_refuses_a_version_that_nobody_counts() -> None:
    with pytest.raises(ConfigurationError, match="MarkedCoin does not count its versions"):
        shape_of(MarkedCoin)


def test_a_new_row_is_stamped_by_its_columns() -> None:
    assert insert_values(_STAMPED, {"value": 1, "version": 9}) == {"value": 1, "version": 1}
    assert insert_values(_PLAIN, {"value": 1}) == {"value": 1}
    assert insert_values(_SEALED, {"value": 1}) == {"value": 1}


def test_a_new_row_is_stamped_here_if_nobody_else_does() -> None:
    row = insert_values(_STAMPED, {"value": 1}, stamp=_STAMP)

    assert row == {
        "value": 1,
        "created_at": _NOW,
        "updated_at": _NOW,
        "created_by": "ann",
        "updated_by": "ann",
        "version": 1,
        "melted_at": None,
    }
    assert insert_values(_PLAIN, {"value": 1}, stamp=_STAMP) == {"value": 1}


def test_a_new_row_may_have_a_past() -> None:
    past = _NOW - timedelta(days=1)

    row = insert_values(_STAMPED, {"created_at": past, "created_by": "bob"}, stamp=_STAMP)

    assert (row["created_at"], row["updated_at"]) == (past, past)
    assert (row["created_by"], row["updated_by"]) == ("bob", "ann")


def test_an_update_counts_the_version() -> None:
    values = update_values(_STAMPED)

    assert {name: str(value) for name, value in values.items()} == {
        "version": "stamped_coin.version + :version_1"
    }
    assert update_values(_PLAIN) == {}


def test_an_upsert_takes_over_the_stamps_of_the_row_that_was_refused() -> None:
    excluded: Any = postgresql.insert(StampedCoin).excluded

    values = conflict_values(_STAMPED, excluded)

    assert {name: str(value) for name, value in values.items()} == {
        "version": "stamped_coin.version + :version_1",
        "updated_at": "excluded.updated_at",
        "updated_by": "excluded.updated_by",
    }


def test_soft_deletes_and_restores_are_updates() -> None:
    deleted, restored = delete_values(_STAMPED, _STAMP), restore_values(_STAMPED)

    assert deleted.keys() == restored.keys() == {"melted_at", "version"}
    assert deleted["melted_at"] == _NOW
    assert restored["melted_at"] is None


def test_refuses_to_delete_softly_what_is_not_deleted_softly() -> None:
    with pytest.raises(ConfigurationError, match="PlainCoin is not deleted softly"):
        delete_values(_PLAIN, _STAMP)
    with pytest.raises(ConfigurationError, match="PlainCoin is not deleted softly"):
        restore_values(_PLAIN)


def test_refuses_to_make_versions_that_only_the_unit_of_work_can_make() -> None:
    with pytest.raises(ConfigurationError, match="Only the unit of work"):
        update_values(_SEALED)


def test_lets_pass_what_can_be_set() -> None:
    check_settable(_STAMPED, ["value"])
    check_settable(_STAMPED, [])


def test_says_what_cannot_be_set_and_why() -> None:
    with pytest.raises(UnknownAttributeError) as caught:
        check_settable(_STAMPED, ["value", "version", "nonsense", "id"])

    assert str(caught.value) == (
        "StampedCoin has no attribute to set: id, nonsense, version; "
        "set by every write itself: version"
    )
