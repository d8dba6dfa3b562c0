"""Who of those whom a provider vouches for may use the service, and as what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from starlette.requests import HTTPConnection

_MAX_ROLES = 200
_MAX_ROLE_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody who has signed in with a provider.

    Only `issuer` and `subject` together say who it is, to the letter: another provider may have the
    same subjects, and an address of e-mail among the claims may be anybody's, or change hands. So
    accounts are never joined by it.
    """

    provider: str
    """The name of the provider in the settings."""
    issuer: str
    subject: str
    roles: frozenset[str] = frozenset()
    """Those that the provider gives, if the settings say where they are."""
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """What the provider says of them, verified."""


class Accounts(Protocol):
    """Who may sign in. Implement it to keep accounts, or to let in those only who have one."""

    async def find_roles(
        self, identity: Identity, connection: HTTPConnection
    ) -> frozenset[str] | None:
        """Return the roles of somebody who may sign in; `None` if they may not.

        It is asked at each sign-in, before the session begins.
        """
        ...


class AllAccounts:
    """Everybody whom a provider vouches for may sign in, with the roles that it gives."""

    async def find_roles(
        self, identity: Identity, connection: HTTPConnection
    ) -> frozenset[str] | None:
        """Return the roles that the provider gives."""
        del connection
        return identity.roles


def read_roles(claims: Mapping[str, Any], path: str | None) -> frozenset[str]:
    """Return the roles that claims have at `path`: a claim of that name, or one inside of others.

    What is no text is no role.
    """
    if path is None:
        return frozenset()
    value: object = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
    # One role may come as text.
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    return frozenset(
        one
        for one in listed[:_MAX_ROLES]
        if isinstance(one, str) and 0 < len(one) <= _MAX_ROLE_LENGTH and one.isprintable()
    )
