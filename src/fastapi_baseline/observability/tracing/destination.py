"""Whether traces are sent, and where to."""

import os
from urllib.parse import urlsplit

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import Settings

_PROTOCOL = "http/protobuf"


def find_traces_endpoint(settings: Settings) -> str | None:
    """Return the URL that spans are posted to, or `None` if they are not sent at all.

    It is `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/traces` added, or
    `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` as it stands. `OTEL_SDK_DISABLED=true` and
    `OTEL_TRACES_EXPORTER=none` turn tracing off.

    Raises:
        ConfigurationError: If it is no HTTP URL, or another protocol or exporter is asked for; the
            message does not repeat the URL, which may hold a password.
    """
    endpoint, variable = _chosen(settings)
    if endpoint is None or is_set("OTEL_SDK_DISABLED", "true"):
        return None
    exporter = variable_of_sdk("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter == "none":
        return None
    if exporter != "otlp":
        raise ConfigurationError("OTEL_TRACES_EXPORTER must be otlp or none.")
    _check_protocol()
    try:
        parts = urlsplit(endpoint)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigurationError(f"{variable} must be a URL: http://collector:4318")
    return endpoint


def variable_of_sdk(name: str) -> str | None:
    """Return a variable of OpenTelemetry's specification, without spaces around it."""
    # These are the SDK's own settings, and it reads most of them itself.
    return (os.environ.get(name) or "").strip() or None  # noqa: TID251 -- as the SDK does


def is_set(name: str, value: str) -> bool:
    """Return whether a variable of OpenTelemetry's specification says so, in any case."""
    return (variable_of_sdk(name) or "").lower() == value


def _chosen(settings: Settings) -> tuple[str | None, str]:
    own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    if (endpoint := variable_of_sdk(own)) is not None:
        return endpoint, own
    # Not from the environment: it may stand in the `.env` file, too.
    base = (settings.otel_exporter_otlp_endpoint or "").strip()
    return (f"{base.rstrip('/')}/v1/traces" if base else None), "OTEL_EXPORTER_OTLP_ENDPOINT"


def _check_protocol() -> None:
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = variable_of_sdk(name)
        if protocol is None:
            continue
        if protocol != _PROTOCOL:
            raise ConfigurationError(f"{name} must be {_PROTOCOL}; there is no other exporter.")
        return
