"""Places of running requests, in the memory of this process."""

from collections import OrderedDict

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.rate_limiting.concurrency import ConcurrencyPolicy


class MemoryLeaseStore:
    """A `LeaseStore` that other processes do not see, and that ends with this one."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        """Hold as many places as requests are running."""
        self._monotonic = (clock or SystemClock()).monotonic
        # The seconds at which each lease of a caller is over, by token.
        self._leases: OrderedDict[str, dict[str, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many callers have places, of which some leases may be over."""
        return len(self._leases)

    async def acquire(self, policy: ConcurrencyPolicy, key: str, token: str) -> int | None:
        """Give a place to `token`, and return how many are left; `None` if there is none to give."""
        now = self._monotonic()
        self._drop_oldest(now)
        name = _get_name(policy, key)
        leases = _get_running(self._leases.get(name, {}), now)
        if token not in leases and len(leases) >= policy.quota:
            self._put(name, leases)
            return None
        leases[token] = now + policy.lease.total_seconds()
        self._put(name, leases)
        return max(0, policy.quota - len(leases))

    async def renew(self, policy: ConcurrencyPolicy, key: str, token: str) -> bool:
        """Begin the lease anew, and return whether the token still had its place."""
        now = self._monotonic()
        name = _get_name(policy, key)
        leases = _get_running(self._leases.get(name, {}), now)
        if token not in leases:
            return False
        leases[token] = now + policy.lease.total_seconds()
        self._put(name, leases)
        return True

    async def release(self, policy: ConcurrencyPolicy, key: str, token: str) -> None:
        """Free the place of `token`, if it has one."""
        name = _get_name(policy, key)
        leases = self._leases.get(name)
        if leases is not None:
            leases.pop(token, None)
            if not leases:
                del self._leases[name]

    def _put(self, name: str, leases: dict[str, float]) -> None:
        self._leases[name] = leases
        self._leases.move_to_end(name)

    def _drop_oldest(self, now: float) -> None:
        """Drop the caller seen least recently if nothing of it runs, so that none stays forever."""
        oldest = next(iter(self._leases), None)
        if oldest is not None and not _get_running(self._leases[oldest], now):
            del self._leases[oldest]


def _get_name(policy: ConcurrencyPolicy, key: str) -> str:
    return f"{policy.name}\n{key}"


def _get_running(leases: dict[str, float], now: float) -> dict[str, float]:
    return {token: over for token, over in leases.items() if over > now}
