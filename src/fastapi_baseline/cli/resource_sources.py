"""Where `baseline add resource` takes the fields from: words, a table, or a schema of a document."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi_baseline.cli.console import without_log
from fastapi_baseline.cli.service_settings import load_settings
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.grammar import parse_fields
from fastapi_baseline.scaffolding.naming import resource_names
from fastapi_baseline.scaffolding.openapi import read_schema
from fastapi_baseline.scaffolding.service import Service
from fastapi_baseline.scaffolding.sources import Reading
from fastapi_baseline.scaffolding.specification import ResourceSpecification


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What the command line says of the fields; at most one of these but for the URL."""

    words: Sequence[str] = ()
    table: str | None = None
    database_url: str | None = field(default=None, repr=False)
    """Where the table is; `None` for the database of the service."""
    schema: str | None = None
    """The file of an OpenAPI document, with `#/components/schemas/NAME`."""


def read_resource(
    name: str, source: Source, service: Service, *, plural: str | None = None
) -> Reading:
    """Return the resource that a command line asks for.

    Raises:
        ConfigurationError: If it cannot be made from its source.
    """
    one, several = resource_names(name, plural)
    if source.table is not None:
        # SQLAlchemy is slow to import, and words need none of it.
        from fastapi_baseline.scaffolding.tables import read_table  # noqa: PLC0415

        url = source.database_url or _database_url(service.root)
        return read_table(
            source.table, name=one, plural=several, database_url=url, models=service.models
        )
    if source.schema is not None:
        return read_schema(source.schema, name=one, plural=several, models=service.models)
    fields = parse_fields(source.words)
    return Reading(resource=ResourceSpecification(name=one, plural=several, fields=fields))


def _database_url(root: Path) -> str:
    with without_log():
        settings = load_settings(root)
    if settings.database_url is None:
        message = "The service has no database: set DATABASE_URL, or name one with --database-url."
        raise ConfigurationError(message)
    return settings.database_url.get_secret_value()
