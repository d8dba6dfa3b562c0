"""What every write puts into stamped columns, whichever way it takes: the one write policy.

What SQLAlchemy sends itself (flushes, `insert()`, `update()`) is stamped by the defaults of the
columns, from the clock and the actor of the `Database`. This module says the same for what it
does not stamp:

    insert_values(shape, values)              a row for INSERT, one way or another
    insert_values(shape, values, stamp=...)   likewise, if nobody applies column defaults: COPY
    update_values(shape)                      SET of an UPDATE
    conflict_values(shape, excluded)          SET of INSERT ... ON CONFLICT DO UPDATE
    delete_values(shape, stamp)               SET of the UPDATE that deletes softly
    restore_values(shape)                     SET of the UPDATE that restores

All are mappings from attribute names; `stamp_of(session)` says when a write happens and who does
it. `check_settable` refuses to set by hand what is stamped here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.errors import UnknownAttributeError
from fastapi_baseline.persistence.models import Stamp, actor_of, moment_of
from fastapi_baseline.persistence.shape import Shape

_FIRST_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteStamp:
    """When a write happens, and who does it."""

    moment: datetime
    actor: str | None


def stamp_of(session: AsyncSession, shape: Shape) -> WriteStamp:
    """Return the stamp of a write that happens now, by the clock and the actor of the database."""
    options = session.get_bind(shape.mapper).get_execution_options()
    return WriteStamp(moment=moment_of(options), actor=actor_of(options))


def insert_values(
    shape: Shape, values: Mapping[str, Any], *, stamp: WriteStamp | None = None
) -> dict[str, Any]:
    """Return the values of a new row, stamped; given ones by attribute name.

    Every row that a repository inserts passes here, so what holds for all new rows, whether they
    are stamped or refused, belongs in this function. Moments and actors that are given are kept,
    since a row may come from elsewhere; its version starts anew, as in a flush.

    Give `stamp` if the statement is not built by SQLAlchemy, which applies the columns' defaults.
    """
    row = dict(values)
    if shape.version is not None and shape.counts_by_one:
        row[shape.version.key] = _FIRST_VERSION
    if stamp is None:
        return row
    created = shape.attribute("created_at")
    moment = stamp.moment if created is None else row.get(created.key) or stamp.moment
    defaults: dict[Stamp, Any] = {
        "created_at": stamp.moment,
        "updated_at": moment,
        "created_by": stamp.actor,
        "updated_by": stamp.actor,
        "deleted_at": None,
    }
    for name, how in shape.stamped.items():
        if how in defaults and name not in row:
            row[name] = defaults[how]
    return row


def update_values(shape: Shape) -> dict[str, Any]:
    """Return what an UPDATE sets beside what it was asked for.

    Moments and actors are set by the defaults of their columns.

    Raises:
        ConfigurationError: If only the unit of work can make the model's versions.
    """
    if shape.version is None:
        return {}
    _check_counts(shape)
    return {shape.version.key: shape.version + 1}


def conflict_values(shape: Shape, excluded: Mapping[str, ColumnElement[Any]]) -> dict[str, Any]:
    """Return what an upsert sets in a row that exists, beside what it was asked for.

    `excluded` has the columns of the row that was refused, by column name:
    `insert(...).excluded`. That row is stamped too, so its stamps are those of this write.

    Raises:
        ConfigurationError: If only the unit of work can make the model's versions.
    """
    values = update_values(shape)
    for name, how in shape.stamped.items():
        if how in {"updated_at", "updated_by"}:
            values[name] = excluded[shape.mapper.columns[name].key]
    return values


def delete_values(shape: Shape, stamp: WriteStamp) -> dict[str, Any]:
    """Return what an UPDATE sets to delete a row softly.

    Raises:
        ConfigurationError: If the model is not deleted softly, or only the unit of work can make
            its versions.
    """
    return {_deleted_at(shape): stamp.moment, **update_values(shape)}


def restore_values(shape: Shape) -> dict[str, Any]:
    """Return what an UPDATE sets to restore a row that was deleted softly.

    Raises:
        ConfigurationError: If the model is not deleted softly, or only the unit of work can make
            its versions.
    """
    return {_deleted_at(shape): None, **update_values(shape)}


def check_settable(shape: Shape, names: Iterable[str]) -> None:
    """Refuse to set what is no column, what is the key, and what is stamped.

    Raises:
        UnknownAttributeError: If one of the names is such.
    """
    refused = sorted(set(names) - shape.settable)
    if refused:
        stamped = sorted(shape.stamped.keys() & set(refused))
        why = f"; set by every write itself: {', '.join(stamped)}" if stamped else ""
        message = (
            f"{shape.mapper.class_.__name__} has no attribute to set: {', '.join(refused)}{why}"
        )
        raise UnknownAttributeError(message)


def _deleted_at(shape: Shape) -> str:
    if shape.deleted_at is None:
        message = (
            f"{shape.mapper.class_.__name__} is not deleted softly: derive it from SoftDelete."
        )
        raise ConfigurationError(message)
    return shape.deleted_at.key


def _check_counts(shape: Shape) -> None:
    if not shape.counts_by_one:
        message = (
            f"Only the unit of work can make the versions of {shape.mapper.class_.__name__}: change "
            "loaded entities instead."
        )
        raise ConfigurationError(message)
