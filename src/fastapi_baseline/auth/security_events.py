"""What happened that matters for security: one stream of events, each with its request."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

logger = logging.getLogger("fastapi_baseline.auth.events")

_SCOPE = "fastapi_baseline.auth"
_OTHER = "_other"

Outcome = Literal["success", "failure"]

SecurityEventName = Literal[
    "access_refused",
    "api_key_issued",
    "api_key_refused",
    "api_key_revoked",
    "authorization_code_reused",
    "authorization_denied",
    "authorization_granted",
    "client_changed",
    "client_refused",
    "csrf_refused",
    "email_verified",
    "grant_revoked",
    "login_refused",
    "logout_received",
    "logout_refused",
    "password_changed",
    "password_reset",
    "password_reset_requested",
    "provider_tokens_lost",
    "recovery_code_used",
    "recovery_codes_made",
    "refresh_token_reused",
    "refresh_token_reused_in_window",
    "refresh_token_used",
    "roles_changed",
    "second_factor_disabled",
    "second_factor_enabled",
    "second_factor_refused",
    "session_revoked",
    "session_started",
    "sign_in",
    "sign_in_refused",
    "sign_out",
    "signing_key_changed",
    "throttled",
    "token_issued",
    "token_refused",
    "token_revoked",
    "user_deleted",
    "user_disabled",
    "user_enabled",
    "user_registered",
]
"""All events that there are; a new one is added here."""

SECURITY_EVENT_NAMES: frozenset[str] = frozenset(get_args(SecurityEventName))
"""The names of all events, for what has to check one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityEvent:
    """One event. `details` have neither secrets nor addresses of e-mail."""

    name: SecurityEventName
    outcome: Outcome
    subject: str | None = None
    details: Mapping[str, str] = field(default_factory=dict[str, str])


class SecurityEvents(Protocol):
    """Where events go."""

    async def record(self, event: SecurityEvent) -> None:
        """Keep an event, whatever comes of the request; never fails because it cannot."""
        ...


class LogSecurityEvents:
    """Writes each event as one line of the log, and counts it in `baseline.auth.events`.

    The line has the identifier of the request, as all lines have. Events that are a failure are
    warnings.
    """

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        """Count with a meter of `meter_provider`, by default that of the process."""
        meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        self._events = meter.create_counter(
            "baseline.auth.events",
            unit="{event}",
            description="What happened that matters for security.",
        )

    async def record(self, event: SecurityEvent) -> None:
        """Write and count an event."""
        # The set is closed, but who is not checked by types can say anything.
        name = event.name if event.name in SECURITY_EVENT_NAMES else _OTHER
        self._events.add(1, {"name": name, "outcome": event.outcome})
        fields: dict[str, object] = {"event": event.name, "outcome": event.outcome}
        if event.subject is not None:
            fields["subject"] = event.subject
        logger.log(
            logging.WARNING if event.outcome == "failure" else logging.INFO,
            "Security event: %s",
            event.name,
            extra={"fields": {**event.details, **fields}},
        )
