"""What asks people to prove again, or better, who they are (RFC 9470)."""

from collections.abc import Sequence
from datetime import timedelta

from starlette.requests import HTTPConnection

from fastapi_baseline.auth.challenges import with_parameters
from fastapi_baseline.auth.dependencies import authentication_of, get_principal
from fastapi_baseline.auth.errors import InsufficientAuthenticationError
from fastapi_baseline.auth.guards import refused
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.clock import Clock
from fastapi_baseline.errors import ConfigurationError

_DESCRIPTION = "A more recent or a stronger authentication is required"


class RequireRecentAuth:
    """A dependency: let in who has proved who they are recently, and well, and return who it is."""

    def __init__(self, max_age: timedelta | None, *, acr: Sequence[str] = ()) -> None:
        """Ask for a proof that is not older than `max_age`, and of one of the levels `acr`.

        Raises:
            ConfigurationError: If nothing is asked for, or what nobody can fulfil.
        """
        if max_age is None and not acr:
            raise ConfigurationError("A guard must ask for something: give it max_age or acr.")
        if max_age is not None and max_age < timedelta(seconds=1):
            raise ConfigurationError("Nobody is faster than a second: max_age must be longer.")
        if any(not level or " " in level for level in acr):
            raise ConfigurationError("A level is a name without spaces.")
        self._max_age = max_age
        self._levels = tuple(acr)
        self.decides_access = True

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Return who is asking.

        Raises:
            InsufficientAuthenticationError: If it is too long ago, or not good enough; the
                challenge says what would be.
            UnauthenticatedError: If nobody says so, or nobody who is known.
        """
        principal = await get_principal(connection)
        authentication = authentication_of(connection)
        if self._is_recent(principal, authentication.clock) and self._is_strong(principal):
            return principal
        max_age = self._max_age
        challenge = with_parameters(
            authentication.find_challenge(connection),
            error=InsufficientAuthenticationError.code,
            error_description=_DESCRIPTION,
            acr_values=" ".join(self._levels) or None,
            max_age=None if max_age is None else str(int(max_age.total_seconds())),
        )
        error = InsufficientAuthenticationError(challenge=challenge)
        raise await refused(connection, principal, error)

    def _is_recent(self, principal: Principal, clock: Clock) -> bool:
        if self._max_age is None:
            return True
        proved_at = principal.auth_time
        return proved_at is not None and clock.now() - proved_at <= self._max_age

    def _is_strong(self, principal: Principal) -> bool:
        return not self._levels or principal.acr in self._levels


def require_recent_auth(
    max_age: timedelta | None = None, *, acr: str | Sequence[str] | None = None
) -> RequireRecentAuth:
    """Return a dependency that lets in who has proved who they are within `max_age`.

    If `acr` says so, the proof must also be of this level, or of one of these, the one that is
    liked best first. Whoever has not is refused with 401 and a challenge that says what is asked
    for (RFC 9470), and whoever does not say when they proved it is refused, too: programs with a
    key of their own never have.

    Raises:
        ConfigurationError: If nothing is asked for, or what nobody can fulfil.
    """
    levels = (acr,) if isinstance(acr, str) else tuple(acr or ())
    return RequireRecentAuth(max_age, acr=levels)
