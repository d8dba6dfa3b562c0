"""What is counted of access tokens. A good one adds one to a number, and nobody is called for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import get_args

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from fastapi_baseline.auth.tokens.errors import Reason
from fastapi_baseline.auth.tokens.jwks import FetchCounts

_SCOPE = "fastapi_baseline.auth"


def _zeros() -> dict[str, int]:
    return dict.fromkeys(get_args(Reason), 0)


@dataclass(slots=True)
class TokenCounts:
    """How often tokens were good since the process started, and how often not, by the reason."""

    accepted: int = 0
    unavailable: int = 0
    refused: dict[str, int] = field(default_factory=_zeros)


def observe_tokens(
    counts: TokenCounts,
    fetches: Mapping[str, FetchCounts],
    *,
    meter_provider: MeterProvider | None,
) -> None:
    """Make the instruments; `fetches` are those of keys, by issuer.

    Without a provider, the global one is used.
    """
    meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)

    def tokens(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(counts.accepted, {"outcome": "accepted"})
        yield Observation(counts.unavailable, {"outcome": "unavailable"})
        for reason, count in counts.refused.items():
            yield Observation(count, {"outcome": reason})

    def key_fetches(_: CallbackOptions) -> Iterable[Observation]:
        for issuer, counted in fetches.items():
            yield Observation(counted.succeeded, {"issuer": issuer, "outcome": "success"})
            yield Observation(counted.failed, {"issuer": issuer, "outcome": "failure"})

    meter.create_observable_counter(
        "baseline.auth.tokens",
        [tokens],
        unit="{token}",
        description="Access tokens by what became of them.",
    )
    meter.create_observable_counter(
        "baseline.auth.key_fetches",
        [key_fetches],
        unit="{fetch}",
        description="How often the keys of issuers were fetched.",
    )
