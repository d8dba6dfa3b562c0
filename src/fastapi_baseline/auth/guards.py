"""What lets those in who may do something, and nobody else."""

from collections.abc import Collection, Sequence

from starlette.requests import HTTPConnection

from fastapi_baseline.auth.challenges import is_scope, with_parameters
from fastapi_baseline.auth.dependencies import authentication_of, get_principal
from fastapi_baseline.auth.errors import InsufficientRoleError, InsufficientScopeError
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.errors import BaselineError, ConfigurationError


class Grants:
    """Names of which somebody must have all of some, and one of others."""

    __slots__ = ("all", "any")

    def __init__(self, all: Sequence[str], any: Sequence[str]) -> None:  # noqa: A002 -- what they are called where they are written
        """Ask for all of `all`, and, if there are any, one of `any`.

        Raises:
            ConfigurationError: If nothing is asked for, or something that is no list of names.
        """
        if isinstance(all, str) or isinstance(any, str):
            raise ConfigurationError("all= and any= take lists: a text would be taken apart.")
        if not all and not any:
            raise ConfigurationError("A guard must ask for something: give it all= or any=.")
        self.all = frozenset(all)
        self.any = frozenset(any)

    def are_met(self, held: frozenset[str]) -> bool:
        """Return whether who has these has what is asked for."""
        return self.all <= held and (not self.any or not self.any.isdisjoint(held))


class RequireScopes:
    """A dependency: let in whose credentials have these scopes, and return who it is.

        @router.get("/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])

    It can be on a route, a router or an application, and be the type of a parameter:
    `Annotated[Principal, Depends(RequireScopes(any=["orders:read", "orders:write"]))]`. Scopes are
    compared as they are: none contains another.
    """

    def __init__(self, *, all: Sequence[str] = (), any: Sequence[str] = ()) -> None:  # noqa: A002 -- what they mean where they are written
        """Ask for all scopes of `all`, and, if there are any, one of `any`.

        Raises:
            ConfigurationError: If nothing is asked for, or what cannot be a scope.
        """
        self.scopes = Grants(all, any)
        if not _are_scopes(self.scopes.all | self.scopes.any):
            raise ConfigurationError("A scope has visible ASCII, and no spaces (RFC 6749, 3.3).")
        # As they were written, and the least that is enough: clients ask for what is told.
        self._told = " ".join(dict.fromkeys((*all, *any[:1])))
        # Not of the class, since to depend on that would ask for nothing.
        self.decides_access = True

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Return who is asking.

        Raises:
            InsufficientScopeError: If it is not enough; the challenge says what would be.
            UnauthenticatedError: If nobody says so, or nobody who is known.
        """
        principal = await get_principal(connection)
        if self.scopes.are_met(principal.scopes):
            return principal
        error = InsufficientScopeError(f"This needs the scope: {self._told}")
        if principal.transport == "bearer":
            error.challenge = with_parameters(
                authentication_of(connection).find_challenge(connection),
                error=InsufficientScopeError.code,
                scope=self._told,
            )
        raise await refused(connection, principal, error)


class RequireRoles:
    """A dependency: let in who has these roles, and return who it is.

    It is used as `RequireScopes` is. A scope says what a program may do for somebody; a role says
    what somebody may do.
    """

    def __init__(self, *, all: Sequence[str] = (), any: Sequence[str] = ()) -> None:  # noqa: A002 -- what they mean where they are written
        """Ask for all roles of `all`, and, if there are any, one of `any`.

        Raises:
            ConfigurationError: If nothing is asked for.
        """
        self.roles = Grants(all, any)
        self.decides_access = True

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Return who is asking.

        Raises:
            InsufficientRoleError: If they have not the roles; it does not say which.
            UnauthenticatedError: If nobody says so, or nobody who is known.
        """
        principal = await get_principal(connection)
        if self.roles.are_met(principal.roles):
            return principal
        raise await refused(connection, principal, InsufficientRoleError())


async def refused(
    connection: HTTPConnection, principal: Principal, error: BaselineError
) -> BaselineError:
    """Record that somebody who is known was refused, and return the error to raise.

    What a route refuses itself is recorded with it, too: `raise await refused(...)`.
    """
    await authentication_of(connection).events.record(
        SecurityEvent(
            name="access_refused",
            outcome="failure",
            subject=str(principal),
            details={"reason": error.code, "transport": principal.transport},
        )
    )
    return error


def _are_scopes(texts: Collection[str]) -> bool:
    return all(is_scope(text) for text in texts)
