"""The keys of one issuer, kept: asked for seldom, and there when the issuer is not.

Keys are believed as long as `Cache-Control` says, within a minute and a day, and fetched again
before that, while the old ones are in use. If the issuer does not answer, the last ones that it gave
are used for a day more. A token with an identifier that is not among them may be signed with a key
that is newer, so they are fetched at once, but for all such tokens together no more than once in a
while; and no token, whatever it has for an identifier, can make a key be forgotten.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING  # noqa: TID251 -- for what is loaded with the first key

from fastapi_baseline.auth.tokens.discovery import FetchedKeys
from fastapi_baseline.auth.tokens.errors import IssuerUnavailableError
from fastapi_baseline.auth.tokens.fetching import FetchError
from fastapi_baseline.auth.tokens.flights import Flight
from fastapi_baseline.auth.tokens.key_ring import KeyRing
from fastapi_baseline.auth.tokens.pauses import Pauses
from fastapi_baseline.auth.tokens.unknown_keys import UnknownKeys
from fastapi_baseline.clock import Clock
from fastapi_baseline.settings.auth import TokenSettings

if TYPE_CHECKING:
    from joserfc.jwk import Key

logger = logging.getLogger("fastapi_baseline.auth.tokens")

MIN_AGE = timedelta(minutes=1)
"""How long keys are believed at least, whatever their issuer says."""
MAX_AGE = timedelta(hours=24)
"""How long they are believed at most."""

_LONGEST_PAUSE_S = 60.0
# So much of the time that keys are believed is over when they are fetched anew, beside requests.
_EARLY = 0.8


@dataclass(slots=True)
class FetchCounts:
    """How often keys were fetched since the process started."""

    succeeded: int = 0
    failed: int = 0


class JwksCache:
    """The `KeySource` of keys that are fetched. One fetch is under way at a time."""

    def __init__(
        self,
        load: Callable[[], Awaitable[FetchedKeys]],
        *,
        issuer: str,
        settings: TokenSettings,
        clock: Clock,
    ) -> None:
        """Keep what `load` fetches; `issuer` names it in the log."""
        self.counts = FetchCounts()
        self._load = load
        self._issuer = issuer
        self._clock = clock
        self._max_age = settings.keys_max_age
        self._max_stale_s = settings.keys_max_stale.total_seconds()
        self._ring: KeyRing | None = None
        self._early_at = 0.0
        self._fresh_until = 0.0
        self._usable_until = 0.0
        self._pauses = Pauses(clock, longest_s=_LONGEST_PAUSE_S)
        self._unknown = UnknownKeys(settings.keys_cooldown)
        self._flight = Flight(self._fetch)

    async def find_key(self, kid: str | None, algorithm: str) -> "Key | None":
        """Return the key that a token with this header is signed with, or `None`.

        Raises:
            IssuerUnavailableError: If there are no keys, or the key is not among the last ones that
                there were, and the issuer does not answer.
        """
        now = self._clock.monotonic()
        ring = self._ring
        fetches = self.counts.succeeded
        if ring is None or now >= self._early_at:
            ring = await self._renew(now)
        key = ring.find(kid, algorithm)
        if key is not None or kid is None:
            return key
        if self.counts.succeeded != fetches:
            # They have just come, because of this token.
            return self._give_up_on(kid, algorithm)
        return await self._look_again(kid, algorithm)

    async def close(self) -> None:
        """Give up a fetch that is under way."""
        await self._flight.close()

    async def _renew(self, now: float) -> KeyRing:
        """Return keys that may be used, new ones if there are any to be had in time."""
        is_fresh = self._ring is not None and now < self._fresh_until
        if now >= self._pauses.until:
            # Whoever comes does not wait again for an issuer that others have waited for in vain.
            was_waited_for = (
                self._pauses.failed_at >= self._fresh_until and now < self._usable_until
            )
            if is_fresh or was_waited_for:
                self._flight.start()
            else:
                await self._flight.wait()
        if self._ring is None or self._clock.monotonic() >= self._usable_until:
            raise self._unavailable(self._pauses.until)
        return self._ring

    async def _look_again(self, kid: str, algorithm: str) -> "Key | None":
        """Return a key that was not among those that there are, if a new fetch brings it."""
        if not self._flight.is_under_way:
            now = self._clock.monotonic()
            if not self._unknown.take_look(kid, algorithm, now=now):
                return self._refuse(now)
        await self._flight.wait()
        ring = self._ring
        key = None if ring is None else ring.find(kid, algorithm)
        return self._give_up_on(kid, algorithm) if key is None else key

    def _give_up_on(self, kid: str, algorithm: str) -> None:
        now = self._clock.monotonic()
        self._unknown.note(kid, algorithm, now=now)
        self._refuse(now)

    def _refuse(self, now: float) -> None:
        until = max(self._unknown.until, self._pauses.until)
        if self._pauses.failures and now < until:
            # The issuer may have a key by now that nobody can ask it for.
            raise self._unavailable(until)

    def _unavailable(self, until: float) -> IssuerUnavailableError:
        pause_s = max(1.0, until - self._clock.monotonic())
        return IssuerUnavailableError(retry_after=timedelta(seconds=pause_s))

    async def _fetch(self) -> None:
        try:
            fetched = await self._load()
        except FetchError as error:
            self._fail()
            logger.warning("The keys of %s could not be fetched: %s", self._issuer, error)
        except Exception:
            self._fail()
            logger.exception("The keys of %s could not be fetched", self._issuer)
        else:
            self._take(fetched)

    def _fail(self) -> None:
        self.counts.failed += 1
        self._pauses.fail()

    def _take(self, fetched: FetchedKeys) -> None:
        now = self._clock.monotonic()
        age = self._max_age if fetched.max_age is None else fetched.max_age
        age_s = min(max(age, MIN_AGE), MAX_AGE).total_seconds()
        self.counts.succeeded += 1
        self._pauses.succeed()
        self._ring = fetched.ring
        self._early_at = now + _EARLY * age_s
        self._fresh_until = now + age_s
        self._usable_until = self._fresh_until + self._max_stale_s
