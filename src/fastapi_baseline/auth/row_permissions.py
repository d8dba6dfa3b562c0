"""Permissions that hold for one entity, and for the rows of a query: declared once.

    own = column_is(Order.created_by, str)
    may_read = own | has_role("support")

    may_read.require(principal, order)                      # for what is at hand
    Policy(read=rows_of(may_read, principal))               # for what is asked for

What was said in two places would differ some day, and one of the two would be wrong.
"""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.permissions import Both, Either, Not, Permission, PrincipalPermission
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.specification import Condition, Spec, condition_of

with optional("sqlalchemy", extra="persistence"):
    from sqlalchemy import and_, false, true
    from sqlalchemy.orm import QueryableAttribute

EntityT = TypeVar("EntityT")


class RowPermission(Permission[EntityT]):
    """A permission that is also said of rows: both in one place, for what no column says alone.

        in_team = RowPermission[Order](
            lambda principal, order: order.team.name in principal.roles,
            rows=lambda principal: related(Order.team, Team.name.in_(principal.roles)),
        )

    Each row is either in `rows` or not: a comparison with NULL is neither, and so would be its
    opposite.
    """

    def __init__(
        self,
        allows: Callable[[Principal, EntityT], bool],
        *,
        rows: Callable[[Principal], Spec[EntityT] | Condition],
    ) -> None:
        """Say so by `allows` of an entity, and by `rows` of a query.

        Raises:
            ConfigurationError: If `allows` returns something to wait for.
        """
        super().__init__(allows)
        self.rows = rows


def column_is(
    attribute: QueryableAttribute[Any], value: Callable[[Principal], object]
) -> Permission[Any]:
    """Return what somebody may with entities in which an attribute is what `value` says of them.

    `None` is never equal, neither in the entity nor in who asks. Values are compared by Python
    here and by the database there, so both must agree on what is equal: not, for example, a text
    and a number, or a column whose collation ignores case.
    """
    name = attribute.key

    def allows(principal: Principal, entity: Any) -> bool:
        wanted, found = value(principal), getattr(entity, name)
        return wanted is not None and found is not None and bool(found == wanted)

    def rows(principal: Principal) -> Condition:
        wanted = value(principal)
        return false() if wanted is None else and_(attribute.is_not(None), attribute == wanted)

    return RowPermission[Any](allows, rows=rows)


def column_in(
    attribute: QueryableAttribute[Any], values: Callable[[Principal], Collection[object]]
) -> Permission[Any]:
    """Return what somebody may with entities in which an attribute is one of what `values` says.

    What `column_is` says of comparisons holds here, too.
    """
    name = attribute.key

    def wanted_of(principal: Principal) -> list[object]:
        found = values(principal)
        if isinstance(found, str):
            raise ConfigurationError("column_in takes several values: a text would be taken apart.")
        return [one for one in found if one is not None]

    def allows(principal: Principal, entity: Any) -> bool:
        return getattr(entity, name) in wanted_of(principal)

    def rows(principal: Principal) -> Condition:
        wanted = wanted_of(principal)
        return and_(attribute.is_not(None), attribute.in_(wanted)) if wanted else false()

    return RowPermission[Any](allows, rows=rows)


def rows_of(permission: Permission[EntityT], principal: Principal) -> Spec[EntityT]:
    """Return the rows with which somebody may do what a permission allows.

    Raises:
        ConfigurationError: If a part of the permission says nothing of rows.
    """
    return Spec[EntityT](_condition_of(permission, principal))


def policy_for(
    principal: Principal,
    *,
    read: Permission[EntityT],
    create: Permission[EntityT] | None = None,
    update: Permission[EntityT] | None = None,
    delete: Permission[EntityT] | None = None,
    hidden: Collection[QueryableAttribute[Any]] = (),
    read_only: Collection[QueryableAttribute[Any]] = (),
) -> Policy[EntityT]:
    """Return the policy of somebody for a repository, with what is allowed for each action.

    Raises:
        ConfigurationError: If a part of a permission says nothing of rows.
    """

    def rows(permission: Permission[EntityT] | None) -> Spec[EntityT] | None:
        return None if permission is None else rows_of(permission, principal)

    return Policy[EntityT](
        read=rows(read),
        create=rows(create),
        update=rows(update),
        delete=rows(delete),
        hidden=hidden,
        read_only=read_only,
        name=str(principal),
    )


def _condition_of(permission: Permission[Any], principal: Principal) -> Condition:
    if isinstance(permission, RowPermission):
        return condition_of(permission.rows(principal))
    if isinstance(permission, PrincipalPermission):
        return true() if permission.allows(principal, None) else false()
    if isinstance(permission, Not):
        return ~_condition_of(permission.denied, principal)
    if isinstance(permission, Both | Either):
        left = _condition_of(permission.left, principal)
        right = _condition_of(permission.right, principal)
        return left & right if isinstance(permission, Both) else left | right
    raise ConfigurationError(
        "A part of the permission says nothing of rows: make it with column_is, column_in or "
        "RowPermission."
    )
