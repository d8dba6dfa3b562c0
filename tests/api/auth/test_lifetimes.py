import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from pyotp.totp import TOTP
from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.api_keys import ApiKeys, InvalidApiKeyError, KeyOwner
from fastapi_baseline.auth.api_keys.service import OVERLAP
from fastapi_baseline.auth.encryption import KeyRing
from fastapi_baseline.auth.sessions.store import TOUCH_INTERVAL
from fastapi_baseline.auth.tokens.bearer import BearerTokens, make_bearer_tokens
from fastapi_baseline.auth.tokens.errors import InvalidTokenError, IssuerUnavailableError
from fastapi_baseline.auth.tokens.jwks import MAX_AGE, MIN_AGE
from fastapi_baseline.auth.tokens.verdicts import REFUSAL_MAX_AGE
from fastapi_baseline.auth.users import Argon2Cost, Letter, PasswordHasher, UserRecord
from fastapi_baseline.auth.users.devices import LIFETIME as KNOWN
from fastapi_baseline.auth.users.devices import KnownDevices
from fastapi_baseline.auth.users.pending_sign_ins import LIFETIME as PENDING
from fastapi_baseline.auth.users.routes import RECENT, make_users_router
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.settings import (
    ApiKeySettings,
    AuthSettings,
    IssuerSettings,
    SessionSettings,
    TokenSettings,
    UserSettings,
)
from fastapi_baseline.testing import (
    ManualClock,
    TokenIssuer,
    make_signing_key,
    running,
)
from fastapi_baseline.testing.client import client_of
from fastapi_baseline.testing.issuer_endpoints import INTROSPECTION_PATH, JWKS_PATH
from tests.tables import create_tables

# Which test walks a duration of the settings to its edge.
WALKED = {
    "api_keys.cache_max_age": (
        "test_a_key_that_another_process_has_revoked_is_good_while_it_is_believed"
    ),
    "sessions.absolute_timeout": "test_a_session_that_is_used_ends_after_the_absolute_timeout",
    "sessions.idle_timeout": "test_a_session_that_nobody_uses_ends_after_the_idle_timeout",
    "tokens.clock_skew": "test_a_token_is_good_until_it_expires_and_for_the_skew_of_clocks",
    "tokens.introspection_max_age": (
        "test_an_opaque_token_that_was_revoked_is_good_while_the_answer_is_believed"
    ),
    "tokens.keys_cooldown": "test_unknown_keys_are_looked_for_once_in_a_cool_down",
    "tokens.keys_max_age": "test_keys_are_fetched_again_when_a_fifth_of_their_time_is_left",
    "tokens.keys_max_stale": "test_keys_of_an_issuer_that_is_away_are_good_for_a_day_more",
    "users.reset_lifetime": "test_a_link_that_resets_a_password_is_good_for_half_an_hour",
    "users.verification_lifetime": "test_a_link_that_verifies_an_address_is_good_for_a_day",
}

SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
TOKENS = TokenSettings()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 21, 12, tzinfo=UTC))


@pytest.fixture
def issuer(clock: ManualClock) -> TokenIssuer:
    return TokenIssuer(clock=clock)


@pytest.fixture
async def tokens(issuer: TokenIssuer, clock: ManualClock) -> AsyncGenerator[BearerTokens]:
    """Give what verifies the tokens of an issuer that can also be asked about opaque ones."""
    settings = AuthSettings(
        issuers=(
            IssuerSettings(
                issuer=issuer.url,
                audience=(issuer.audience,),
                algorithms=("ES256",),
                introspection_url=issuer.url + INTROSPECTION_PATH,
                client_id="api",
                client_secret=SecretStr("of the api"),
            ),
        )
    )
    tokens = make_bearer_tokens(settings, clock=clock, make_client=issuer.client)
    async with tokens.lifespan(None):
        yield tokens


async def outcome(tokens: BearerTokens, token: str) -> str:
    """Return what becomes of a request with a token, in a word."""
    try:
        await tokens.verify(token)
    except InvalidTokenError as error:
        return error.reason
    except IssuerUnavailableError:
        return "unavailable"
    return "accepted"


async def walk(
    tokens: BearerTokens, token: str, *, clock: ManualClock, to: timedelta
) -> tuple[str, str]:
    """Return what becomes of a token a tick before a moment from now, and at it."""
    clock.advance(to - TICK)
    before = await outcome(tokens, token)
    clock.advance(TICK)
    return before, await outcome(tokens, token)


