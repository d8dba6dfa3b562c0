"""Guards and permissions as a service writes them: this is checked, and never run."""

from typing import Annotated, Any, assert_type

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Mapped

from fastapi_baseline.access import public
from fastapi_baseline.auth import (
    CurrentPrincipal,
    OptionalPrincipal,
    Permission,
    Principal,
    RequireScopes,
    RowPermission,
    SecurityEvent,
    column_is,
    has_role,
    policy_for,
    require_recent_auth,
    rows_of,
)
from fastapi_baseline.persistence import Base, Policy, Spec, UUIDPrimaryKey


class Parcel(Base, UUIDPrimaryKey):
    __tablename__ = "typed_parcel"

    sender: Mapped[str]
    weight: Mapped[int]


router = APIRouter(dependencies=[Depends(RequireScopes(all=["a"], any=("b", "c")))])


@router.get("/me", dependencies=[Depends(require_recent_auth(acr="gold"))])
async def show_me(
    principal: CurrentPrincipal,
    perhaps: OptionalPrincipal,
    scoped: Annotated[Principal, Depends(RequireScopes(any=["b"]))],
) -> None:
    assert_type(principal, Principal)
    assert_type(perhaps, Principal | None)
    assert_type(scoped, Principal)


@public
async def list_prices(limit: int) -> list[int]:
    return [limit]


async def use_a_function_that_was_marked() -> None:
    assert_type(await list_prices(1), list[int])
    await list_prices("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- a limit is a number


own = column_is(Parcel.sender, str)
light = RowPermission[Parcel](
    lambda _, parcel: parcel.weight < 1, rows=lambda _: Spec[Parcel](Parcel.weight < 1)
)
may_read: Permission[Parcel] = own | light | has_role("support")
also: Permission[Parcel] = has_role("support") & ~light


def use_permissions(principal: Principal, found: Parcel | None, other: str) -> None:
    assert_type(own, Permission[Any])
    assert_type(light & light, Permission[Parcel])
    assert_type(may_read.require(principal, found), Parcel)
    assert_type(rows_of(may_read, principal), Spec[Parcel])
    assert_type(policy_for(principal, read=may_read, update=light), Policy[Parcel])
    may_read.allows(principal, other)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- a text is no parcel
    may_read.require(principal, found, otherwise="gone")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- there are two
    SecurityEvent(name="made_up", outcome="failure")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- the set is closed
