"""The names and values of policies that texts such as `100/minute;1000/hour` stand for."""

import re
from collections.abc import Sequence
from datetime import timedelta

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.declarations import PolicyDefaults
from fastapi_baseline.rate_limiting.policies import Quota, QuotaPolicy, parse_quotas

_PERIODS = (
    (timedelta(days=360), "year"),
    (timedelta(days=30), "month"),
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
    (timedelta(seconds=1), "second"),
)
_NOT_IN_NAMES = re.compile(r"[^ !#-\[\]-~]")


def make_policies(
    quotas: Sequence[Quota],
    *,
    defaults: PolicyDefaults,
    name: str | None = None,
    burst: int | None = None,
) -> tuple[QuotaPolicy, ...]:
    """Return a policy for each quota, with names that are all different.

    One that is called `name` gets its period added if there are several; without a name, a policy
    is called by its quota, such as `100-per-minute`.

    Raises:
        ConfigurationError: If no limit has such values.
    """
    names: list[str] = []
    for quota in quotas:
        period = _period_of(quota.window)
        called = f"{quota.amount}-per-{period}" if name is None else _NOT_IN_NAMES.sub("_", name)
        if name is not None and len(quotas) > 1:
            called = f"{called}-{period}"
        while called in names:
            called = f"{called}-{quota.amount}"
        names.append(called)
    try:
        return tuple(
            QuotaPolicy(
                name=called,
                quota=quota.amount,
                window=quota.window,
                burst=burst,
                strategy="gcra" if burst is not None else defaults.strategy,
                failure_mode=defaults.failure_mode,
                shadow=defaults.shadow,
            )
            for called, quota in zip(names, quotas, strict=True)
        )
    except ValueError as error:
        raise ConfigurationError(f"No limit can be like this: {error}") from error


def read_policies(
    texts: Sequence[str], *, name: str, defaults: PolicyDefaults
) -> tuple[QuotaPolicy, ...]:
    """Return the policies that settings list.

    Raises:
        ConfigurationError: If a text is not understood.
    """
    try:
        quotas = [quota for text in texts for quota in parse_quotas(text)]
    except ValueError as error:
        raise ConfigurationError(f"The limit {name} is not understood: {error}") from error
    return make_policies(quotas, defaults=defaults, name=name)


def _period_of(window: timedelta) -> str:
    """Return a window as its name: `minute`, `5-minutes`."""
    for length, name in _PERIODS:
        if window % length == timedelta(0):
            count = window // length
            return name if count == 1 else f"{count}-{name}s"
    return f"{window.total_seconds():g}-seconds"
