"""Counters in the memory of this process: for services of one process, and while Redis is away."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.rate_limiting import gcra
from fastapi_baseline.rate_limiting.decisions import (
    Decision,
    Demand,
    PolicyOutcome,
    refuse_negative_cost,
)
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.window_counters import (
    FixedWindow,
    SlidingWindow,
    WindowCounter,
)

_ZERO = timedelta(0)
# A `NamedTuple` by itself, which takes half the time without the names of its fields.
_make = tuple.__new__  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] -- of any items
# How many of the callers that were seen least recently each new one looks at, to drop those of whom
# there is nothing to remember: more than one, so that the store shrinks after a flood.
_SWEEP = 2


class _Window(NamedTuple):
    """What the counter of a window holds, and the nanosecond from which it means nothing more."""

    expiry: int
    counter: WindowCounter


# An arrival time is its own expiry, and most of what there is, so it stands by itself.
_State = int | _Window


class _States(OrderedDict[str, _State]):
    """What all counters hold, in the order in which they were last asked for."""

    def __init__(self, max_keys: int) -> None:
        super().__init__()
        self._max_keys = max_keys

    def put(self, name: str, state: _State, now: int) -> None:
        """Keep what there is to remember."""
        if name not in self:
            self.make_room(now)
        self[name] = state
        self.move_to_end(name)
        if _is_over(state, now):
            del self[name]

    def make_room(self, now: int) -> None:
        """Prepare for one more."""
        for _ in range(min(_SWEEP, len(self))):
            name = next(iter(self))
            if len(self) < self._max_keys and not _is_over(self[name], now):
                return
            del self[name]


class MemoryRateLimitStore:
    """A `RateLimitStore` that other processes do not see, and that ends with this one.

    Whatever it is asked takes the same time however many callers it knows.
    """

    def __init__(self, *, clock: Clock | None = None, max_keys: int = 100_000) -> None:
        """Count for at most `max_keys` callers and policies; the least recently seen is forgotten.

        Raises:
            ValueError: If there is room for none.
        """
        if max_keys < 1:
            raise ValueError(f"A store has room for at least one key, and not for {max_keys}")
        self._monotonic = (clock or SystemClock()).monotonic
        self._states = _States(max_keys)

    def __len__(self) -> int:
        """Return how many counters are held, some of which may mean nothing any more."""
        return len(self._states)

    async def acquire(self, demands: Sequence[Demand]) -> Decision:
        """Take from all policies, or from none if one of them refuses.

        Raises:
            ValueError: If a cost is negative.
        """
        return self.acquire_nowait(demands)

    def acquire_nowait(self, demands: Sequence[Demand]) -> Decision:
        """Do what `acquire` does, without being awaited."""
        if len(demands) == 1 and demands[0].policy.strategy == "gcra":
            return self._acquire_one(demands[0])
        return self._decide(demands, taking=True)

    async def peek(self, demands: Sequence[Demand]) -> Decision:
        """Return what `acquire` would, and what remains before it.

        Raises:
            ValueError: If a cost is negative.
        """
        return self.peek_nowait(demands)

    def peek_nowait(self, demands: Sequence[Demand]) -> Decision:
        """Do what `peek` does, without being awaited."""
        return self._decide(demands, taking=False)

    async def charge(self, demands: Sequence[Demand]) -> None:
        """Take from all policies, also more than is left."""
        now = self._now()
        for demand in demands:
            name = _get_name(demand)
            self._states.put(name, _add(demand, self._states.get(name), now), now)

    async def refund(self, demands: Sequence[Demand]) -> None:
        """Give back what was taken, up to the full quota."""
        await self.charge([demand._replace(cost=-demand.cost) for demand in demands])

    async def forget(self, demands: Sequence[Demand]) -> None:
        """Let the callers start anew, whatever the costs."""
        for demand in demands:
            self._states.pop(_get_name(demand), None)

    def _now(self) -> int:
        # Whole microseconds, as the server of Redis counts them; in nanoseconds.
        return int(self._monotonic() * 1_000_000 + 0.5) * 1000

    def _acquire_one(self, demand: Demand) -> Decision:
        """Do what the general way does, in a third of the time, for what most requests need."""
        policy, key, cost = demand
        if cost < 0:
            refuse_negative_cost(cost)
        # Written out: each call would take a tenth of the whole.
        now = int(self._monotonic() * 1_000_000 + 0.5) * 1000
        name = f"{policy.name}\n{key}"
        states = self._states
        state = states.get(name)
        if state is None:
            states.make_room(now)
            ahead = 0
        else:
            states.move_to_end(name)
            ahead = state - now if isinstance(state, int) and state > now else 0
        after = ahead + policy.emission_interval * cost
        tolerance = policy.tolerance
        is_allowed = after <= tolerance
        if is_allowed:
            wait = _ZERO
            ahead = after
            if cost:
                states[name] = now + after
        else:
            wait = _to_duration(gcra.get_wait(policy, after, cost))
        remaining = (tolerance - ahead) // policy.emission_interval if ahead < tolerance else 0
        reset = timedelta(0, 0, -(-ahead // 1000))
        outcome = _make(PolicyOutcome, (policy, is_allowed, remaining, reset, wait))
        if policy.shadow:
            is_allowed, wait = True, _ZERO
        return _make(Decision, (is_allowed, (outcome,), wait, "local"))

    def _decide(self, demands: Sequence[Demand], *, taking: bool) -> Decision:
        now = self._now()
        readings: list[tuple[Demand, str, _State | None, int]] = []
        longest = 0
        for demand in demands:
            if demand.cost < 0:
                refuse_negative_cost(demand.cost)
            name = _get_name(demand)
            state = self._states.get(name)
            wait = _get_wait(demand, state, now)
            if wait > longest and not demand.policy.shadow:
                longest = wait
            readings.append((demand, name, state, wait))
        outcomes: list[PolicyOutcome] = []
        for demand, name, before, wait in readings:
            state = before
            if taking and not longest and not wait and demand.cost:
                state = _add(demand, before, now)
                self._states.put(name, state, now)
            elif taking and name in self._states:
                self._states.move_to_end(name)
            remaining, reset = _describe(demand.policy, state, now)
            outcome = (demand.policy, not wait, remaining, reset, _to_duration(wait))
            outcomes.append(_make(PolicyOutcome, outcome))
        return Decision(not longest, tuple(outcomes), _to_duration(longest), "local")


def _get_name(demand: Demand) -> str:
    return f"{demand.policy.name}\n{demand.key}"


def _to_duration(nanoseconds: int) -> timedelta:
    # Rounded up, so that whoever waits that long has waited long enough.
    return timedelta(0, 0, -(-nanoseconds // 1000)) if nanoseconds else _ZERO


def _get_ahead(state: _State | None, now: int) -> int:
    return max(0, state - now) if isinstance(state, int) else 0


def _get_counter(policy: QuotaPolicy, state: _State | None, now: int) -> WindowCounter:
    counter = state.counter if isinstance(state, _Window) else None
    kind = FixedWindow if policy.strategy == "fixed-window" else SlidingWindow
    return kind.at(counter, policy, now // 1000)


def _get_wait(demand: Demand, state: _State | None, now: int) -> int:
    policy, _, cost = demand
    if policy.strategy == "gcra":
        after = _get_ahead(state, now) + policy.emission_interval * cost
        return gcra.get_wait(policy, after, cost)
    return _get_counter(policy, state, now).get_wait(policy, now // 1000, cost) * 1000


def _describe(policy: QuotaPolicy, state: _State | None, now: int) -> tuple[int, timedelta]:
    if policy.strategy == "gcra":
        ahead = _get_ahead(state, now)
        return gcra.get_remaining(policy, ahead), _to_duration(ahead)
    counter = _get_counter(policy, state, now)
    reset = timedelta(microseconds=counter.get_reset(policy, now // 1000))
    return counter.get_remaining(policy, now // 1000), reset


def _add(demand: Demand, state: _State | None, now: int) -> _State:
    policy, _, cost = demand
    if policy.strategy == "gcra":
        return now + gcra.charge(policy, _get_ahead(state, now), cost)
    counter = _get_counter(policy, state, now).add(cost)
    return _Window(counter.get_expiry(policy) * 1000 if counter.is_used else now, counter)


def _is_over(state: _State, now: int) -> bool:
    return (state if isinstance(state, int) else state.expiry) <= now
