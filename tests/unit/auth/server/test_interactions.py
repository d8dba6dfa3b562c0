import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline.auth.server.authorization_requests import AuthorizationRequest
from fastapi_baseline.auth.server.interaction_models import OAuthInteraction
from fastapi_baseline.auth.server.interactions import (
    COOKIE_PREFIX,
    MAX_PER_BROWSER,
    Interaction,
    InteractionNotFoundError,
    Interactions,
)
from fastapi_baseline.auth.sessions import AmbiguousSessionError
from fastapi_baseline.persistence import Database
from fastapi_baseline.testing import ManualClock

LIFETIME = timedelta(minutes=10)
REQUEST = AuthorizationRequest(
    client_id="app",
    redirect_uri="https://app.example.com/callback",
    state="a state",
    scopes=("openid",),
    code_challenge="c" * 43,
    prompts=frozenset({"login"}),
    max_age=timedelta(minutes=1),
)


class Browser:
    """Keeps cookies, in the order in which it got them."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}
        self.attributes: list[str] = []

    @property
    def connection(self) -> HTTPConnection:
        return connection_with("; ".join(f"{name}={one}" for name, one in self.cookies.items()))

    def take(self, response: Response) -> None:
        for value in response.headers.getlist("set-cookie"):
            pair, _, attributes = value.partition("; ")
            name, _, text = pair.partition("=")
            self.attributes.append(attributes)
            if text.strip('"'):
                self.cookies[name] = text
            else:
                self.cookies.pop(name, None)

    async def begin(self, interactions: Interactions) -> Interaction:
        new = await interactions.begin(REQUEST)
        response = Response()
        new.keep(self.connection, response)
        self.take(response)
        return new.interaction


def connection_with(cookies: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"cookie", cookies.encode())]})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(tmp_path: Path, clock: ManualClock) -> AsyncGenerator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}", clock=clock)
    async with database.engine.begin() as connection:
        await connection.run_sync(OAuthInteraction.metadata.tables["oauth_interaction"].create)
    yield database
    await database.dispose()


@pytest.fixture
def interactions(database: Database, clock: ManualClock) -> Interactions:
    return Interactions(database, lifetime=LIFETIME, clock=clock)


def id_of(interaction: Interaction) -> str:
    assert interaction.id is not None
    return interaction.id


async def test_the_browser_that_has_begun_finds_it_as_it_was(
    interactions: Interactions, clock: ManualClock
) -> None:
    browser = Browser()
    begun = await browser.begin(interactions)
    clock.advance(LIFETIME - timedelta(seconds=1))

    found = await interactions.get(browser.connection, id_of(begun))

    assert found == begun
    assert found.request == REQUEST


async def test_it_ends_with_its_time(interactions: Interactions, clock: ManualClock) -> None:
    browser = Browser()
    begun = await browser.begin(interactions)
    clock.advance(LIFETIME)

    with pytest.raises(InteractionNotFoundError):
        await interactions.get(browser.connection, id_of(begun))


async def test_no_other_browser_finds_it(interactions: Interactions) -> None:
    anna, otto = Browser(), Browser()
    begun = await anna.begin(interactions)
    await otto.begin(interactions)
    (own,) = otto.cookies.values()
    forged = connection_with(f"{COOKIE_PREFIX}{id_of(begun)[:8]}={own}")

    assert await interactions.find(otto.connection, id_of(begun)) is None
    assert await interactions.find(forged, id_of(begun)) is None


@pytest.mark.parametrize("wrong", ["", "x", "0" * 31, "0" * 32, "0" * 33, "\x00" * 32, "é" * 32])
async def test_what_is_no_identifier_is_not_found(interactions: Interactions, wrong: str) -> None:
    browser = Browser()
    await browser.begin(interactions)

    assert await interactions.find(browser.connection, wrong) is None


async def test_two_cookies_of_the_same_name_are_refused(interactions: Interactions) -> None:
    browser = Browser()
    begun = await browser.begin(interactions)
    ((name, value),) = browser.cookies.items()

    with pytest.raises(AmbiguousSessionError):
        await interactions.find(connection_with(f"{name}={value}; {name}=x"), id_of(begun))


async def test_it_is_used_up_once(interactions: Interactions, database: Database) -> None:
    browser = Browser()
    begun = await browser.begin(interactions)

    async with database.transaction() as session:
        await interactions.use_up(session, begun)

    with pytest.raises(InteractionNotFoundError):
        async with database.transaction() as session:
            await interactions.use_up(session, begun)
    assert await interactions.find(browser.connection, id_of(begun)) is None


async def test_what_was_answered_at_once_needs_no_using_up(
    interactions: Interactions, database: Database, clock: ManualClock
) -> None:
    at_once = Interaction(request=REQUEST, asked_at=clock.now())

    async with database.transaction() as session:
        await interactions.use_up(session, at_once)
    response = Response()
    interactions.forget(response, at_once)

    assert "set-cookie" not in response.headers


async def test_the_cookie_is_for_this_host_only_and_goes_in_the_end(
    interactions: Interactions,
) -> None:
    browser = Browser()
    begun = await browser.begin(interactions)

    assert list(browser.cookies) == [f"{COOKIE_PREFIX}{id_of(begun)[:8]}"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", next(iter(browser.cookies.values())))
    assert browser.attributes == ["HttpOnly; Path=/; SameSite=lax; Secure"]
    response = Response()
    interactions.forget(response, begun)
    browser.take(response)
    assert browser.cookies == {}


async def test_tabs_do_not_disturb_each_other_and_the_oldest_is_forgotten(
    interactions: Interactions,
) -> None:
    browser = Browser()
    begun = [await browser.begin(interactions) for _ in range(MAX_PER_BROWSER + 2)]

    found = [await interactions.find(browser.connection, id_of(one)) for one in begun]

    assert found == [None, None, *begun[2:]]


async def test_no_cookie_is_in_the_database(interactions: Interactions, database: Database) -> None:
    browser = Browser()
    await browser.begin(interactions)

    async with database.transaction() as session:
        (row,) = (await session.scalars(select(OAuthInteraction))).all()
        stored = repr([row.id, row.browser_digest, row.request])

    assert not any(secret in stored for secret in browser.cookies.values())


async def test_those_that_are_over_go_when_new_ones_come(
    interactions: Interactions, database: Database, clock: ManualClock
) -> None:
    for _ in range(3):
        await Browser().begin(interactions)
    clock.advance(LIFETIME)

    await Browser().begin(interactions)

    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(OAuthInteraction)) == 1


async def test_its_secrets_are_not_shown(interactions: Interactions) -> None:
    new = await interactions.begin(REQUEST)
    response = Response()
    new.keep(connection_with(""), response)

    secret = response.headers["set-cookie"].partition("=")[2].partition(";")[0]

    assert secret not in repr(new)
