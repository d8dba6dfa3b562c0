"""Callers who keep on breaking limits, and are refused everything for a while."""

from dataclasses import dataclass
from datetime import timedelta

from fastapi_baseline.rate_limiting.decisions import Demand
from fastapi_baseline.rate_limiting.engine import RateLimitEngine
from fastapi_baseline.rate_limiting.policies import FailureMode, QuotaPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """How many strikes a caller may have within a window, and for how long one more bans it."""

    name: str
    strikes: int
    window: timedelta
    duration: timedelta
    failure_mode: FailureMode = "local"


class PenaltyBox:
    """Who is banned, in the same store as the limits.

    What a strike is, the caller of `strike` says: a refusal, a wrong password. A ban is asked about
    together with the limits of a request, by the demand that `get_demand` gives.
    """

    def __init__(self, penalty: Penalty, *, engine: RateLimitEngine) -> None:
        """Keep strikes and bans by the name of the penalty.

        Raises:
            ValueError: If no limit has such values.
        """
        self._engine = engine
        # In shadow mode, since what is one too many is not refused by itself.
        self._strikes = QuotaPolicy(
            name=f"{penalty.name}-strikes",
            quota=penalty.strikes,
            window=penalty.window,
            strategy="fixed-window",
            failure_mode=penalty.failure_mode,
            shadow=True,
        )
        self._ban = QuotaPolicy(
            name=f"{penalty.name}-ban",
            quota=1,
            window=penalty.duration,
            strategy="fixed-window",
            failure_mode=penalty.failure_mode,
        )

    def get_demand(self, key: str) -> Demand:
        """Return what is refused while the caller is banned; it costs nothing."""
        return Demand(self._ban, key, 0)

    async def strike(self, key: str) -> bool:
        """Count one strike, and return whether the caller is banned for it."""
        decision = await self._engine.acquire([Demand(self._strikes, key)])
        if not decision.shadowed or decision.source in {"open", "closed"}:
            return False
        await self.ban(key)
        return True

    async def ban(self, key: str) -> None:
        """Refuse the caller everything from now on; a ban that runs is not made longer."""
        # More than the quota, so that not even what costs nothing is granted.
        await self._engine.charge([Demand(self._ban, key, self._ban.quota + 1)])

    async def pardon(self, key: str) -> None:
        """End the ban of a caller, and forget its strikes.

        Raises:
            UnavailableError: If the shared store does not answer.
        """
        await self._engine.forget([Demand(self._ban, key), Demand(self._strikes, key)])