async def test_a_token_is_good_until_it_expires_and_for_the_skew_of_clocks(
    tokens: BearerTokens, issuer: TokenIssuer, clock: ManualClock
) -> None:
    token = issuer.mint(lifetime=timedelta(minutes=5))

    edge = timedelta(minutes=5) + TOKENS.clock_skew
    assert await walk(tokens, token, clock=clock, to=edge) == ("accepted", "expired")


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_is_good_from_when_it_says_and_for_the_skew_of_clocks_before(
    claim: str, tokens: BearerTokens, issuer: TokenIssuer, clock: ManualClock
) -> None:
    begins = int((clock.now() + timedelta(minutes=5)).timestamp())
    token = issuer.mint(lifetime=timedelta(hours=1), claims={claim: begins})

    edge = timedelta(minutes=5) - TOKENS.clock_skew
    assert await walk(tokens, token, clock=clock, to=edge) == ("not_yet_valid", "accepted")


async def settle() -> None:
    """Let what was begun beside requests come to its end; nothing here waits for a network."""
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ("max-age=600", timedelta(seconds=600)),
        ("max-age=0", MIN_AGE),
        ("max-age=59", MIN_AGE),
        ("max-age=315360000", MAX_AGE),
        ("", TOKENS.keys_max_age),
    ],
)
async def test_keys_are_fetched_again_when_a_fifth_of_their_time_is_left(
    said: str,
    believed: timedelta,
    tokens: BearerTokens,
    issuer: TokenIssuer,
    clock: ManualClock,
) -> None:
    publish(issuer, cache_control=said)
    token = issuer.mint(lifetime=timedelta(days=2))
    await outcome(tokens, token)

    clock.advance(believed * 0.8 - TICK)
    assert await outcome(tokens, token) == "accepted"
    await settle()
    before = issuer.endpoints.count(JWKS_PATH)
    clock.advance(TICK)
    assert await outcome(tokens, token) == "accepted"
    await settle()

    assert (before, issuer.endpoints.count(JWKS_PATH)) == (1, 2)


async def test_keys_of_an_issuer_that_is_away_are_good_for_a_day_more(
    tokens: BearerTokens, issuer: TokenIssuer, clock: ManualClock
) -> None:
    publish(issuer, cache_control="max-age=600")
    token = issuer.mint(lifetime=timedelta(days=3))
    await outcome(tokens, token)
    issuer.endpoints.answers[JWKS_PATH] = lambda _: httpx2.Response(500)

    edge = timedelta(seconds=600) + TOKENS.keys_max_stale
    assert await walk(tokens, token, clock=clock, to=edge) == ("accepted", "unavailable")


async def test_a_key_that_was_retired_is_forgotten_with_the_next_keys(
    tokens: BearerTokens, issuer: TokenIssuer, clock: ManualClock
) -> None:
    publish(issuer, cache_control="max-age=600")
    token = issuer.mint(lifetime=timedelta(days=1))
    await outcome(tokens, token)
    issuer.rotate(keeps_old=False)

    edge = timedelta(seconds=600) * 0.8
    first = await walk(tokens, token, clock=clock, to=edge)
    await settle()

    assert first == ("accepted", "accepted")
    assert await outcome(tokens, token) == "key"


async def test_unknown_keys_are_looked_for_once_in_a_cool_down(
    tokens: BearerTokens, issuer: TokenIssuer, clock: ManualClock
) -> None:
    publish(issuer, cache_control="max-age=600")
    await outcome(tokens, issuer.mint())

    async def look() -> int:
        stranger = make_signing_key("ES256")
        assert await outcome(tokens, issuer.mint(key=stranger)) == "key"
        return issuer.endpoints.count(JWKS_PATH)

    first = await look()
    clock.advance(TOKENS.keys_cooldown - TICK)
    before = await look()
    clock.advance(TICK)

    assert (first, before, await look()) == (2, 2, 3)


async def test_an_opaque_token_that_was_revoked_is_good_while_the_answer_is_believed(
    tokens: BearerTokens, issuer: TokenIssuer, clock: ManualClock
) -> None:
    token = issuer.mint_opaque(lifetime=timedelta(hours=1))
    await outcome(tokens, token)
    issuer.revoke(token)

    edge = TOKENS.introspection_max_age
    assert await walk(tokens, token, clock=clock, to=edge) == ("accepted", "inactive")


