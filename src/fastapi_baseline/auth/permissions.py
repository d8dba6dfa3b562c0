"""What somebody may do with one thing, beyond what the route asks of everybody.

A permission is a value: it is named once, joined with others by `&`, `|` and `~`, and asked where
the thing is at hand. Those of `row_permissions` say it of the rows of a database, too.
"""

import inspect
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar, cast

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.errors import ConfigurationError, ForbiddenError, NotFoundError

EntityT = TypeVar("EntityT")

Refusal = Literal["forbidden", "not_found"]
"""What somebody is told who may not: that they may not, or that there is nothing."""


class Permission(Generic[EntityT]):
    """Whether somebody may do something with an entity.

        own = Permission[Order](lambda principal, order: order.buyer == str(principal))
        may_read = own | has_role("support")

    It says so of what is at hand, without asking anybody: what it needs is loaded before.
    """

    def __init__(self, allows: Callable[[Principal, EntityT], bool]) -> None:
        """Say so by `allows`, a function that returns a `bool`.

        Raises:
            ConfigurationError: If it returns something to wait for, which is always true.
        """
        if inspect.iscoroutinefunction(allows):
            raise ConfigurationError("A permission is a plain function: it waits for nothing.")
        self._allows = allows

    def allows(self, principal: Principal, entity: EntityT) -> bool:
        """Return whether somebody may.

        Raises:
            ConfigurationError: If the function says neither yes nor no: nearly everything is true
                where Python asks for a truth.
        """
        allowed = cast("object", self._allows(principal, entity))
        if not isinstance(allowed, bool):
            raise ConfigurationError(
                f"A permission returns True or False, and not {type(allowed).__name__}."
            )
        return allowed

    def require(
        self, principal: Principal, entity: EntityT | None, *, otherwise: Refusal = "not_found"
    ) -> EntityT:
        """Return an entity that somebody may use; one that is not there is refused with 404.

        By default somebody who may not is told the same, and so cannot find out what there is. Say
        `otherwise="forbidden"` if they may see it, and not do this with it.

        Raises:
            NotFoundError: If there is none, or they may not.
            ForbiddenError: If they may not, and may know it.
            ConfigurationError: If the permission says neither yes nor no.
        """
        if entity is None:
            raise NotFoundError
        if not self.allows(principal, entity):
            raise NotFoundError if otherwise == "not_found" else ForbiddenError
        return entity

    def __and__(self, other: "Permission[EntityT]") -> "Permission[EntityT]":
        return Both(self, other)

    def __or__(self, other: "Permission[EntityT]") -> "Permission[EntityT]":
        return Either(self, other)

    def __invert__(self) -> "Permission[EntityT]":
        return Not(self)


class Both(Permission[EntityT]):
    """What two permissions both allow."""

    def __init__(self, left: Permission[EntityT], right: Permission[EntityT]) -> None:
        """Join two permissions."""
        self.left, self.right = left, right
        super().__init__(
            lambda principal, entity: (
                left.allows(principal, entity) and right.allows(principal, entity)
            )
        )


class Either(Permission[EntityT]):
    """What at least one of two permissions allows."""

    def __init__(self, left: Permission[EntityT], right: Permission[EntityT]) -> None:
        """Join two permissions."""
        self.left, self.right = left, right
        super().__init__(
            lambda principal, entity: (
                left.allows(principal, entity) or right.allows(principal, entity)
            )
        )


class Not(Permission[EntityT]):
    """What a permission does not allow."""

    def __init__(self, denied: Permission[EntityT]) -> None:
        """Turn a permission around."""
        self.denied = denied
        super().__init__(lambda principal, entity: not denied.allows(principal, entity))


class PrincipalPermission(Permission[Any]):
    """Whether somebody may do something with every entity, whichever it is."""

    def __init__(self, holds: Callable[[Principal], bool]) -> None:
        """Say so by `holds`, a function that returns a `bool`."""
        self.holds = holds
        super().__init__(lambda principal, _: holds(principal))


def has_role(*names: str) -> Permission[Any]:
    """Return what somebody may who has one of these roles."""
    roles = frozenset(names)
    return PrincipalPermission(lambda principal: not roles.isdisjoint(principal.roles))


def has_scope(*names: str) -> Permission[Any]:
    """Return what somebody may whose credentials have one of these scopes."""
    scopes = frozenset(names)
    return PrincipalPermission(lambda principal: not scopes.isdisjoint(principal.scopes))
