"""What a service is told by its environment: one frozen tree, read once.

A service subclasses `Settings` and makes one instance at the top of its program; everything below
is handed values. Nested settings are written with two underscores (`DATABASE__POOL_SIZE=20`), and
names that the ecosystem knows stay plain (`DATABASE_URL`, `CORS_ORIGINS`, `ENVIRONMENT`).
"""

from fastapi_baseline.settings.auth import (
    ApiKeySettings,
    AuthorizationServerSettings,
    AuthSettings,
    IssuerSettings,
    LoginProviderSettings,
    LoginSettings,
    MailSettings,
    PageSettings,
    SessionSettings,
    TokenPreset,
    TokenSettings,
    UserSettings,
)
from fastapi_baseline.settings.backends import CacheSettings, RateLimitSettings, RedisSettings
from fastapi_baseline.settings.database import DatabaseSettings
from fastapi_baseline.settings.defaults import DEFAULTS, BehaviourChange, DatedDefaults
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
from fastapi_baseline.settings.service import Settings
from fastapi_baseline.settings.values import (
    DatabaseUrl,
    Duration,
    Environment,
    LogLevel,
    RedisUrl,
    Section,
    TextList,
)

__all__ = [
    "DEFAULTS",
    "ApiKeySettings",
    "AuthSettings",
    "AuthorizationServerSettings",
    "BehaviourChange",
    "BuildSettings",
    "CacheSettings",
    "CompressionSettings",
    "ConditionalRequestsSettings",
    "CorsSettings",
    "DatabaseSettings",
    "DatabaseUrl",
    "DatedDefaults",
    "Duration",
    "Environment",
    "HealthSettings",
    "IdempotencySettings",
    "IssuerSettings",
    "LogLevel",
    "LogSettings",
    "LoginProviderSettings",
    "LoginSettings",
    "MailSettings",
    "ManagementSettings",
    "MetricsSettings",
    "PageSettings",
    "RateLimitSettings",
    "RedisSettings",
    "RedisUrl",
    "RequestSettings",
    "Section",
    "SecurityHeadersSettings",
    "SessionSettings",
    "Settings",
    "ShutdownSettings",
    "TextList",
    "TokenPreset",
    "TokenSettings",
    "TracingSettings",
    "UserSettings",
]
