import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.server.authorization_requests import AuthorizationRequest
from fastapi_baseline.auth.server.consents import Consents
from fastapi_baseline.auth.server.interaction_models import OAuthConsent, OAuthInteraction
from fastapi_baseline.auth.server.interactions import (
    Interaction,
    InteractionNotFoundError,
    Interactions,
)
from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import ManualClock
from tests.integration.auth.databases import database_with

ANN = Principal(issuer=SELF, subject="ann", transport="session")
REQUEST = AuthorizationRequest(
    client_id="app",
    redirect_uri="https://app.example.com/callback",
    state='a "state" with a \\ and an \' in it',
    scopes=("openid", "email"),
    code_challenge="c" * 43,
    login_hint="änn@example.com",
)
AT_ONCE = 20


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(any_database_url: str, clock: ManualClock) -> AsyncGenerator[Database]:
    async with database_with(
        OAuthInteraction, OAuthConsent, url=any_database_url, clock=clock
    ) as database:
        yield database


@pytest.fixture
def interactions(database: Database, clock: ManualClock) -> Interactions:
    return Interactions(database, lifetime=timedelta(minutes=10), clock=clock)


@pytest.fixture
def consents(database: Database, clock: ManualClock) -> Consents:
    return Consents(database, clock=clock)


async def answer(
    database: Database, interactions: Interactions, consents: Consents, one: Interaction
) -> bool:
    """Return whether an answer counts, with which something else is stored."""
    try:
        async with database.transaction() as session:
            await consents.remember(session, ANN, client_id="app", scopes=["openid"])
            await interactions.use_up(session, one)
    except InteractionNotFoundError:
        return False
    return True


async def test_of_answers_that_come_at_once_one_counts(
    database: Database, interactions: Interactions, consents: Consents
) -> None:
    interaction = (await interactions.begin(REQUEST)).interaction

    answers = [answer(database, interactions, consents, interaction) for _ in range(AT_ONCE)]
    counted = await asyncio.gather(*answers)

    assert sum(counted) == 1


async def test_an_answer_that_does_not_count_leaves_nothing(
    database: Database, interactions: Interactions, consents: Consents
) -> None:
    gone = Interaction(id="0" * 32, request=REQUEST, asked_at=ManualClock().now())

    assert not await answer(database, interactions, consents, gone)
    assert await consents.find(ANN, "app") == frozenset()


async def test_what_is_asked_at_once_is_kept_and_what_is_over_goes(
    database: Database, interactions: Interactions, clock: ManualClock
) -> None:
    await asyncio.gather(*(interactions.begin(REQUEST) for _ in range(AT_ONCE)))
    clock.advance(timedelta(minutes=10))

    await asyncio.gather(*(interactions.begin(REQUEST) for _ in range(5)))

    async with database.transaction() as session:
        kept = (await session.scalars(select(OAuthInteraction))).all()
        assert AuthorizationRequest.from_json(kept[0].request) == REQUEST
        assert await session.scalar(select(func.count()).select_from(OAuthInteraction)) == 5


async def test_who_agrees_twice_at_once_has_agreed(database: Database, consents: Consents) -> None:
    async def agree() -> None:
        async with database.transaction() as session:
            await consents.remember(session, ANN, client_id="app", scopes=["openid", "email"])

    await asyncio.gather(*(agree() for _ in range(5)))

    assert await consents.find(ANN, "app") == {"openid", "email"}
