import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from joserfc import jws

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import Authentication
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.guards import RequireScopes
from fastapi_baseline.auth.login import (
    MemoryLoginStore,
    ProviderAccessToken,
    make_login,
    make_login_router,
)
from fastapi_baseline.auth.login.refreshing import FAILURE_PAUSE
from fastapi_baseline.auth.login.transactions import COOKIE_PREFIX
from fastapi_baseline.auth.pages import make_pages
from fastapi_baseline.auth.server.clients import OVERLAP, RegisteredClient
from fastapi_baseline.auth.server.protocol.pkce import make_challenge
from fastapi_baseline.auth.server.signing_key_changes import NOTICED_WITHIN
from fastapi_baseline.auth.server.signing_keys import SigningKeys
from fastapi_baseline.auth.sessions import (
    MemorySessionStore,
    SessionAuthenticator,
    Sessions,
    make_sessions_router,
)
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.settings import AuthSettings, SessionSettings
from fastapi_baseline.settings.auth import (
    AuthorizationServerSettings,
    LoginSettings,
    TokenSettings,
)
from fastapi_baseline.testing import ManualClock, make_signing_key
from fastapi_baseline.testing.issuing import (
    CALLBACK,
    ORIGIN,
    VERIFIER,
    IssuingService,
    SignedIn,
    open_issuing_service,
)
from fastapi_baseline.testing.login_provider import TOKEN_PATH, LoginProvider

# Which test walks a duration of the settings to its edge.
WALKED = {
    "login.refresh_before": "test_an_access_token_of_a_provider_is_replaced_before_it_ends",
    "login.transaction_lifetime": "test_somebody_comes_back_from_a_provider_within_ten_minutes",
    "server.access_token_lifetime": "test_an_access_token_is_good_for_five_minutes",
    "server.code_lifetime": "test_a_code_is_good_for_a_minute",
    "server.interaction_lifetime": "test_a_user_agrees_within_ten_minutes",
    "server.key_notice": "test_a_key_is_published_for_a_day_before_it_signs",
    "server.refresh_absolute_lifetime": "test_a_grant_is_over_after_ninety_days_however_it_is_used",
    "server.refresh_idle_lifetime": "test_a_refresh_token_is_good_for_two_weeks_from_the_last_use",
    "server.reuse_leeway": "test_a_refresh_token_that_comes_twice_is_an_accident_for_ten_seconds",
}

TICK = timedelta(microseconds=1)
EARLY_OR_NOT = pytest.mark.parametrize("early", [TICK, timedelta(0)], ids=["before", "at"])
SERVER = AuthorizationServerSettings()
LOGIN = LoginSettings()
SKEW = TokenSettings().clock_skew
SCOPES = ("openid", "offline_access", "orders:read")


