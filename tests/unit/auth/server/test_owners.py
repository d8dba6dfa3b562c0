from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.auth.server.owners import ApplicationUsers, ResourceOwner, owner_of
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, Database, UUIDPrimaryKey


class Reader(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "reader_with_owners"

    display_name: Mapped[str] = mapped_column(default="")


@pytest.fixture
async def reader() -> Reader:
    database = Database("sqlite://")
    async with database.engine.begin() as connection:
        await connection.run_sync(Reader.metadata.tables["reader_with_owners"].create)
    async with database.transaction() as session:
        reader = Reader(
            email="ann@example.com",
            email_verified_at=datetime(2026, 1, 1, tzinfo=UTC),
            display_name="Ann",
            roles=["clerk"],
        )
        session.add(reader)
    await database.dispose()
    return reader


async def test_clients_are_told_what_their_scopes_tell(reader: Reader) -> None:
    owner = owner_of(reader)

    assert owner.is_active
    assert owner.roles == {"clerk"}
    assert owner.claims_for(frozenset({"openid"})) == {"sub": str(reader.id)}
    assert owner.claims_for(frozenset({"openid", "email", "profile"})) == {
        "sub": str(reader.id),
        "email": "ann@example.com",
        "email_verified": True,
        "name": "Ann",
    }


async def test_who_is_disabled_is_not_active(reader: Reader) -> None:
    reader.disabled_at = datetime(2026, 1, 2, tzinfo=UTC)
    reader.email_verified_at = None
    reader.display_name = ""

    owner = owner_of(reader)

    assert not owner.is_active
    assert owner.claims_for(frozenset({"email", "profile"}))["email_verified"] is False
    assert "name" not in owner.claims_for(frozenset({"profile"}))


def test_no_claim_says_who_somebody_is() -> None:
    owner = ResourceOwner(subject="ann", claims={"profile": {"sub": "root", "name": "Ann"}})

    assert owner.claims_for(frozenset({"profile"})) == {"sub": "ann", "name": "Ann"}


async def test_an_application_without_users_says_so() -> None:
    app: Any = SimpleNamespace(state=SimpleNamespace())
    session: Any = None

    with pytest.raises(ConfigurationError, match="make_users_router"):
        await ApplicationUsers(app).find("ann", session=session)
