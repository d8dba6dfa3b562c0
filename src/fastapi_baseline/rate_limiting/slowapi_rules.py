"""Limits as slowapi has them, which are read from texts and carried by errors."""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.decisions import Decision
from fastapi_baseline.rate_limiting.declarations import PolicyDefaults, Rule, RuleReader
from fastapi_baseline.rate_limiting.policies import FailureMode, Quota, Strategy
from fastapi_baseline.rate_limiting.rules import make_policies

with optional("slowapi", "limits", extra="ratelimit"):
    from limits import RateLimitItem, parse_many
    from slowapi.errors import RateLimitExceeded
    from slowapi.wrappers import Limit

_MOST_TEXTS = 256


class QuotaExceededError(RateLimitExceeded):
    """A request is above a limit; `decision` says what all of its limits say."""

    def __init__(self, limit: Limit, *, decision: Decision | None = None) -> None:
        """Carry what slowapi's error carries, and `decision`."""
        super().__init__(limit)
        self.decision = decision


def make_reader(
    *,
    name: str | None = None,
    burst: int | None = None,
    strategy: Strategy | None = None,
    failure_mode: FailureMode | None = None,
    shadow: bool | None = None,
    error_message: str | Callable[[], str] | None = None,
    key_func: Callable[..., Any],
    cost: int | Callable[..., Any] = 1,
    override_defaults: bool = True,
) -> RuleReader:
    """Return what makes rules of texts, and remembers those that it has made."""

    @lru_cache(maxsize=_MOST_TEXTS)
    def read(text: str, defaults: PolicyDefaults) -> tuple[Rule, ...]:
        items = parse_items(text)
        effective = PolicyDefaults(
            strategy=strategy or defaults.strategy,
            failure_mode=failure_mode or defaults.failure_mode,
            shadow=bool(shadow) or defaults.shadow,
        )
        policies = make_policies(
            [quota_of(item) for item in items], defaults=effective, name=name, burst=burst
        )
        message = cast("Any", error_message)
        return tuple(
            Rule(
                policy,
                Limit(item, key_func, None, False, None, message, None, cost, override_defaults),  # noqa: FBT003 -- slowapi takes no names
            )
            for policy, item in zip(policies, items, strict=True)
        )

    return read


def parse_items(text: str) -> list[RateLimitItem]:
    """Return the limits that a text lists, as slowapi reads them.

    Raises:
        ConfigurationError: If it is not understood.
    """
    try:
        return parse_many(text)
    except ValueError as error:
        raise ConfigurationError(
            f"The limit {text!r} is not understood: write one like 100/minute, or several with a "
            "semicolon."
        ) from error


def quota_of(item: RateLimitItem) -> Quota:
    """Return the amount and the window of a limit."""
    return Quota(item.amount, timedelta(seconds=item.get_expiry()))
