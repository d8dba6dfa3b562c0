"""What a service is told about being watched, started and stopped."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, PositiveInt, SecretStr

from fastapi_baseline.settings.values import Duration, LogLevel, Section, TextList, upper


class LogSettings(Section):
    """How the service logs: one line per record, on standard output."""

    level: Annotated[LogLevel, BeforeValidator(upper)] = "INFO"
    """The least important level that is written."""
    format: Literal["json", "console"] = "json"
    """`json` for machines, `console` for people."""
    queue_size: PositiveInt = 10_000
    """How many lines wait for standard output at most; those beyond are dropped and counted."""
    redact: TextList = ()
    """More names of fields whose values are never written, besides passwords, tokens and their
    like."""
    slow_request: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=1)
    """Requests that take longer are always written."""
    success_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Which share of the requests that went well and fast is written; errors and slow ones always
    are."""
    levels_file: Path | None = None
    """Where worker processes share levels that are changed at run time; `baseline run --workers`
    sets it."""


class MetricsSettings(Section):
    """What the service counts and measures."""

    enabled: bool = True
    """Whether it does."""
    max_series: PositiveInt = 2_000
    """How many combinations of labels one metric may have; those beyond are counted as one."""
    body_sizes: bool = False
    """Whether the sizes of the bodies of requests and responses are measured, too."""


class TracingSettings(Section):
    """How requests are traced, if `OTEL_EXPORTER_OTLP_ENDPOINT` says where to."""

    sample_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    """Which share of the requests is traced, unless the caller has decided; unset means all in
    development and tests, and else one of ten."""
    trust_parent: bool = True
    """Whether the trace of a caller is continued, and its decision to sample followed; false for
    services that anybody may call."""
    operation_spans: bool = False
    """Whether dependencies, handlers and the making of responses get spans of their own."""
    repeated_statements: PositiveInt = 20
    """How many times a request may send one statement to the database before its line in the log
    warns of it."""


class ManagementSettings(Section):
    """Who may see what operators see: `/metrics`, `/info`, `/loggers` and `/health` in detail.

    Without a port and a token they are served in development and tests only.
    """

    port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """A port of their own, which the world outside should not reach; 0 takes any that is free."""
    host: str = "127.0.0.1"
    """The address that this port is opened at."""
    token: Annotated[SecretStr, Field(min_length=32)] | None = None
    """What callers must send as `Authorization: Bearer`, at least 32 characters."""


class BuildSettings(Section):
    """Which build this is, as `/info` and the metric `build_info` show it; set it in the image."""

    version: str | None = None
    """The version of the service; unset means that of its package."""
    commit: str | None = None
    """The revision of the source."""
    time: AwareDatetime | None = None
    """When it was built, in ISO 8601."""


class HealthSettings(Section):
    """How the service finds out that it is well, and what its probes show."""

    details: bool | None = None
    """Whether `/readyz` and `/health` name their checks to everybody; unset means only in
    development and tests."""
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=2)
    """How long one check may take."""
    interval: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=10)
    """How often checks are run; probes are answered from what they found last."""
    stale_after: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(minutes=1)
    """After how long what a check found no longer counts, and the service is not ready."""
    failures_to_unready: PositiveInt = 2
    """How many times in a row a check must fail before the service, once ready, is not ready."""


class ShutdownSettings(Section):
    """How long the service takes to stop, in its three steps.

    Together they must be less than what its orchestrator waits for before it kills.
    """

    drain_delay: Duration | None = None
    """How long it goes on serving after SIGTERM while `/readyz` says 503, so that balancers look
    elsewhere; unset means 5 s in staging and production, and else not at all."""
    grace: Duration = timedelta(seconds=25)
    """How long requests may then take to end."""
    cleanup: Duration = timedelta(seconds=5)
    """How long its parts may then take together to close."""