async def test_an_answer_is_not_believed_after_the_opaque_token_has_expired(
    tokens: BearerTokens, issuer: TokenIssuer, clock: ManualClock
) -> None:
    token = issuer.mint_opaque(lifetime=10 * SECOND)
    await outcome(tokens, token)

    assert TOKENS.introspection_max_age > 10 * SECOND
    assert await walk(tokens, token, clock=clock, to=10 * SECOND) == ("accepted", "inactive")


async def test_a_refusal_of_an_opaque_token_is_believed_for_a_little_while(
    tokens: BearerTokens, issuer: TokenIssuer, clock: ManualClock
) -> None:
    token = issuer.mint_opaque(lifetime=timedelta(hours=1))
    answer = issuer.endpoints.answers[INTROSPECTION_PATH]
    issuer.endpoints.answers[INTROSPECTION_PATH] = lambda _: httpx2.Response(
        200, json={"active": False}
    )
    await outcome(tokens, token)
    issuer.endpoints.answers[INTROSPECTION_PATH] = answer

    edge = REFUSAL_MAX_AGE
    assert await walk(tokens, token, clock=clock, to=edge) == ("inactive", "accepted")


def publish(issuer: TokenIssuer, *, cache_control: str) -> None:
    """Have an issuer say how long its keys are good."""
    headers = {"Cache-Control": cache_control} if cache_control else {}
    issuer.endpoints.answers[JWKS_PATH] = lambda _: httpx2.Response(
        200, json=issuer.jwks(), headers=headers
    )


PASSWORD = "a long walk along the river at night"
EMAIL = "ann@example.com"
CHEAP = Argon2Cost(memory=8, passes=1, threads=1)
PAGE = {"Origin": "https://shop.test", "X-Requested-With": "test"}
SESSIONS = SessionSettings(enabled=True)
USERS = UserSettings(registration="open", page_url="https://shop.test")
KEYS = ApiKeySettings(enabled=True)


