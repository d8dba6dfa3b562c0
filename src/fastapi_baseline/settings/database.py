"""What a service is told about its database."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt, SecretStr

from fastapi_baseline.settings.values import DatabaseUrl, Duration, Section


class DatabaseSettings(Section):
    """How connections to the database behave. Durations are seconds or ISO 8601 (`PT5S`)."""

    replica_url: DatabaseUrl | None = None
    """A copy that what only reads is sent to, with connections of its own (PostgreSQL); what was
    written a moment ago may not have arrived there."""
    cursor_key: Annotated[SecretStr, Field(min_length=32)] | None = None
    """What page cursors are signed with, at least 32 characters, the same in all processes;
    `staging` and `production` need it if a service pages by cursor."""
    pool_size: PositiveInt = 10
    """Connections kept open per process; processes x (`pool_size` + `max_overflow`) must stay below
    the server's `max_connections`."""
    max_overflow: NonNegativeInt = 0
    """Connections opened beyond `pool_size` under load, and closed after each use."""
    pool_timeout: Duration = timedelta(seconds=5)
    """How long a request waits for a connection before it is answered with 503."""
    pool_recycle: Duration = timedelta(minutes=30)
    """The age at which a connection is replaced."""
    connect_timeout: Duration = timedelta(seconds=5)
    """How long opening a connection may take."""
    statement_timeout: Duration = timedelta(seconds=30)
    """How long one statement may run (PostgreSQL)."""
    lock_timeout: Duration = timedelta(seconds=5)
    """How long a statement waits for a lock (PostgreSQL)."""
    idle_in_transaction_timeout: Duration = timedelta(minutes=1)
    """How long a transaction may do nothing before the server ends it (PostgreSQL)."""
    busy_timeout: Duration = timedelta(seconds=5)
    """How long a statement waits for another process that writes (SQLite)."""
    echo: bool = False
    """Whether to log every statement; values are logged too, so never in production."""