class Wayfarer(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "lifetime_wayfarer"


def add_orders(app: FastAPI) -> None:
    @app.get("/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])
    async def list_orders() -> list[int]:
        return []


@pytest.fixture
async def service(tmp_path: Path) -> AsyncGenerator[IssuingService]:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    # A session that lasts, so that nothing here ends with it.
    sessions = SessionSettings(
        enabled=True, idle_timeout=timedelta(days=1000), absolute_timeout=timedelta(days=1000)
    )
    async with open_issuing_service(
        Wayfarer, url, auth={"sessions": sessions}, include=add_orders
    ) as service:
        yield service


@pytest.fixture
async def user(service: IssuingService) -> SignedIn:
    return await service.sign_in(await service.add_user())


@pytest.fixture
async def client(service: IssuingService) -> RegisteredClient:
    return await service.add_client(auth_method="client_secret_basic", may_introspect=True)


async def get_refresh_token(
    service: IssuingService, client: RegisteredClient, user: SignedIn
) -> str:
    token: str = (await service.get_tokens(client, user, scopes=SCOPES))["refresh_token"]
    return token


async def refresh(service: IssuingService, client: RegisteredClient, token: str) -> str | None:
    """Return the refresh token that comes of another one; `None` if none does."""
    answer = await service.refresh(client, token)
    if answer.status_code != 200:
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        return None
    fresh: str = answer.json()["refresh_token"]
    return fresh


async def renew(service: IssuingService, client: RegisteredClient, token: str) -> str:
    fresh = await refresh(service, client, token)
    assert fresh is not None
    return fresh


async def is_active(service: IssuingService, client: RegisteredClient, token: str) -> bool:
    answer = await service.post("/oauth2/introspect", client, token=token)
    found: bool = answer.json()["active"]
    return found


async def ask_orders(service: IssuingService, token: str) -> int:
    answer = await service.http.get("/orders", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def ask_userinfo(service: IssuingService, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await service.http.get("/oauth2/userinfo", headers=headers)).status_code


@EARLY_OR_NOT
async def test_a_code_is_good_for_a_minute(
    early: timedelta, service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    code = await service.get_code(client, user)

    service.clock.advance(SERVER.code_lifetime - early)
    answer = await service.redeem(client, code)

    assert (answer.status_code == 200) is bool(early)


async def test_a_code_that_comes_again_long_after_its_minute_is_still_a_theft(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    code = await service.get_code(client, user)
    token: str = (await service.redeem(client, code)).json()["refresh_token"]

    service.clock.advance(SERVER.code_lifetime * 2)
    await service.redeem(client, code)

    assert await refresh(service, client, token) is None


async def test_an_access_token_is_good_for_five_minutes(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    answer = await service.redeem(client, await service.get_code(client, user, scopes=SCOPES))
    token: str = answer.json()["access_token"]

    service.clock.advance(SERVER.access_token_lifetime - TICK)
    before = (await is_active(service, client, token), await ask_userinfo(service, token))
    service.clock.advance(TICK)
    at = (await is_active(service, client, token), await ask_userinfo(service, token))

    assert answer.json()["expires_in"] == SERVER.access_token_lifetime.total_seconds()
    assert (before, at) == ((True, 200), (False, 401))


async def test_an_api_takes_an_access_token_for_the_skew_of_clocks_longer(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    token = (await service.get_tokens(client, user, scopes=SCOPES))["access_token"]

    service.clock.advance(SERVER.access_token_lifetime + SKEW - TICK)
    before = await ask_orders(service, token)
    service.clock.advance(TICK)

    assert (before, await ask_orders(service, token)) == (200, 401)


async def test_no_fraction_of_a_second_is_added_to_an_access_token(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    service.clock.advance(timedelta(milliseconds=900))
    token = (await service.get_tokens(client, user, scopes=SCOPES))["access_token"]

    service.clock.advance(SERVER.access_token_lifetime - timedelta(milliseconds=900) - TICK)
    before = await is_active(service, client, token)
    service.clock.advance(TICK)

    assert (before, await is_active(service, client, token)) == (True, False)


async def test_a_refresh_token_is_good_for_two_weeks_from_the_last_use(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    token = await get_refresh_token(service, client, user)

    for _ in range(3):
        service.clock.advance(SERVER.refresh_idle_lifetime - TICK)
        is_listed = await is_active(service, client, token)
        token = await renew(service, client, token)
        assert is_listed
    service.clock.advance(SERVER.refresh_idle_lifetime)

    assert not await is_active(service, client, token)
    assert await refresh(service, client, token) is None


async def test_a_client_that_refreshes_moves_the_end_of_no_other(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    busy, idle = [await get_refresh_token(service, client, user) for _ in range(2)]

    service.clock.advance(SERVER.refresh_idle_lifetime - TICK)
    busy = await renew(service, client, busy)
    service.clock.advance(TICK)

    assert await refresh(service, client, idle) is None
    assert await refresh(service, client, busy) is not None


@EARLY_OR_NOT
async def test_a_grant_is_over_after_ninety_days_however_it_is_used(
    early: timedelta, service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    began_at = service.clock.now()
    token = await get_refresh_token(service, client, user)
    step = SERVER.refresh_absolute_lifetime / 9
    assert step < SERVER.refresh_idle_lifetime

    for _ in range(8):
        service.clock.advance(step)
        token = await renew(service, client, token)
    service.clock.advance(step - early)
    last = await refresh(service, client, token)

    assert service.clock.now() - began_at == SERVER.refresh_absolute_lifetime - early
    assert (last is not None) is bool(early)
    # What came of it a tick before ends as well, wherever somebody asks.
    service.clock.advance(early)
    assert last is None or not await is_active(service, client, last)
    assert last is None or await refresh(service, client, last) is None


async def test_the_access_token_of_the_last_refresh_is_not_known_after_ninety_days(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    token, last = await get_refresh_token(service, client, user), ""
    for _ in range(9):
        service.clock.advance(SERVER.refresh_absolute_lifetime / 9 - TICK)
        answer: dict[str, str] = (await service.refresh(client, token)).json()
        token, last = answer["refresh_token"], answer["access_token"]

    before = (await is_active(service, client, last), await ask_userinfo(service, last))
    service.clock.advance(9 * TICK)
    at = (await is_active(service, client, last), await ask_userinfo(service, last))

    assert (before, at) == ((True, 200), (False, 401))


@EARLY_OR_NOT
async def test_what_was_allowed_for_a_session_is_over_when_that_is_at_the_latest(
    early: timedelta, service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    hour = timedelta(hours=1)
    ends_at = service.clock.now() + hour
    code = await service.get_code(client, user, scopes=["openid"], session_expires_at=ends_at)
    token: str = (await service.redeem(client, code)).json()["refresh_token"]

    service.clock.advance(hour / 2)
    token = await renew(service, client, token)
    service.clock.advance(hour / 2 - early)

    assert (await refresh(service, client, token) is not None) is bool(early)


@pytest.mark.parametrize(
    ("late", "lives"),
    [(timedelta(0), True), (SERVER.reuse_leeway - TICK, True), (SERVER.reuse_leeway, False)],
    ids=["at once", "before", "at"],
)
async def test_a_refresh_token_that_comes_twice_is_an_accident_for_ten_seconds(
    late: timedelta,
    *,
    lives: bool,
    service: IssuingService,
    user: SignedIn,
    client: RegisteredClient,
) -> None:
    first = await get_refresh_token(service, client, user)
    second = await renew(service, client, first)

    service.clock.advance(late)

    # It gets nothing in either case.
    assert await refresh(service, client, first) is None
    assert ("refresh_token_reused" in service.events.names) is not lives
    assert ("refresh_token_reused_in_window" in service.events.names) is lives
    assert (await refresh(service, client, second) is not None) is lives


async def test_accidents_do_not_make_the_time_for_them_longer(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    first = await get_refresh_token(service, client, user)
    second = await renew(service, client, first)

    service.clock.advance(SERVER.reuse_leeway - TICK)
    assert await refresh(service, client, first) is None
    third = await renew(service, client, second)
    service.clock.advance(TICK)
    assert await refresh(service, client, first) is None

    assert await refresh(service, client, third) is None
    assert service.events.names.count("refresh_token_reused") == 1


async def begin_interaction(
    service: IssuingService, client: RegisteredClient, user: SignedIn
) -> str:
    """Return where somebody is asked whether a client may."""
    query = {
        "client_id": client.client.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid orders:read",
        "state": "a state",
        "code_challenge": make_challenge(VERIFIER),
        "code_challenge_method": "S256",
    }
    asked = await user.http.get("/oauth2/authorize", params=query)
    assert asked.status_code == 303, asked.text
    path: str = asked.headers["location"]
    assert path.startswith("/oauth2/interactions/")
    return path


@EARLY_OR_NOT
async def test_a_user_agrees_within_ten_minutes(
    early: timedelta, service: IssuingService, user: SignedIn
) -> None:
    client = await service.add_client("partner", is_first_party=False)
    path = await begin_interaction(service, client, user)
    form = {
        "csrf_token": form_token_of(await user.http.get(path)),
        "decision": "allow",
    }

    service.clock.advance(SERVER.interaction_lifetime - early)
    shown = await user.http.get(path)
    agreed = await user.http.post(path, data=form)

    if early:
        assert (shown.status_code, agreed.status_code) == (200, 303)
        assert agreed.headers["location"].startswith(f"{CALLBACK}?code=")
    else:
        assert (shown.status_code, agreed.status_code) == (404, 404)
        assert "location" not in agreed.headers


def form_token_of(page: httpx2.Response) -> str:
    _, found, rest = page.text.partition('name="csrf_token" value="')
    assert found, page.text
    return rest.partition('"')[0]


async def test_a_user_who_looks_at_the_page_gets_no_longer_for_it(
    service: IssuingService, user: SignedIn
) -> None:
    client = await service.add_client("partner", is_first_party=False)
    path = await begin_interaction(service, client, user)

    statuses: list[int] = []
    for _ in range(4):
        service.clock.advance(SERVER.interaction_lifetime / 4)
        statuses.append((await user.http.get(path)).status_code)

    assert statuses == [200, 200, 200, 404]


# The keys that tokens are signed with


def kid_of(token: str) -> str:
    kid: str = jws.extract_compact(token.encode()).headers()["kid"]
    return kid


async def get_machine_token(service: IssuingService, machine: RegisteredClient) -> str:
    token: str = (await service.ask(machine, grant_type="client_credentials")).json()[
        "access_token"
    ]
    return token


async def list_published(service: IssuingService) -> set[str]:
    answer = await service.http.get("/oauth2/jwks")
    return {key["kid"] for key in answer.json()["keys"]}


def open_elsewhere(service: IssuingService) -> SigningKeys:
    """Return the keys as another process of the service has them."""
    server = service.server
    return SigningKeys(
        service.database, keys=server.keys, settings=server.settings, clock=service.clock
    )


async def sign_with(keys: SigningKeys) -> str:
    await keys.refresh()
    return kid_of(keys.sign({"iss": ORIGIN}, typ="at+jwt"))


async def test_a_key_is_published_for_a_day_before_it_signs(service: IssuingService) -> None:
    machine, elsewhere = await service.add_machine(), open_elsewhere(service)
    old = kid_of(await get_machine_token(service, machine))
    next_key = (await service.server.signing_keys.rotate()).kid
    published = await list_published(service)

    service.clock.advance(SERVER.key_notice - TICK)
    before = (kid_of(await get_machine_token(service, machine)), await sign_with(elsewhere))
    service.clock.advance(TICK)
    at = (kid_of(await get_machine_token(service, machine)), await sign_with(elsewhere))

    assert published == {old, next_key}
    assert before == (old, old)
    assert at == (next_key, next_key)


async def test_a_key_that_retires_is_published_until_the_last_token_is_over(
    service: IssuingService, client: RegisteredClient
) -> None:
    machine = await service.add_machine()
    keys = service.server.signing_keys
    old = kid_of(await get_machine_token(service, machine))
    next_key = (await keys.rotate()).kid
    service.clock.advance(SERVER.key_notice - TICK)
    last = await get_machine_token(service, machine)
    assert kid_of(last) == old

    # `exp` is in whole seconds, and the clock is a tick before one.
    service.clock.advance(SERVER.access_token_lifetime + SKEW - timedelta(seconds=1))
    accepted = await ask_orders(service, last)
    service.clock.advance(NOTICED_WITHIN + timedelta(seconds=1))
    before = (await list_published(service), await keys.find_key(old, "ES256") is not None)
    service.clock.advance(TICK)
    at = (await keys.find_key(old, "ES256") is not None, await is_active(service, client, last))
    # What is published is read anew within a minute.
    service.clock.advance(NOTICED_WITHIN)
    await get_machine_token(service, machine)

    assert accepted == 200
    assert before == ({old, next_key}, True)
    assert at == (False, False)
    assert await list_published(service) == {next_key}


async def test_what_a_process_signs_that_has_not_noticed_the_next_key_is_good_to_its_end(
    service: IssuingService, client: RegisteredClient
) -> None:
    elsewhere = open_elsewhere(service)
    old = await sign_with(elsewhere)
    await service.server.signing_keys.rotate(is_immediate=True)

    service.clock.advance(NOTICED_WITHIN - TICK)
    unnoticed = await sign_with(elsewhere)
    # The last moment in which anything is signed with the old one, and the last in which it is believed.
    service.clock.advance(SERVER.access_token_lifetime + SKEW)
    is_known = await service.server.signing_keys.find_key(old, "ES256") is not None
    service.clock.advance(TICK)

    assert unnoticed == old
    assert is_known
    assert await service.server.signing_keys.find_key(old, "ES256") is None
    assert await sign_with(elsewhere) != old


async def test_a_key_that_was_revoked_is_believed_elsewhere_for_a_minute(
    service: IssuingService,
) -> None:
    elsewhere = open_elsewhere(service)
    old = await sign_with(elsewhere)
    await service.server.signing_keys.revoke(old)

    service.clock.advance(NOTICED_WITHIN - TICK)
    before = await elsewhere.find_key(old, "ES256") is not None
    service.clock.advance(TICK)

    assert before
    assert await elsewhere.find_key(old, "ES256") is None


async def test_the_secret_before_the_last_change_is_good_for_a_day(service: IssuingService) -> None:
    machine = await service.add_machine()
    fresh = await service.server.clients.rotate_secret(machine.client.client_id)

    async def ask(client: RegisteredClient) -> int:
        return (await service.ask(client, grant_type="client_credentials")).status_code

    service.clock.advance(OVERLAP - TICK)
    before = await ask(machine)
    service.clock.advance(TICK)

    assert (before, await ask(machine), await ask(fresh)) == (200, 401, 200)


# Signing in with a provider


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(clock: ManualClock) -> LoginProvider:
    return LoginProvider(clock=clock, key=make_signing_key("ES256"))


@pytest.fixture
async def shop(provider: LoginProvider, clock: ManualClock) -> AsyncGenerator[FastAPI]:
    """Give a service whose people sign in with a provider."""
    settings = Settings(environment="test")
    app = create_app(settings, configure_logging=False)
    sessions = Sessions(
        MemorySessionStore(clock=clock), settings=SessionSettings(enabled=True), clock=clock
    )
    login = make_login(
        AuthSettings(
            public_url=ORIGIN,
            login=LoginSettings.model_validate(
                {
                    "issuer": provider.url,
                    "client_id": provider.client_id,
                    "client_secret": provider.client_secret,
                }
            ),
        ),
        sessions=sessions,
        store=MemoryLoginStore(clock=clock),
        keys=KeyRing(["a-secret-of-32-characters-or-more"]),
        clock=clock,
        make_transport=provider.make_transport,
    )
    app.state.pages, app.state.sessions, app.state.login = make_pages(settings), sessions, login
    app.state.authentication = Authentication([SessionAuthenticator(sessions)], clock=clock)
    app.include_router(make_login_router())
    app.include_router(make_sessions_router())

    @app.get("/token")
    async def show_token(token: ProviderAccessToken) -> str:
        return token

    async with login.lifespan(app):
        yield app


@asynccontextmanager
async def open_browser(app: FastAPI) -> AsyncGenerator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app=app), base_url=ORIGIN) as browser:
        yield browser


async def begin_sign_in(browser: AsyncClient) -> str:
    url: str = (await browser.get("/auth/login")).headers["location"]
    return url


async def is_signed_in(browser: AsyncClient) -> bool:
    return (await browser.get("/auth/session")).status_code == 200


@EARLY_OR_NOT
async def test_somebody_comes_back_from_a_provider_within_ten_minutes(
    early: timedelta, shop: FastAPI, provider: LoginProvider, clock: ManualClock
) -> None:
    async with open_browser(shop) as browser:
        url = await begin_sign_in(browser)

        clock.advance(LOGIN.transaction_lifetime - early)
        answer = await browser.get(provider.sign_in(url))

        assert (answer.status_code == 303) is bool(early)
        assert await is_signed_in(browser) is bool(early)


async def test_a_state_that_was_used_is_remembered_as_long_as_it_could_come_again(
    shop: FastAPI, provider: LoginProvider, clock: ManualClock
) -> None:
    async with open_browser(shop) as browser, open_browser(shop) as thief:
        url = await begin_sign_in(browser)
        stolen = {
            one.name: one.value or ""
            for one in browser.cookies.jar
            if one.name.startswith(COOKIE_PREFIX)
        }
        await browser.get(provider.sign_in(url))

        cookies = "; ".join(f"{name}={value}" for name, value in stolen.items())
        clock.advance(LOGIN.transaction_lifetime - TICK)
        # With another code of the provider, so that nothing else is wrong with it.
        before = await thief.get(provider.sign_in(url), headers={"Cookie": cookies})
        clock.advance(TICK)
        at = await thief.get(provider.sign_in(url), headers={"Cookie": cookies})

        assert stolen
        assert (before.status_code, at.status_code) == (400, 400)
        assert not await is_signed_in(thief)


def refreshes_of(provider: LoginProvider) -> int:
    return sum(form.get("grant_type") == "refresh_token" for form in provider.forms)


async def get_token(browser: AsyncClient) -> Any:
    answer = await browser.get("/token")
    return answer.json() if answer.status_code == 200 else answer.status_code


async def test_an_access_token_of_a_provider_is_replaced_before_it_ends(
    shop: FastAPI, provider: LoginProvider, clock: ManualClock
) -> None:
    async with open_browser(shop) as browser:
        await browser.get(provider.sign_in(await begin_sign_in(browser)))
        first = await get_token(browser)

        clock.advance(provider.access_token_lifetime - LOGIN.refresh_before - TICK)
        before = (await get_token(browser), refreshes_of(provider))
        clock.advance(TICK)
        second = await get_token(browser)

        assert before == (first, 0)
        assert (second != first, refreshes_of(provider)) == (True, 1)
        # The next one lasts from then on.
        clock.advance(provider.access_token_lifetime - LOGIN.refresh_before - TICK)
        assert (await get_token(browser), refreshes_of(provider)) == (second, 1)
        clock.advance(TICK)
        assert (await get_token(browser) != second, refreshes_of(provider)) == (True, 2)


async def test_a_token_of_a_provider_that_is_away_is_given_out_until_it_ends(
    shop: FastAPI, provider: LoginProvider, clock: ManualClock
) -> None:
    async with open_browser(shop) as browser:
        await browser.get(provider.sign_in(await begin_sign_in(browser)))
        first = await get_token(browser)
        provider.endpoints.answers[TOKEN_PATH] = lambda _: httpx2.Response(503)

        clock.advance(provider.access_token_lifetime - TICK)
        before = await get_token(browser)
        clock.advance(TICK)

        assert (before, await get_token(browser)) == (first, 503)


async def test_a_provider_that_is_away_is_asked_again_after_five_seconds(
    shop: FastAPI, provider: LoginProvider, clock: ManualClock
) -> None:
    asked: list[httpx2.Request] = []

    def fail(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(503)

    async with open_browser(shop) as browser:
        await browser.get(provider.sign_in(await begin_sign_in(browser)))
        provider.endpoints.answers[TOKEN_PATH] = fail
        clock.advance(provider.access_token_lifetime)
        await get_token(browser)
        first = len(asked)
        clock.advance(FAILURE_PAUSE - TICK)
        await get_token(browser)
        before = len(asked)
        clock.advance(TICK)
        await get_token(browser)

        assert first > 0
        assert (before, len(asked) > before) == (first, True)


async def test_where_a_script_sends_people_who_sign_out_is_good_for_a_minute(
    shop: FastAPI, provider: LoginProvider, clock: ManualClock
) -> None:
    headers = {"Origin": ORIGIN, "X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"}

    async def sign_out(*, after: timedelta) -> str:
        async with open_browser(shop) as browser:
            await browser.get(provider.sign_in(await begin_sign_in(browser)))
            answer = await browser.post("/auth/logout", headers=headers)
            clock.advance(after)
            target: str = (await browser.get(json.loads(answer.text)["redirect_to"])).headers[
                "location"
            ]
            return target

    minute = timedelta(minutes=1)

    assert (await sign_out(after=minute - TICK)).startswith(provider.url)
    assert await sign_out(after=minute) == LOGIN.after_logout