class Walker(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "lifetime_walker"


class Mailbox:
    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    @property
    def token(self) -> str:
        """Return what is in the link of the last letter that has one."""
        for letter in reversed(self.letters):
            found = re.search(r"\b[0-9a-f]{64}\b", letter.text)
            if found:
                return found[0]
        raise AssertionError("There is no letter with a link.")


@dataclass(frozen=True, slots=True)
class Shop:
    """An application that knows its users, and browsers for it."""

    app: FastAPI
    mailbox: Mailbox
    clock: ManualClock

    @asynccontextmanager
    async def browser(self) -> AsyncGenerator[httpx2.AsyncClient]:
        async with client_of(self.app, base_url="https://shop.test") as client:
            client.headers.update(PAGE)
            yield client

    async def letters(self) -> Mailbox:
        await self.app.state.users.services.outbox.drain()
        return self.mailbox

    async def register(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/auth/register", json={"email": EMAIL, "password": PASSWORD})
        assert response.status_code == 202, response.text

    async def verify(self, client: httpx2.AsyncClient) -> int:
        token = (await self.letters()).token
        return (await client.post("/auth/verify-email", json={"token": token})).status_code

    async def sign_in(self, client: httpx2.AsyncClient, password: str = PASSWORD) -> int:
        response = await client.post("/auth/sign-in", json={"email": EMAIL, "password": password})
        return response.status_code


@pytest.fixture
async def shop(tmp_path: Path, clock: ManualClock) -> AsyncGenerator[Shop]:
    settings = Settings(
        environment="test",
        database_url=SecretStr(f"sqlite:///{tmp_path / 'shop.db'}"),
        auth=AuthSettings(
            sessions=SESSIONS,
            users=USERS,
            api_keys=KEYS,
            secret_keys=(SecretStr("kf83h1ld0c7vb2ng6mz5xq9wrt4yepauj"),),
        ),
    )
    app = create_app(settings, configure_logging=False, package=None, clock=clock)
    mailbox = Mailbox()
    app.include_router(make_users_router(Walker, mail=mailbox, hasher=PasswordHasher(cost=CHEAP)))
    await create_tables(app.state.database, __name__, "fastapi_baseline")
    async with running(app):
        yield Shop(app, mailbox, clock)


@pytest.fixture
async def browser(shop: Shop) -> AsyncGenerator[httpx2.AsyncClient]:
    """Give the browser of a user who has just signed in."""
    async with shop.browser() as client:
        await shop.register(client)
        assert await shop.verify(client) == 200
        assert await shop.sign_in(client) == 200
        yield client


async def whoami(client: httpx2.AsyncClient) -> int:
    return (await client.get("/auth/me")).status_code


async def test_a_session_that_nobody_uses_ends_after_the_idle_timeout(
    shop: Shop, browser: httpx2.AsyncClient, clock: ManualClock
) -> None:
    async with shop.browser() as other:
        await shop.sign_in(other)
        clock.advance(SESSIONS.idle_timeout - TICK)
        used = await whoami(browser)
        clock.advance(TICK)

        assert (used, await whoami(browser), await whoami(other)) == (200, 200, 401)


@pytest.mark.parametrize(
    ("used_after", "then"), [(TOUCH_INTERVAL - TICK, 401), (TOUCH_INTERVAL, 200)]
)
async def test_that_a_session_is_used_is_written_once_a_minute(
    used_after: timedelta, then: int, browser: httpx2.AsyncClient, clock: ManualClock
) -> None:
    clock.advance(used_after)
    assert await whoami(browser) == 200

    clock.advance(SESSIONS.idle_timeout - used_after)

    assert await whoami(browser) == then


async def test_a_session_that_is_used_ends_after_the_absolute_timeout(
    browser: httpx2.AsyncClient, clock: ManualClock
) -> None:
    step = SESSIONS.idle_timeout / 2
    for _ in range(SESSIONS.absolute_timeout // step - 1):
        clock.advance(step)
        assert await whoami(browser) == 200

    clock.advance(step - TICK)
    before = await whoami(browser)
    clock.advance(TICK)

    assert (before, await whoami(browser)) == (200, 401)


@pytest.mark.parametrize(("early", "status"), [(TICK, 200), (timedelta(0), 400)])
async def test_a_link_that_verifies_an_address_is_good_for_a_day(
    early: timedelta, status: int, shop: Shop, clock: ManualClock
) -> None:
    async with shop.browser() as client:
        await shop.register(client)

        clock.advance(USERS.verification_lifetime - early)

        assert await shop.verify(client) == status


@pytest.mark.parametrize(("early", "status"), [(TICK, 200), (timedelta(0), 400)])
async def test_a_link_that_resets_a_password_is_good_for_half_an_hour(
    early: timedelta,
    status: int,
    shop: Shop,
    browser: httpx2.AsyncClient,
    clock: ManualClock,
) -> None:
    await browser.post("/auth/password/forgot", json={"email": EMAIL})
    token = (await shop.letters()).token

    clock.advance(USERS.reset_lifetime - early)
    response = await browser.post(
        "/auth/password/reset", json={"token": token, "password": "another long walk by the sea"}
    )

    assert response.status_code == status


@pytest.mark.parametrize(("late", "status"), [(timedelta(0), 204), (TICK, 401)])
async def test_an_account_is_deleted_by_who_has_signed_in_ten_minutes_ago(
    late: timedelta, status: int, browser: httpx2.AsyncClient, clock: ManualClock
) -> None:
    clock.advance(RECENT + late)

    assert (await browser.delete("/auth/me")).status_code == status


async def enable_second_factor(browser: httpx2.AsyncClient, clock: ManualClock) -> str:
    started = await browser.post("/auth/second-factor", json={"password": PASSWORD})
    secret = started.json()["secret"]
    code = code_at(secret, clock.now())
    confirmed = await browser.post("/auth/second-factor/confirm", json={"code": code})
    assert confirmed.status_code == 200, confirmed.text
    return secret


def code_at(secret: str, moment: datetime) -> str:
    totp = TOTP(secret)
    return totp.generate_otp(totp.timecode(moment))


@pytest.mark.parametrize(("early", "status"), [(TICK, 200), (timedelta(0), 401)])
async def test_the_code_of_the_second_factor_may_follow_within_five_minutes(
    early: timedelta,
    status: int,
    shop: Shop,
    browser: httpx2.AsyncClient,
    clock: ManualClock,
) -> None:
    secret = await enable_second_factor(browser, clock)
    async with shop.browser() as other:
        await shop.sign_in(other)

        clock.advance(PENDING - early)
        code = code_at(secret, clock.now())
        response = await other.post("/auth/sign-in/second-factor", json={"code": code})

    assert response.status_code == status


@pytest.mark.parametrize(
    ("late", "status"),
    [
        (timedelta(seconds=-30) - TICK, 401),
        (timedelta(seconds=-30), 200),
        (timedelta(seconds=60) - TICK, 200),
        (timedelta(seconds=60), 401),
    ],
)
async def test_a_code_is_good_in_its_half_minute_and_those_beside_it(
    late: timedelta,
    status: int,
    shop: Shop,
    browser: httpx2.AsyncClient,
    clock: ManualClock,
) -> None:
    secret = await enable_second_factor(browser, clock)
    # The clock is at the beginning of a step; the code of one ten minutes on is asked for.
    code = code_at(secret, clock.now() + timedelta(minutes=10))

    clock.advance(timedelta(minutes=10) + late)
    async with shop.browser() as other:
        response = await other.post(
            "/auth/sign-in", json={"email": EMAIL, "password": PASSWORD, "code": code}
        )

    assert response.status_code == status


async def test_attempts_come_back_when_their_time_is_over(
    shop: Shop, browser: httpx2.AsyncClient, clock: ManualClock
) -> None:
    # Ten in five minutes: each comes back after half a minute.
    async with shop.browser() as stranger:
        failures = [await shop.sign_in(stranger, "a wrong password") for _ in range(11)]
        clock.advance(timedelta(seconds=30) - TICK)
        before = await shop.sign_in(stranger, "a wrong password")
        clock.advance(TICK)

        assert failures == [401] * 10 + [429]
        assert (before, await shop.sign_in(stranger, "a wrong password")) == (429, 401)


def test_a_browser_is_known_for_half_a_year(clock: ManualClock) -> None:
    devices = KnownDevices(KeyRing(["kf83h1ld0c7vb2ng6mz5xq9wrt4yepauj"]), clock=clock)
    response = Response()
    devices.remember(with_cookie(""), response, account=EMAIL)
    connection = with_cookie(response.headers["set-cookie"].partition(";")[0])

    clock.advance(KNOWN - SECOND)
    before = devices.find(connection, account=EMAIL)
    clock.advance(SECOND)

    assert before is not None
    assert devices.find(connection, account=EMAIL) is None


def with_cookie(value: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"cookie", value.encode())]})


