from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.server.consents import Consents, describe
from fastapi_baseline.auth.server.interaction_models import OAuthConsent
from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import ManualClock

ANNA = Principal(issuer=SELF, subject="anna", transport="session")
OTTO = Principal(issuer=SELF, subject="otto", transport="session")
STRANGER = Principal(issuer="https://issuer.example.com", subject="anna", transport="session")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(OAuthConsent.metadata.tables["oauth_consent"].create)
    yield database
    await database.dispose()


@pytest.fixture
def consents(database: Database) -> Consents:
    return Consents(database, clock=ManualClock())


async def remember(
    database: Database, consents: Consents, user: Principal, *scopes: str, client_id: str = "app"
) -> None:
    async with database.transaction() as session:
        await consents.remember(session, user, client_id=client_id, scopes=scopes)


async def test_who_was_never_asked_has_agreed_to_nothing(consents: Consents) -> None:
    assert await consents.find(ANNA, "app") == frozenset()


async def test_what_somebody_agrees_to_is_added_to_what_they_have_agreed_to(
    database: Database, consents: Consents
) -> None:
    await remember(database, consents, ANNA, "openid", "email")
    await remember(database, consents, ANNA, "openid", "orders:read")

    assert await consents.find(ANNA, "app") == {"openid", "email", "orders:read"}


async def test_nobody_agrees_for_somebody_else_or_for_another_client(
    database: Database, consents: Consents
) -> None:
    await remember(database, consents, ANNA, "openid")

    assert await consents.find(OTTO, "app") == frozenset()
    assert await consents.find(STRANGER, "app") == frozenset()
    assert await consents.find(ANNA, "other") == frozenset()


async def test_who_takes_it_back_is_asked_again(database: Database, consents: Consents) -> None:
    await remember(database, consents, ANNA, "openid")
    await remember(database, consents, ANNA, "openid", client_id="other")
    await remember(database, consents, OTTO, "openid")

    await consents.forget(ANNA, "app")

    assert await consents.find(ANNA, "app") == frozenset()
    assert await consents.find(ANNA, "other") == {"openid"}
    assert await consents.find(OTTO, "app") == {"openid"}


async def test_a_client_and_a_user_are_forgotten(database: Database, consents: Consents) -> None:
    for user in (ANNA, OTTO):
        for client_id in ("app", "other"):
            await remember(database, consents, user, "openid", client_id=client_id)

    await consents.forget_client("app")
    await consents.forget_user(SELF, "otto")

    assert await consents.find(ANNA, "other") == {"openid"}
    for user, client_id in ((ANNA, "app"), (OTTO, "app"), (OTTO, "other")):
        assert await consents.find(user, client_id) == frozenset()


def test_people_are_told_in_words_what_is_asked_for() -> None:
    words = {"orders:read": "See your orders", "openid": "Know who you are"}

    told = describe(["openid", "email", "orders:read", "orders:write"], words)

    assert told == [
        "Know who you are",
        "See your e-mail address",
        "See your orders",
        "orders:write",
    ]
