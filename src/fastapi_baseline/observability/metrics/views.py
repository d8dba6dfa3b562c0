"""Which labels, buckets and rules the metrics have whose names are known beforehand.

The names of instruments and attributes are those of OpenTelemetry's semantic conventions, as far as
these have one. An attribute that is not listed here is left out: what may be a label comes from a
closed set. An instrument that is not listed has every attribute that it is given, and is bounded
only by the number of its series.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MultiprocessMode = Literal["livesum", "livemax", "livemin", "livemostrecent"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The boundaries of the semantic conventions for durations of requests."""
_OPERATION_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_BYTES = (128, 512, 2_048, 8_192, 32_768, 131_072, 524_288, 2_097_152, 10_485_760)
# The default of OpenTelemetry's specification.
ANYTHING = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How one instrument is shown.

    `attributes` are those that become labels; `None` means all. `buckets` win over what the
    instrument advises. `name` is that of the metric, if the rules do not give a good one. `across`
    says what a gauge is when several processes count together.
    """

    attributes: Sequence[str] | None = None
    buckets: Sequence[float] | None = None
    name: str | None = None
    across: MultiprocessMode | None = None


_HTTP = ("http.request.method", "http.route", "http.response.status_code")
_POOL = "db.client.connection.pool.name"

CONVENTIONS: Mapping[str, View] = {
    "http.server.request.duration": View(attributes=(*_HTTP, "error.type"), buckets=SECONDS),
    "http.server.active_requests": View(attributes=("http.request.method",)),
    "http.server.request.body.size": View(attributes=_HTTP, buckets=_BYTES),
    "http.server.response.body.size": View(attributes=_HTTP, buckets=_BYTES),
    "http.client.request.duration": View(
        attributes=(
            "http.request.method",
            "http.response.status_code",
            "server.address",
            "server.port",
            "error.type",
        ),
        buckets=SECONDS,
    ),
    "db.client.operation.duration": View(
        attributes=("db.system.name", "db.operation.name", "error.type"),
        buckets=_OPERATION_SECONDS,
    ),
    # By the rules it would end in `_count`, which only histograms and summaries may.
    "db.client.connection.count": View(
        attributes=(_POOL, "db.client.connection.state"), name="db_client_connections"
    ),
    "db.client.connection.max": View(attributes=(_POOL,), across="livesum"),
    "db.client.connection.pending_requests": View(attributes=(_POOL,)),
    "db.client.connection.wait_time": View(attributes=(_POOL,), buckets=_OPERATION_SECONDS),
    "db.client.connection.use_time": View(attributes=(_POOL,), buckets=_OPERATION_SECONDS),
    "db.client.connection.create_time": View(attributes=(_POOL,), buckets=_OPERATION_SECONDS),
    "db.client.connection.timeouts": View(attributes=(_POOL,)),
    "event_loop.lag": View(attributes=(), buckets=_LAG_SECONDS),
    "event_loop.lag.max": View(attributes=(), across="livemax"),
    # The worst that any process sees: another process may well see the system as it should be.
    "health.check.status": View(attributes=("check",), across="livemin"),
    "health.check.duration": View(attributes=("check",), buckets=_OPERATION_SECONDS),
    "baseline.redis.available": View(attributes=(), across="livemin"),
    "baseline.redis.failures": View(attributes=("error.type",)),
    "build.info": View(
        attributes=("version", "commit", "python"), name="build_info", across="livemax"
    ),
    "log.records.dropped": View(attributes=()),
}
