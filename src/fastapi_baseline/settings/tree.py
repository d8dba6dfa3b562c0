"""What the settings of a service are called, and what each of them means."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from fastapi_baseline.settings.auth import AuthSettings, MailSettings
from fastapi_baseline.settings.backends import CacheSettings, RateLimitSettings, RedisSettings
from fastapi_baseline.settings.database import DatabaseSettings
from fastapi_baseline.settings.defaults import DEFAULTS, DefaultsDate
from fastapi_baseline.settings.http import (
    CompressionSettings,
    ConditionalRequestsSettings,
    CorsSettings,
    IdempotencySettings,
    RequestSettings,
    SecurityHeadersSettings,
)
from fastapi_baseline.settings.operations import (
    BuildSettings,
    HealthSettings,
    LogSettings,
    ManagementSettings,
    MetricsSettings,
    ShutdownSettings,
    TracingSettings,
)
from fastapi_baseline.settings.values import DatabaseUrl, Environment, RedisUrl, TextList


class SettingsTree(BaseSettings):
    """All settings, with their defaults."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        env_nested_delimiter="__",
        # One variable of a section leaves the others as the service has set them.
        nested_model_default_partial_update=True,
        env_parse_none_str="none",
        hide_input_in_errors=True,
        # A service has a subclass, and only of that there is an instance.
        defer_build=True,
    )

    baseline_defaults: DefaultsDate = DEFAULTS.oldest
    """Up to which date the service follows changes of defaults (`2026.11`): a newer library changes
    nothing that it does until this is raised."""
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
    redis_url: RedisUrl | None = None
    """Where Redis is (`redis://:password@host/0`); unset means that what processes could share, each
    keeps for itself."""
    redis: RedisSettings = RedisSettings()
    """How long Redis is waited for."""
    trusted_proxies: TextList = ()
    """Addresses and networks (`10.0.0.0/8`) of proxies whose word counts for who calls and how,
    separated by commas or as JSON; none means that no such header is believed."""
    forwarded_headers: TextList = ("x-forwarded-for", "x-forwarded-proto")
    """Which headers of those proxies are believed; name only what each of them sets itself."""
    trusted_hosts: TextList = ()
    """Names that the service is called by (`api.example.com`, `*.example.com`); none means any."""
    otel_exporter_otlp_endpoint: str | None = None
    """Where traces are sent (`http://collector:4318`); unset means that there are none."""
    prometheus_multiproc_dir: Path | None = None
    """A folder in which the processes of one service count together; `baseline run --workers` makes
    one."""
    requests: RequestSettings = RequestSettings()
    """What requests may take."""
    compression: CompressionSettings = CompressionSettings()
    """How responses are compressed."""
    conditional_requests: ConditionalRequestsSettings = ConditionalRequestsSettings()
    """How a client is told that what it has is still right."""
    idempotency: IdempotencySettings = IdempotencySettings()
    """How long what was done for an `Idempotency-Key` is remembered."""
    rate_limits: RateLimitSettings = RateLimitSettings()
    """How often callers may ask."""
    cache: CacheSettings = CacheSettings()
    """What is kept of responses and values."""
    auth: AuthSettings = AuthSettings()
    """Who may use the service."""
    mail: MailSettings = MailSettings()
    """How it sends e-mail."""
    security_headers: SecurityHeadersSettings = SecurityHeadersSettings()
    """Response headers that tell browsers to be careful."""
    log: LogSettings = LogSettings()
    """How the service logs."""
    metrics: MetricsSettings = MetricsSettings()
    """What the service counts and measures."""
    tracing: TracingSettings = TracingSettings()
    """How requests are traced."""
    management: ManagementSettings = ManagementSettings()
    """Who may see what operators see."""
    build: BuildSettings = BuildSettings()
    """Which build this is."""
    health: HealthSettings = HealthSettings()
    """How the service finds out that it is well."""
    shutdown: ShutdownSettings = ShutdownSettings()
    """How long the service takes to stop."""
