"""What a service is told by its environment: one frozen tree, read once.

A service subclasses `Settings` and makes one instance at the top of its program; everything below
is handed values. Nested settings are written with two underscores (`DATABASE__POOL_SIZE=20`), and
names that the ecosystem knows stay plain (`DATABASE_URL`, `CORS_ORIGINS`, `ENVIRONMENT`).
"""

import json
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from fastapi_baseline.errors import ConfigurationError

Environment = Literal["development", "test", "staging", "production"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

DatabaseUrl = SecretStr
"""Where a database is, with its password: read it with `.get_secret_value()`."""


def _split(value: object) -> object:
    """Read a list written as JSON or with commas, as the environment has it."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _seconds(value: object) -> object:
    """Read a plain number in text as seconds: Pydantic itself reads only ISO 8601 there."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
"""A length of time: seconds (`1.5`) or ISO 8601 (`PT1.5S`)."""


TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Texts, separated by commas or as JSON."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DatabaseSettings(_Section):
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


class CorsSettings(_Section):
    """What browsers may do from the origins in `CORS_ORIGINS`."""

    allow_methods: TextList = ("GET", "POST", "PUT", "PATCH", "DELETE")
    """Methods that may be used; HEAD and OPTIONS always may."""
    allow_headers: TextList = (
        "Authorization",
        "Content-Type",
        "If-Match",
        "If-None-Match",
        "X-Request-ID",
    )
    """Request headers that may be sent, beyond those that browsers always may send."""
    expose_headers: TextList = (
        "ETag",
        "Link",
        "Location",
        "Retry-After",
        "X-Request-ID",
        "X-Total-Count",
    )
    """Response headers that a page may read."""
    allow_credentials: bool = False
    """Whether cookies and client certificates are sent; refused together with the origin `*`."""
    max_age: Duration = timedelta(minutes=10)
    """How long a browser may remember the answer to a preflight."""


class LogSettings(_Section):
    """How the service logs: one line per record, on standard output."""

    level: Annotated[LogLevel, BeforeValidator(_upper)] = "INFO"
    """The least important level that is written."""
    format: Literal["json", "console"] = "json"
    """`json` for machines, `console` for people."""


class HealthSettings(_Section):
    """What the probes show."""

    details: bool | None = None
    """Whether `/readyz` names its checks; unset means only in development and tests."""
    timeout: Duration = timedelta(seconds=2)
    """How long all checks of one probe may take together."""


class SecurityHeadersSettings(_Section):
    """Response headers that tell browsers to be careful."""

    enabled: bool = True
    """Whether to send them at all."""
    hsts_max_age: Duration = timedelta(days=365)
    """How long browsers keep to HTTPS (RFC 6797); zero sends no such header."""
    hsts_include_subdomains: bool = True
    """Whether subdomains are meant too."""


class Settings(BaseSettings):
    """The settings of a service; subclass it to add its own.

    Raises:
        ConfigurationError: From `Settings.load()`, naming each variable that is wrong.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    environment: Environment = "development"
    """Where the service runs; `staging` and `production` refuse defaults that are only for
    development."""
    service_name: str = "service"
    """The name of the service in its documentation, its logs and its database sessions."""
    database_url: DatabaseUrl | None = None
    """Where the database is (`postgresql://user:password@host/name`, `sqlite:///file.db`); unset
    means that the service has none."""
    database: DatabaseSettings = DatabaseSettings()
    """How connections to the database behave."""
    cors_origins: TextList = ()
    """Origins whose pages may call the service, separated by commas or as JSON; none means no
    CORS headers."""
    cors: CorsSettings = CorsSettings()
    """What pages from those origins may do."""
    log: LogSettings = LogSettings()
    """How the service logs."""
    health: HealthSettings = HealthSettings()
    """What the probes show."""
    security_headers: SecurityHeadersSettings = SecurityHeadersSettings()
    """Response headers that tell browsers to be careful."""

    @property
    def is_deployed(self) -> bool:
        """Return whether people depend on this process: staging and production."""
        return self.environment in {"staging", "production"}

    @property
    def shows_health_details(self) -> bool:
        """Return whether `/readyz` names its checks."""
        return not self.is_deployed if self.health.details is None else self.health.details

    def check(self) -> None:
        """Refuse combinations that start and then harm.

        Raises:
            ConfigurationError: If a default for development is used in a deployed environment, or
                credentials are allowed for every origin.
        """
        if (
            self.is_deployed
            and self.database_url is not None
            and "database_url" not in self.model_fields_set
        ):
            message = (
                f"DATABASE_URL is not set. The default database is for development, and "
                f"ENVIRONMENT is {self.environment!r}."
            )
            raise ConfigurationError(message)
        if self.cors.allow_credentials and "*" in self.cors_origins:
            message = (
                "CORS_ORIGINS contains '*' and CORS__ALLOW_CREDENTIALS is true: every site could "
                "act for its visitors. Name the origins."
            )
            raise ConfigurationError(message)

    @classmethod
    def load(cls) -> Self:
        """Read the environment, and say in one line what is wrong with it.

        Raises:
            ConfigurationError: If a variable is missing or wrong; its value is not repeated.
        """
        try:
            return cls()
        except ValidationError as error:
            faults = "; ".join(
                f"{'__'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)
            )
            raise ConfigurationError(f"The settings are not valid. {faults}") from error
        except SettingsError as error:
            # Of a whole section that is not JSON; the message names the variable only.
            raise ConfigurationError(f"The settings are not valid. {error}") from error
