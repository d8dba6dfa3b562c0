"""Locks on rows, taken with the read that is about to change them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select

from fastapi_baseline.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock on the rows that are read, until the transaction ends: `SELECT ... FOR UPDATE`.

    A row that is locked by someone else is waited for. With `nowait` it is a `LockTimeoutError`
    instead, and with `skip_locked` it is passed over as if it were not there, which makes a table
    a queue. `share` keeps others from changing the rows, and not from a lock of the same kind.

    On SQLite a transaction that writes holds the lock on the whole database from its first
    statement on, so nothing more is asked for there.
    """

    nowait: bool = False
    skip_locked: bool = False
    share: bool = False

    def __post_init__(self) -> None:
        if self.nowait and self.skip_locked:
            raise ConfigurationError("A lock cannot both fail on a locked row and pass it over.")


def locked(statement: Select[Any], model: type[Any], lock: Lock) -> Select[Any]:
    """Return the statement with a lock on the rows of `model`, and of nothing that it joins.

    Entities that are loaded get the values that the rows have now.
    """
    # An outer join could not be locked as a whole: its other side may be no row.
    asking = statement.with_for_update(
        nowait=lock.nowait, skip_locked=lock.skip_locked, read=lock.share, of=model
    )
    return asking.execution_options(populate_existing=True)