async def ask_with(client: httpx2.AsyncClient, key: SecretStr) -> int:
    headers = {"X-API-Key": key.get_secret_value()}
    # Who comes with a key is known, and has no session (403), or is not known at all (401).
    return (await client.get("/auth/me", headers=headers)).status_code


async def test_a_key_is_good_until_it_expires(shop: Shop, clock: ManualClock) -> None:
    issued = await shop.app.state.api_keys.issue("walk", KeyOwner("w"), lifetime=SECOND)
    async with shop.browser() as client:
        first = await ask_with(client, issued.secret)
        clock.advance(SECOND - TICK)
        before = await ask_with(client, issued.secret)
        clock.advance(TICK)

        assert (first, before, await ask_with(client, issued.secret)) == (403, 403, 401)


@pytest.mark.parametrize(("early", "is_good"), [(TICK, True), (timedelta(0), False)])
async def test_a_process_that_has_not_seen_a_key_before_knows_when_it_expires(
    early: timedelta, is_good: bool, shop: Shop, clock: ManualClock
) -> None:
    issued = await shop.app.state.api_keys.issue("walk", KeyOwner("w"), lifetime=SECOND)
    elsewhere = ApiKeys(shop.app.state.database, settings=KEYS, clock=clock)

    clock.advance(SECOND - early)

    with nullcontext() if is_good else pytest.raises(InvalidApiKeyError):
        await elsewhere.authenticate(issued.secret.get_secret_value())


async def test_a_key_that_was_exchanged_is_good_for_a_day(shop: Shop, clock: ManualClock) -> None:
    keys: ApiKeys = shop.app.state.api_keys
    old = await keys.issue("walk", KeyOwner("w"))
    new = await keys.rotate(old.record.id)
    async with shop.browser() as client:
        clock.advance(OVERLAP - TICK)
        before = await ask_with(client, old.secret)
        clock.advance(TICK)

        assert (before, await ask_with(client, old.secret)) == (403, 401)
        assert await ask_with(client, new.secret) == 403


async def test_a_key_that_another_process_has_revoked_is_good_while_it_is_believed(
    shop: Shop, clock: ManualClock
) -> None:
    issued = await shop.app.state.api_keys.issue("walk", KeyOwner("w"))
    elsewhere = ApiKeys(shop.app.state.database, settings=KEYS, clock=clock)
    async with shop.browser() as client:
        await ask_with(client, issued.secret)
        await elsewhere.revoke(issued.record.id)
        clock.advance(KEYS.cache_max_age - TICK)
        before = await ask_with(client, issued.secret)
        clock.advance(TICK)

        assert (before, await ask_with(client, issued.secret)) == (403, 401)
