"""How often one may try: guesses are few, and nobody is locked out by somebody else's.

Three budgets are asked before a password is hashed, which costs more than anything else here:

- that of the network address, whatever accounts are tried from it;
- that of the account, whatever addresses it is tried from;
- instead of both, that of the device, if the browser has signed in to this account before.

Whoever guesses at an account uses up the budget of the account, and not that of its owner's devices
(OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). Success gives back what it took
itself, and nothing else, so it does not pay for guesses. Whether there is such an account makes no
difference to what is counted.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_baseline.auth.security_events import SecurityEvent, SecurityEvents
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import ConfigurationError, TooManyRequestsError
from fastapi_baseline.rate_limiting import (
    Demand,
    MemoryRateLimitStore,
    QuotaPolicy,
    RateLimitEngine,
    RateLimitStore,
    parse_quotas,
)
from fastapi_baseline.rate_limiting.decisions import Source
from fastapi_baseline.settings.auth import UserSettings

CONFIRMATIONS = ("10/5 minutes", "50/day")
"""How many wrong passwords and codes a session has that is asked for them once more."""
MAILS_PER_ADDRESS = ("20/hour",)
"""How many letters one network address may ask for, to whomever they go."""
DEVICE_FAILURES_PER_DAY = "50/day"
"""How many failures a device has in a day besides those of an account: a known device may be stolen."""


class TooManyAttemptsError(TooManyRequestsError):
    """There were too many attempts; it is not said whose they were."""

    code = "too_many_attempts"
    default_message = "Too many attempts. Try again later."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that was let in, and what it has taken: `Throttles.succeed` gives it back."""

    demands: tuple[Demand, ...]
    source: Source
    """Which counters it was taken from."""
    is_known_device: bool = False


class Throttles:
    """The budgets of attempts, in Redis or in the memory of this process.

    While Redis does not answer, each process counts by itself: guesses stay few, and people can sign
    in.
    """

    def __init__(
        self, settings: UserSettings, *, engine: RateLimitEngine, events: SecurityEvents
    ) -> None:
        """Count with `engine`, which should be one of their own: their keys are chosen by strangers.

        Raises:
            ConfigurationError: If a limit of the settings is not understood.
        """
        self._engine = engine
        self._events = events
        self._per_address = _policies(settings.sign_ins_per_address, "sign-in-address")
        self._per_account = _policies(settings.sign_ins_per_account, "sign-in-account")
        self._per_device = _policies(
            (*settings.sign_ins_per_account, DEVICE_FAILURES_PER_DAY), "sign-in-device"
        )
        self._confirmations = _policies(CONFIRMATIONS, "confirmation")
        self._mails = _policies(settings.mails_per_account, "mail-account")
        self._mails_per_address = _policies(MAILS_PER_ADDRESS, "mail-address")

    async def begin_sign_in(self, *, address: str, account: str, device: str | None) -> Attempt:
        """Take one attempt to sign in to an account, before anything is compared.

        `account` is what the account is called in its normal form, whether there is one or not;
        `device` is one that has signed in to it before.

        Raises:
            TooManyAttemptsError: If there is none left.
        """
        if device is not None:
            demands = _demands(self._per_device, f"{device}\0{account}")
            return Attempt(demands, await self._take(demands), is_known_device=True)
        # Apart, since a cluster keeps them in different places.
        await self._take(_demands(self._per_address, address))
        demands = _demands(self._per_account, account)
        return Attempt(demands, await self._take(demands))

    async def begin_confirmation(self, session: str) -> Attempt:
        """Take one attempt of a session to say a password or a code once more.

        Raises:
            TooManyAttemptsError: If there is none left.
        """
        demands = _demands(self._confirmations, session)
        return Attempt(demands, await self._take(demands))

    async def succeed(self, attempt: Attempt) -> None:
        """Give back what an attempt has taken from its account, and what no other has."""
        await self._engine.refund(attempt.demands, source=attempt.source)

    async def begin_mail(self, *, address: str) -> None:
        """Take one request for a letter from a network address.

        Raises:
            TooManyAttemptsError: If there is none left.
        """
        await self._take(_demands(self._mails_per_address, address))

    async def may_mail(self, account: str) -> bool:
        """Return whether an account may be sent one more letter, and take it.

        Whoever asks for it is not told: the letters that were sent before have links that work.
        """
        decision = await self._engine.acquire(_demands(self._mails, account))
        return decision.allowed

    async def _take(self, demands: tuple[Demand, ...]) -> Source:
        decision = await self._engine.acquire(demands)
        if not decision.allowed:
            limits = ", ".join(policy.name for policy in decision.violated)
            event = SecurityEvent(name="throttled", outcome="failure", details={"limits": limits})
            await self._events.record(event)
            raise TooManyAttemptsError(retry_after=decision.retry_after)
        return decision.source


def make_throttles(
    settings: UserSettings,
    *,
    clock: Clock,
    events: SecurityEvents,
    shared: RateLimitStore | None = None,
    instances: int = 1,
    max_keys: int = 100_000,
) -> Throttles:
    """Return throttles that count in `shared`, or in the memory of this process.

    Raises:
        ConfigurationError: If a limit of the settings is not understood.
    """
    engine = RateLimitEngine(
        local=MemoryRateLimitStore(clock=clock, max_keys=max_keys),
        shared=shared,
        instances=instances,
        clock=clock,
    )
    return Throttles(settings, engine=engine, events=events)


def _policies(texts: Sequence[str], name: str) -> tuple[QuotaPolicy, ...]:
    try:
        quotas = [quota for text in texts for quota in parse_quotas(text)]
        return tuple(
            QuotaPolicy(
                name=name if number == 0 else f"{name}-{number}",
                quota=quota.amount,
                window=quota.window,
            )
            for number, quota in enumerate(quotas)
        )
    except ValueError as error:
        raise ConfigurationError(f"The limit {name} is not understood: {error}") from error


def _demands(policies: Sequence[QuotaPolicy], who: str) -> tuple[Demand, ...]:
    # A digest: the names of counters are seen in Redis, and an address of e-mail is nobody's business.
    key = hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return tuple(Demand(policy, key) for policy in policies)
