"""How much a caller may use in how much time."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

FailureMode = Literal["local", "open", "closed"]
"""What holds while the shared store does not answer: a count of this process, no limit, or no
request."""

Strategy = Literal["gcra", "fixed-window", "sliding-window"]
"""`gcra` (generic cell rate algorithm, a leaky bucket as a meter) gives back evenly what was used;
`fixed-window` gives back everything when a window ends, which the first use opens; `sliding-window`
weighs what was used in the window before by the part of it that is not over yet."""

_SEPARATOR = re.compile(r"[,;|]")
_QUOTA = re.compile(r"\s*([0-9]+)\s*(?:/|per)\s*([0-9]+)?\s*([a-z]+)\s*", re.IGNORECASE)
# As slowapi counts them.
_PERIODS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "month": timedelta(days=30),
    "year": timedelta(days=360),
}
# Nanoseconds (52 days) above which a Lua number does not tell all of them apart any more. Multiples
# of 8 are exact for a year, and the server's clock, which counts microseconds, gives nothing else.
_EXACT = 2**52
_GRAIN = 8


@dataclass(frozen=True, slots=True)
class Quota:
    """An amount in a window, as `100/minute` says it."""

    amount: int
    window: timedelta


def parse_quotas(text: str) -> tuple[Quota, ...]:
    """Return the quotas that `text` lists, as slowapi writes them: `100/minute; 1000 per 2 hours`.

    Raises:
        ValueError: If a quota is not understood; the message repeats it.
    """
    return tuple(_parse_quota(part) for part in _SEPARATOR.split(text))


def _parse_quota(text: str) -> Quota:
    match = _QUOTA.fullmatch(text)
    if match is None:
        raise ValueError(f"{text.strip()!r} is no limit: write one like 100/minute or 5/10 seconds")
    amount, multiple, period = match.groups()
    name = period.lower()
    length = _PERIODS.get(name) or _PERIODS.get(name.removesuffix("s"))
    if length is None:
        raise ValueError(f"{period!r} is no period: choose one of {', '.join(_PERIODS)}")
    return Quota(int(amount), length * (int(multiple or 0) or 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaPolicy:
    """One limit, which draft-ietf-httpapi-ratelimit-headers calls a quota policy.

    `name` is public, and unique among the policies of a request; callers are counted apart for each
    name. A `quota` of 0 refuses everybody. With a `shadow`, the policy counts and reports, and
    refuses nobody.
    """

    name: str
    quota: int
    window: timedelta
    burst: int | None = None
    """How much may be used at once, for `gcra`; the whole quota unless it says something else."""
    strategy: Strategy = "gcra"
    failure_mode: FailureMode = "local"
    shadow: bool = False

    capacity: int = field(init=False, repr=False, compare=False)
    """How much may be used at once: the highest cost that can ever be allowed."""
    window_us: int = field(init=False, repr=False, compare=False)
    """The window in microseconds."""
    emission_interval: int = field(init=False, repr=False, compare=False)
    """The nanoseconds after which `gcra` gives back 1; rounded up, so never too early."""
    tolerance: int = field(init=False, repr=False, compare=False)
    """The nanoseconds after which `gcra` has given back everything."""

    def __post_init__(self) -> None:
        """Check the values, and work out what each decision needs.

        Raises:
            ValueError: If no limit has such values.
        """
        if not (self.name and self.name.isascii() and self.name.isprintable()):
            raise ValueError(f"The name of a policy is printable ASCII, and {self.name!r} is not")
        if self.quota < 0:
            raise ValueError(f"A quota is not negative: {self.quota}")
        if self.window <= timedelta(0):
            raise ValueError(f"A window is not empty: {self.window}")
        if self.burst is not None and self.strategy != "gcra":
            raise ValueError(f"Only the strategy gcra has a burst, and not {self.strategy}")
        if self.burst is not None and self.burst < 1:
            raise ValueError(f"A burst is at least 1: {self.burst}")
        capacity = self.quota if self.burst is None or not self.quota else self.burst
        window_us = self.window // timedelta(microseconds=1)
        interval = -(-window_us * 1000 // max(self.quota, 1))
        if interval * capacity >= _EXACT:
            interval = -(-interval // _GRAIN) * _GRAIN
        set_once = object.__setattr__
        set_once(self, "capacity", capacity)
        set_once(self, "window_us", window_us)
        set_once(self, "emission_interval", interval)
        set_once(self, "tolerance", interval * capacity)
