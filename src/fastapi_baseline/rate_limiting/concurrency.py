"""How many requests of a caller may run at once (`qu="concurrent-requests"` of the draft)."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

from fastapi_baseline.errors import TooManyRequestsError, UnavailableError
from fastapi_baseline.rate_limiting.decisions import Source
from fastapi_baseline.rate_limiting.policies import FailureMode

RETRY_AFTER = timedelta(seconds=1)
"""What callers are told to wait: nobody knows when one of their requests will end."""

_ZERO = timedelta(0)


class ConcurrencyLimitExceededError(TooManyRequestsError):
    """As many requests of the caller as may are running."""

    code = "concurrency_limit_exceeded"
    default_message = "Too many requests at once."


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyPolicy:
    """One limit on what runs at once; `name`, `failure_mode` and `shadow` are a `QuotaPolicy`'s.

    A place that is not given back within the `lease` is free again, since whoever had it may have
    died: the lease is longer than the longest request, or renewed.
    """

    name: str
    quota: int
    lease: timedelta = timedelta(minutes=1)
    failure_mode: FailureMode = "local"
    shadow: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: If no limit has such values.
        """
        if not (self.name and self.name.isascii() and self.name.isprintable()):
            raise ValueError(f"The name of a policy is printable ASCII, and {self.name!r} is not")
        if self.quota < 1:
            raise ValueError(f"At least one request may run at once, and not {self.quota}")
        if self.lease <= _ZERO:
            raise ValueError(f"A lease is not over at once: {self.lease}")


class Lease(NamedTuple):
    """A place that a request has, until it is released or the lease is over."""

    policy: ConcurrencyPolicy
    key: str
    token: str
    source: Source


class ConcurrencyDecision(NamedTuple):
    """Whether one more request may run, and how many more after that.

    There is no lease if it may not, and neither if it may because of the policy's modes.
    """

    policy: ConcurrencyPolicy
    allowed: bool
    remaining: int
    retry_after: timedelta
    source: Source
    lease: Lease | None

    @property
    def is_shadowed(self) -> bool:
        """Whether the request may run only because the policy is in shadow mode."""
        return self.allowed and self.lease is None and self.source != "open"


class LeaseStore(Protocol):
    """Who has which place. A store that does not answer raises an `UnavailableError`."""

    async def acquire(self, policy: ConcurrencyPolicy, key: str, token: str) -> int | None:
        """Give a place to `token`, and return how many are left; `None` if there is none to give.

        A token that has a place gets the same again, with a new lease.
        """
        ...

    async def renew(self, policy: ConcurrencyPolicy, key: str, token: str) -> bool:
        """Begin the lease anew, and return whether the token still had its place."""
        ...

    async def release(self, policy: ConcurrencyPolicy, key: str, token: str) -> None:
        """Free the place of `token`, if it has one."""
        ...


class ConcurrencyLimiter:
    """What decides whether one more request of a caller may run.

    It asks the shared store if there is one; while that does not answer, the failure mode of the
    policy says what holds.
    """

    def __init__(
        self, *, local: LeaseStore, shared: LeaseStore | None = None, instances: int = 1
    ) -> None:
        """Ask `shared`, and without it count in `local`, each of `instances` its part.

        Raises:
            ValueError: If there are no instances.
        """
        if instances < 1:
            raise ValueError(f"There is at least one instance, and not {instances}")
        self._local = local
        self._shared = shared
        self._instances = instances

    @asynccontextmanager
    async def hold(
        self, policy: ConcurrencyPolicy, key: str
    ) -> AsyncGenerator[ConcurrencyDecision]:
        """Have a place while the block runs.

        Raises:
            ConcurrencyLimitExceededError: If there is none.
        """
        decision = await self.acquire(policy, key)
        if not decision.allowed:
            raise ConcurrencyLimitExceededError(retry_after=decision.retry_after)
        try:
            yield decision
        finally:
            await self.release(decision.lease)

    async def acquire(self, policy: ConcurrencyPolicy, key: str) -> ConcurrencyDecision:
        """Take a place, which has to be released; the key is a `Demand`'s."""
        token = secrets.token_urlsafe(12)
        if self._shared is None:
            left = await self._local.acquire(policy, key, token)
            return _decide(left, Lease(policy, key, token, "local"))
        try:
            left = await self._shared.acquire(policy, key, token)
        except UnavailableError:
            return await self._fall_back(Lease(policy, key, token, "local"))
        return _decide(left, Lease(policy, key, token, "redis"))

    async def renew(self, lease: Lease) -> bool:
        """Begin the lease anew, and return whether the place had not been given to another.

        While the shared store does not answer, nobody else gets the place there either.
        """
        try:
            return await self._get_store(lease).renew(lease.policy, lease.key, lease.token)
        except UnavailableError:
            return True

    async def release(self, lease: Lease | None) -> None:
        """Free the place; if the store does not answer, it is free when the lease is over."""
        if lease is not None:
            with suppress(UnavailableError):
                await self._get_store(lease).release(lease.policy, lease.key, lease.token)

    def _get_store(self, lease: Lease) -> LeaseStore:
        if lease.source == "redis" and self._shared is not None:
            return self._shared
        return self._local

    async def _fall_back(self, lease: Lease) -> ConcurrencyDecision:
        policy = lease.policy
        if policy.failure_mode == "open":
            return ConcurrencyDecision(
                policy,
                allowed=True,
                remaining=policy.quota,
                retry_after=_ZERO,
                source="open",
                lease=None,
            )
        if policy.failure_mode == "closed":
            return _decide(None, lease._replace(source="closed"))
        share = ConcurrencyPolicy(
            name=policy.name,
            quota=max(1, policy.quota // self._instances),
            lease=policy.lease,
        )
        left = await self._local.acquire(share, lease.key, lease.token)
        return _decide(left, lease)


def _decide(left: int | None, lease: Lease) -> ConcurrencyDecision:
    policy = lease.policy
    is_allowed = left is not None or policy.shadow
    return ConcurrencyDecision(
        policy=policy,
        allowed=is_allowed,
        remaining=left or 0,
        retry_after=_ZERO if is_allowed else RETRY_AFTER,
        source=lease.source,
        lease=None if left is None else lease,
    )
