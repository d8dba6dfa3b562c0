"""What each may do with one order, and which orders they are shown; run by pytest."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, FastAPI
from pydantic import SecretStr
from sqlalchemy.orm import Mapped

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import (
    CurrentPrincipal,
    Permission,
    RowPermission,
    column_is,
    has_role,
    policy_for,
)
from fastapi_baseline.persistence import (
    Authorship,
    Base,
    Repository,
    Transaction,
    UUIDPrimaryKey,
)
from fastapi_baseline.testing import as_user, create_schema, running


class Parcel(Base, UUIDPrimaryKey, Authorship):
    """A parcel."""

    label: Mapped[str]
    is_sent: Mapped[bool]


class ParcelRepository(Repository[Parcel]):
    """Parcels, in the transaction of the caller."""


# <start-permissions>
own = column_is(Parcel.created_by, str)
not_sent = RowPermission[Parcel](
    lambda _, parcel: not parcel.is_sent,
    rows=lambda _: Parcel.is_sent.is_(False),
)

may_read = own | has_role("support")
may_change = own & not_sent
# <end-permissions>

router = APIRouter(prefix="/parcels")


@router.post("", status_code=201)
async def add_parcel(label: str, session: Transaction, principal: CurrentPrincipal) -> UUID:
    """Add a parcel of whoever asks."""
    parcel = await ParcelRepository(session).add(Parcel(label=label, is_sent=label == "sent"))
    assert parcel.created_by == str(principal)
    return parcel.id


# <start-one>
@router.get("/{parcel_id}")
async def show_parcel(parcel_id: UUID, session: Transaction, principal: CurrentPrincipal) -> str:
    """Show one parcel; of one that is not theirs, nobody learns that there is one."""
    found = await ParcelRepository(session).find(parcel_id)
    parcel = may_read.require(principal, found)
    return parcel.label


@router.put("/{parcel_id}/label")
async def rename_parcel(
    parcel_id: UUID, label: str, session: Transaction, principal: CurrentPrincipal
) -> str:
    """Change the label; who may see the parcel and not change it is told so."""
    parcels = ParcelRepository(session)
    parcel = may_read.require(principal, await parcels.find(parcel_id))
    may_change.require(principal, parcel, otherwise="forbidden")
    return (await parcels.update(parcel_id, {"label": label})).label


# <end-one>


# <start-many>
async def find_parcels(session: Transaction, principal: CurrentPrincipal) -> ParcelRepository:
    """Give a route the parcels of whoever asks."""
    policy = policy_for(principal, read=may_read, update=may_change, delete=may_change)
    return ParcelRepository(session).restricted(policy)


TheirParcels = Annotated[ParcelRepository, Depends(find_parcels)]


@router.get("")
async def list_parcels(parcels: TheirParcels) -> list[str]:
    """List what they may see."""
    return sorted(parcel.label for parcel in await parcels.list())


@router.delete("/{parcel_id}", status_code=204)
async def drop_parcel(parcel_id: UUID, parcels: TheirParcels) -> None:
    """Delete one that they may change."""
    await parcels.delete(parcel_id)


# <end-many>

# <start-alone>
easy_to_carry = Permission[Parcel](lambda _, parcel: len(parcel.label) <= 10)
# <end-alone>


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[FastAPI]:
    app = create_app(Settings(environment="test", database_url=SecretStr(database_url)))
    app.include_router(router)
    async with running(app):
        await create_schema(app)
        yield app


# <start-tests>
async def test_what_is_shown_is_what_is_listed(app: FastAPI) -> None:
    async with (
        as_user(app, "ada") as ada,
        as_user(app, "bob") as bob,
        as_user(app, "eve", roles=["support"]) as eve,
    ):
        books = (await ada.post("/parcels?label=books")).json()
        await bob.post("/parcels?label=sent")

        shown = [(await who.get(f"/parcels/{books}")).status_code for who in (ada, bob, eve)]
        listed = [(await who.get("/parcels")).json() for who in (ada, bob, eve)]

    assert shown == [200, 404, 200]
    assert listed == [["books"], ["sent"], ["books", "sent"]]


# <end-tests>


async def test_what_may_be_changed_is_told_apart_from_what_may_be_seen(app: FastAPI) -> None:
    async with (
        as_user(app, "ada") as ada,
        as_user(app, "bob") as bob,
        as_user(app, "eve", roles=["support"]) as eve,
    ):
        books = (await ada.post("/parcels?label=books")).json()
        sent = (await ada.post("/parcels?label=sent")).json()

        renamed = [
            (await who.put(f"/parcels/{which}/label?label=new")).status_code
            for who, which in ((ada, books), (bob, books), (eve, books), (ada, sent))
        ]
        dropped = [
            (await who.delete(f"/parcels/{which}")).status_code
            for who, which in ((bob, books), (eve, books), (ada, sent), (ada, books))
        ]

    assert renamed == [200, 404, 403, 403]
    assert dropped == [404, 403, 403, 204]


def test_a_permission_may_say_nothing_of_rows() -> None:
    assert isinstance(easy_to_carry & own, Permission)
