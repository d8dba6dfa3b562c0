"""What a service is told about requests and responses."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from fastapi_baseline.settings.values import Duration, Section, TextList


class CorsSettings(Section):
    """What browsers may do from the origins in `CORS_ORIGINS`."""

    allow_methods: TextList = ("GET", "POST", "PUT", "PATCH", "DELETE")
    """Methods that may be used; HEAD and OPTIONS always may."""
    allow_headers: TextList = (
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "If-None-Match",
        "X-Request-ID",
    )
    """Request headers that may be sent, beyond those that browsers always may send."""
    expose_headers: TextList = (
        "Age",
        "Cache-Status",
        "ETag",
        "Idempotency-Replayed",
        "Link",
        "Location",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "X-Request-ID",
        "X-Total-Count",
    )
    """Response headers that a page may read."""
    allow_credentials: bool = False
    """Whether cookies and client certificates are sent; refused together with the origin `*`."""
    max_age: Duration = timedelta(minutes=10)
    """How long a browser may remember the answer to a preflight."""


class RequestSettings(Section):
    """What one request, and all of them together, may take."""

    max_body_size: NonNegativeInt | None = 10 * 1024 * 1024
    """How many bytes the body of a request may have; a route may say otherwise
    (`max_body_size=`), and `none` means any number."""
    timeout: Annotated[Duration, Field(gt=timedelta(0))] | None = timedelta(seconds=30)
    """How long a request may take until its response begins, before it is answered with 504; `none`
    means any time."""
    max_in_flight: PositiveInt | None = 1_000
    """How many requests one process answers at once; those beyond are answered with 503, and `none`
    means any number."""
    retry_after: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=1)
    """When a client that was answered with 503 for that reason should come back."""


class CompressionSettings(Section):
    """How responses are compressed."""

    enabled: bool = True
    """Whether to compress at all; a proxy in front may do it instead."""
    encodings: TextList = ("zstd", "br", "gzip")
    """The codings to offer, the best first; those whose library is missing are left out."""
    minimum_size: NonNegativeInt = 1_024
    """Bodies with fewer bytes are sent as they are."""
    thread_size: NonNegativeInt = 128 * 1024
    """Bodies with at least this many bytes are compressed in a thread, so that others need not
    wait."""


class ConditionalRequestsSettings(Section):
    """How a client is told that what it has is still right (RFC 9110, section 13)."""

    enabled: bool = True
    """Whether `If-None-Match` and its relatives are answered from the headers of responses."""
    make_etags: bool = False
    """Whether responses to GET that have no entity tag get one, of their bytes; it saves the client
    the transfer, and the service nothing."""


class IdempotencySettings(Section):
    """How long what was done for an `Idempotency-Key` is remembered."""

    lifetime: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=24)
    """How long a response can be had again."""
    lock_timeout: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(minutes=1)
    """After how long a request that has not ended no longer keeps others with its key out; more
    than `REQUESTS__TIMEOUT`."""
    max_entries: PositiveInt = 10_000
    """How many responses a process remembers when there is no Redis."""
    max_response_size: PositiveInt = 1024 * 1024
    """Responses with more bytes than this are not remembered."""


class SecurityHeadersSettings(Section):
    """Response headers that tell browsers to be careful."""

    enabled: bool = True
    """Whether to send them at all."""
    hsts_max_age: Duration = timedelta(days=365)
    """How long browsers keep to HTTPS (RFC 6797); zero sends no such header."""
    hsts_include_subdomains: bool = True
    """Whether subdomains are meant too."""
