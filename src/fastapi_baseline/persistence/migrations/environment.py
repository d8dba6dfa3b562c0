"""What Alembic's `env.py` does in a service."""

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext, MigrationInfo
from pydantic import SecretStr
from sqlalchemy import Column, Connection, NullPool, Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_baseline.discovery import find_domains, package_of
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.engines import postgres, sqlite
from fastapi_baseline.persistence.engines.engine import listen_to_connections
from fastapi_baseline.persistence.engines.url import is_memory, parse_url
from fastapi_baseline.persistence.migrations.defaults import defaults_differ
from fastapi_baseline.persistence.migrations.errors import MigrationError
from fastapi_baseline.persistence.models import Base, UTCDateTime
from fastapi_baseline.persistence.translation import translate
from fastapi_baseline.settings import Settings

RUN_ATTRIBUTE = "fastapi_baseline"
"""The attribute of Alembic's configuration that holds the `Run`."""

IS_MIGRATED = "is_migrated"
"""The key in a table's `info` under which stands whether migrations make it; if not, `False`."""

_UNLIMITED = timedelta(0)
_TURN_SECONDS = 300
# Any number, as long as nothing else takes it: migrators of one database wait for each other.
_ADVISORY_LOCK = 0x6661_7374_6462


@dataclass(slots=True, kw_only=True)
class Run:
    """One run of the environment: whether it may change the database, and what it applied.

    `database_url` is used instead of the one that the settings name, and `has_used_url` tells that
    it was: an `env.py` that does not call `run_environment` knows nothing of it. `observe` is called
    after each step, before the transaction ends.
    """

    is_writing: bool
    applied: list[str] = field(default_factory=list[str])
    database_url: str | None = None
    has_used_url: bool = False
    observe: Callable[[Connection], None] | None = None


def run_environment(settings_class: type[Settings], *, models: Sequence[str] = ()) -> None:
    """Do what Alembic wants done, on the database that the settings name.

    The models of all domains are imported, and the modules that `models` names, so that they can be
    compared: those of the library belong to a service that uses them. All migrations of a run
    are one transaction, on SQLite too. Runs at the same time take turns.

    Raises:
        ConfigurationError: If no database is configured, or a domain cannot be imported.
        MigrationError: If a migration fails.
    """
    if context.is_offline_mode():
        raise ConfigurationError("Migrations run on a database; --sql is not supported.")
    run: Run = context.config.attributes.get(RUN_ATTRIBUTE) or Run(is_writing=True)
    settings = settings_class.load()
    if run.database_url is None:
        settings.check()
    else:
        # What contradicts itself in the settings does not matter to a database of the caller's.
        settings = settings.model_copy(update={"database_url": SecretStr(run.database_url)})
        run.has_used_url = True
    package = package_of(settings_class)
    if package is not None:
        find_domains(package)
    for name in models:
        importlib.import_module(name)
    try:
        _run_to_completion(lambda: _migrate(settings, run))
    except SQLAlchemyError as error:
        translation = translate(error, registries=())
        if translation is None:
            cause = getattr(error, "orig", None) or error
            translation = MigrationError(f"The migration failed. {cause}")
        raise translation from error


def _run_to_completion(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work())
    else:
        # Alembic is synchronous, and a loop that runs cannot be run again: a test, usually.
        with ThreadPoolExecutor(max_workers=1) as executor:
            executor.submit(lambda: asyncio.run(work())).result()


async def _migrate(settings: Settings, run: Run) -> None:
    if settings.database_url is None:
        raise ConfigurationError("No database is configured: set DATABASE_URL.")
    url = parse_url(settings.database_url.get_secret_value())
    if is_memory(url):
        raise ConfigurationError("A database in memory is gone before its migrations are used.")
    if url.get_backend_name() == "postgresql":
        patient = settings.database.model_copy(
            update={"statement_timeout": _UNLIMITED, "idle_in_transaction_timeout": _UNLIMITED}
        )
        url, arguments = postgres.connect_arguments(
            url, patient, application_name=f"{settings.service_name} migrations"
        )
    else:
        arguments = {"isolation_level": None, "timeout": _TURN_SECONDS}
    engine = create_async_engine(url, connect_args=arguments, poolclass=NullPool)
    listen_to_connections(engine.sync_engine)
    if url.get_backend_name() == "sqlite":
        sqlite.listen_for_migrations(engine.sync_engine, is_writing=run.is_writing)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_apply, run)
    finally:
        await engine.dispose()


def _apply(connection: Connection, run: Run) -> None:

    def note(  # noqa: PLR0917 -- Alembic passes them by name, and declares them by position
        ctx: object, step: MigrationInfo, heads: object, run_args: object
    ) -> None:
        del ctx, heads, run_args
        run.applied.extend(step.up_revision_ids)
        if run.observe is not None:
            run.observe(connection)

    if run.is_writing and connection.dialect.name == "postgresql":
        _take_turn(connection)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transactional_ddl=True,
        # Always, so that what was written on PostgreSQL can be applied on SQLite.
        render_as_batch=True,
        compare_type=True,
        compare_server_default=_defaults_differ,
        include_object=_is_ours,
        render_item=_render_item,
        on_version_apply=note,
    )
    with context.begin_transaction():
        context.run_migrations()
        if run.is_writing and connection.dialect.name == "sqlite":
            _check_foreign_keys(connection)


def _take_turn(connection: Connection) -> None:
    """Wait for other migrators. The lock is the session's, and ends with the connection."""
    limit = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    connection.exec_driver_sql(f"SET lock_timeout = '{_TURN_SECONDS}s'")
    connection.exec_driver_sql(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})")
    # What alters a table may wait only briefly: everybody else waits behind it.
    connection.exec_driver_sql(f"SET lock_timeout = '{limit}'")
    connection.commit()


def _check_foreign_keys(connection: Connection) -> None:
    # They are off while tables are copied, or the copy would empty the tables that refer to it.
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        message = f"The migration left rows that refer to nothing, in: {tables}."
        raise MigrationError(message)


def _is_ours(subject: object, name: str | None, kind: str, *origin: object) -> bool:
    """Leave tables alone that no model knows: they belong to an extension, or to someone else.

    So do those whose model says that migrations do not make them.
    """
    del name
    reflected, counterpart = origin
    if kind != "table":
        return True
    if reflected:
        return counterpart is not None
    return isinstance(subject, Table) and bool(subject.info.get(IS_MIGRATED, True))


def _defaults_differ(
    migration: MigrationContext, inspected: object, column: Column[Any], *defaults: Any
) -> bool:
    del inspected
    stored, *_ = defaults
    return defaults_differ(stored, column, migration.dialect)


def _render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write types so that a migration needs only SQLAlchemy, or imports what it needs."""
    if kind != "type":
        return False
    if isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if any(isinstance(kind, JSONB) for kind in (item, *_variants(item))):
        # What Alembic writes of one that is not rendered for PostgreSQL names it so.
        autogen.imports.add("from sqlalchemy import Text")
    module = type(item).__module__
    if not module.startswith("sqlalchemy."):
        autogen.imports.add(f"import {module}")
    return False


def _variants(item: Any) -> Iterable[Any]:
    """Return what a type is on other databases."""
    variants: Mapping[str, Any] = getattr(item, "_variant_mapping", {})
    return variants.values()
