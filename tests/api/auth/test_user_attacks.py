import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column
from starlette.requests import HTTPConnection

from fastapi_baseline import ConfigurationError, Settings, create_app
from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.route_decisions import find_undecided
from fastapi_baseline.auth.users import (
    Letter,
    UserRecord,
)
from fastapi_baseline.auth.users.models import OneTimeToken
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.auth.users.schemas import Registration, UserRead
from fastapi_baseline.auth.users.second_factor_models import RecoveryCode, SecondFactor
from fastapi_baseline.auth.users.self_service import SelfService
from fastapi_baseline.persistence import Base, Database, Timestamps, UUIDPrimaryKey
from fastapi_baseline.settings import AuthSettings, Environment, SessionSettings, UserSettings
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.principals import as_user
from tests.api.auth.user_service import (
    CountingHasher,
    Post,
    UserService,
    record_events,
    running_with,
)

ORIGIN = "https://shop.example.com"
HEADERS = {"X-Requested-With": "shop", "Sec-Fetch-Site": "same-origin"}
PUBLIC = (
    "/register",
    "/verify-email",
    "/verify-email/resend",
    "/sign-in",
    "/sign-in/second-factor",
    "/password/forgot",
    "/password/reset",
)
ANN = "ann@example.com"
PASSWORD = "correct horse battery staple"
KEY = "a-secret-of-32-characters-or-more"
STEP = timedelta(seconds=30)
_LINK = re.compile(r"https?://\S+")


class Shopper(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of the shop."""

    nickname: Mapped[str | None] = mapped_column(default=None)
    is_admin: Mapped[bool] = mapped_column(default=False)


class Browser:
    """Somebody's browser, with its cookies, at a network address."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, json: Any = None, **headers: str) -> Response:
        return await self.client.post(f"/auth{path}", json=json, headers=headers)

    async def get(self, path: str) -> Response:
        return await self.client.get(f"/auth{path}")

    async def sign_in(self, password: str = PASSWORD, *, email: str = ANN, **more: str) -> Response:
        return await self.post("/sign-in", {"email": email, "password": password, **more})

    async def is_signed_in(self) -> bool:
        return (await self.get("/me")).status_code == 200


class Shop(UserService):
    """The running shop."""

    async def browser(self, address: str = "192.0.2.1", **headers: str) -> Browser:
        """Return a new browser."""
        transport = ASGITransport(
            app=self.app, client=(address, 50_000), raise_app_exceptions=False
        )
        client = AsyncClient(transport=transport, base_url=ORIGIN, headers={**HEADERS, **headers})
        return Browser(await self.stack.enter_async_context(client))

    async def letters_to(self, email: str = ANN) -> list[Letter]:
        """Return the letters that have been sent to an address."""
        await self.app.state.users.services.outbox.drain()
        return [letter for letter in self.post.letters if letter.to == email]

    async def last_link(self, email: str = ANN) -> str:
        """Return the link of the last letter to an address."""
        match = _LINK.search((await self.letters_to(email))[-1].text)
        assert match is not None
        return match.group()

    async def last_token(self, email: str = ANN) -> str:
        """Return what the link of the last letter proves."""
        return re.split(r"[=#/]", await self.last_link(email))[-1]

    async def add_user(
        self, email: str = ANN, *, password: str = PASSWORD, roles: tuple[str, ...] = ()
    ) -> str:
        """Add a user with a verified address, and return the subject."""
        users = self.app.state.users
        user = await users.invite(email, roles=roles)
        await users.reset_password(await self.last_token(email), password)
        return str(user.id)

    async def signed_in(self, email: str = ANN, *, address: str = "192.0.2.1") -> Browser:
        """Return a browser of a user who has signed in."""
        browser = await self.browser(address)
        response = await browser.sign_in(email=email)
        assert response.json() == {"status": "signed_in"}, response.text
        return browser

    async def with_second_factor(self, browser: Browser) -> tuple[str, list[str]]:
        """Give the user of a browser a second factor; return its secret and recovery codes."""
        started = await browser.post("/second-factor", {"password": PASSWORD})
        secret = started.json()["secret"]
        confirmed = await browser.post("/second-factor/confirm", {"code": self.code_of(secret)})
        assert confirmed.status_code == 200, confirmed.text
        self.clock.advance(STEP)
        return secret, confirmed.json()["recovery_codes"]

    async def count_sessions(self, subject: str) -> int:
        """Return how many sessions a user has."""
        return len(await self.app.state.sessions.list(SELF, subject))


@asynccontextmanager
async def open_shop(
    database_url: str,
    redis_url: str | None = None,
    *,
    environment: Environment = "test",
    router: dict[str, Any] | None = None,
    sessions: SessionSettings | None = None,
    secrets: tuple[str, ...] = (KEY,),
) -> AsyncGenerator[Shop]:
    """Open a shop with an empty database."""
    settings = Settings(
        environment=environment,
        service_name="shop",
        database_url=SecretStr(database_url),
        redis_url=None if redis_url is None else SecretStr(redis_url),
        auth=AuthSettings(
            sessions=sessions or SessionSettings(enabled=True),
            # Whatever a test takes comes back so slowly that it makes no difference: Redis has a
            # clock of its own.
            users=UserSettings(
                registration="open",
                page_url=ORIGIN,
                sign_ins_per_address=("30/day",),
                sign_ins_per_account=("10/day",),
            ),
            secret_keys=tuple(SecretStr(secret) for secret in secrets),
        ),
    )
    post, hasher = Post(), CountingHasher()
    app = create_app(settings, clock=ManualClock(), configure_logging=False)
    events = record_events(app)
    options: dict[str, Any] = {"mail": post, "hasher": hasher, **(router or {})}
    app.include_router(make_users_router(Shopper, **options))
    async with running_with(Shopper, app):
        shop = Shop(app, post=post, events=events, hasher=hasher)
        async with shop.stack:
            yield shop


@pytest.fixture(params=["sqlite", "postgresql and redis"])
def backends(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str | None]:
    """Give the URLs of a database and of Redis, if there is one; each is tried, with the other."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}", None
    return request.getfixturevalue("postgres_url"), request.getfixturevalue("redis_url")


@pytest.fixture
def database_url(backends: tuple[str, str | None]) -> str:
    return backends[0]


@pytest.fixture
def redis(backends: tuple[str, str | None]) -> str | None:
    return backends[1]


@pytest.fixture
async def shop(database_url: str, redis: str | None) -> AsyncGenerator[Shop]:
    async with open_shop(database_url, redis) as shop:
        yield shop


def told(response: Response) -> tuple[int, dict[str, Any], set[str]]:
    """Return what a client can tell from an answer, without what is another one each time."""
    body = response.json()
    for name in ("request_id", "instance"):
        body.pop(name, None)
    return response.status_code, body, set(response.headers)


async def work_of(shop: Shop, request: Awaitable[Response]) -> tuple[Response, int]:
    before = shop.hasher.count
    response = await request
    return response, shop.hasher.count - before


# S21: who has an account is not told, by anything.


async def test_s21_signing_in_tells_nothing_of_accounts(shop: Shop) -> None:
    await shop.add_user()
    await shop.add_user("disabled@example.com")
    disabled = await shop.app.state.users.find_by_email("disabled@example.com")
    await shop.app.state.users.disable(str(disabled.id))
    await (await shop.browser()).post(
        "/register", {"email": "unverified@example.com", "password": PASSWORD}
    )
    guesses = [
        (ANN, "a wrong password of some length"),
        ("nobody@example.com", PASSWORD),
        ("disabled@example.com", PASSWORD),
        ("unverified@example.com", PASSWORD),
        ("no address", PASSWORD),
    ]

    answers = [
        await work_of(shop, (await shop.browser()).sign_in(password, email=email))
        for email, password in guesses
    ]

    assert len({str(told(answer)) for answer, _ in answers}) == 1
    assert {work for _, work in answers} == {1}
    assert answers[0][0].status_code == 401
    assert answers[0][0].json()["code"] == "invalid_credentials"
    # A 401 says how (RFC 9110, section 15.5.2), and nothing that browsers ask their users for.
    assert answers[0][0].headers["www-authenticate"] == "Cookie"


@pytest.mark.parametrize("path", ["/register", "/password/forgot", "/verify-email/resend"])
async def test_s21_asking_for_a_letter_tells_nothing_of_accounts(shop: Shop, path: str) -> None:
    await shop.add_user()
    browser = await shop.browser()

    known = await work_of(shop, browser.post(path, {"email": ANN, "password": PASSWORD}))
    unknown = await work_of(
        shop, browser.post(path, {"email": "nobody@example.com", "password": PASSWORD})
    )

    assert told(known[0]) == told(unknown[0])
    assert known[0].status_code == 202
    assert known[1] == unknown[1]


async def test_s21_who_registers_an_address_that_is_taken_changes_nothing(shop: Shop) -> None:
    await shop.add_user()

    await (await shop.browser()).post("/register", {"email": ANN, "password": "another long one!"})

    assert (await shop.letters_to())[-1].subject == "You have an account at shop"
    assert (await (await shop.browser()).sign_in("another long one!")).status_code == 401
    assert (await (await shop.browser()).sign_in()).status_code == 200


async def test_s21_too_many_attempts_tell_nothing_of_accounts(shop: Shop) -> None:
    await shop.add_user()

    async def wear_out(email: str) -> tuple[int, Any]:
        last: Response | None = None
        for number in range(11):
            browser = await shop.browser(f"198.51.100.{number}")
            last = await browser.sign_in("a wrong password of some length", email=email)
        assert last is not None
        status, body, headers = told(last)
        return status, (body, headers)

    assert await wear_out(ANN) == await wear_out("nobody@example.com")


@pytest.mark.parametrize(
    ("address", "is_same"),
    [
        ("\u0430nn@example.com", False),
        ("ann@ex\u0430mple.com", False),
        ("\uff41nn@example.com", False),
        ("ann\u200b@example.com", False),
        ("ANN@EXAMPLE.COM", True),
        ("ann@\uff45xample.com", True),
    ],
    ids=["cyrillic", "cyrillic-domain", "wide", "invisible", "upper-case", "wide-domain"],
)
async def test_s21_addresses_that_look_alike_are_not_two_accounts(
    shop: Shop, address: str, is_same: bool
) -> None:
    await shop.add_user()
    theirs = {"email": address, "password": "the password of somebody else"}
    await (await shop.browser()).post("/register", theirs)

    other = await (await shop.browser()).post("/sign-in", theirs)
    own = await (await shop.browser()).sign_in(email=address)

    assert other.status_code == 401
    assert own.status_code == (200 if is_same else 401)


@pytest.mark.parametrize(
    "password",
    ["\0" * 20, "nul\0" + PASSWORD, "x" * 1025, "x" * 1_000_000, "\ufffe" * 20],
    ids=["nuls", "nul", "too-long", "megabyte", "noncharacters"],
)
async def test_s21_odd_passwords_are_refused_and_harm_nobody(shop: Shop, password: str) -> None:
    await shop.add_user()
    browser = await shop.browser()

    answer, work = await work_of(shop, browser.sign_in(password))

    assert answer.status_code in {401, 413, 422}
    assert work == (1 if len(password) < 1025 else 0)
    assert password[:100] not in answer.text


GARBAGE = [
    b'{"email": "ann@example.com", "password": "\\ud800 is no character at all"}',
    b'{"email": "\\ud800@example.com", "password": "correct horse battery staple"}',
    b'{"email": "ann\\u0000@example.com", "password": "correct horse battery staple"}',
    b'{"email": ["ann@example.com"], "password": {"$ne": 1}}',
    b"[]",
    b"{",
]


@pytest.mark.parametrize("path", ["/sign-in", "/register", "/password/forgot"])
async def test_s21_garbage_is_refused(shop: Shop, path: str) -> None:
    await shop.add_user()

    for number, body in enumerate(GARBAGE):
        browser = await shop.browser(f"198.51.100.{number}")
        answer = await browser.client.post(
            f"/auth{path}", content=body, headers={"Content-Type": "application/json"}
        )
        # Whoever asks for a letter is not told whether an address is one.
        allowed = {400, 401, 422} if path != "/password/forgot" else {202, 400, 422}
        assert answer.status_code in allowed, body


async def test_s21_every_character_of_a_password_counts(shop: Shop) -> None:
    long = "correct horse battery staple, " * 4
    await shop.add_user(password=long)

    cut = await (await shop.browser()).sign_in(long[:72])
    other = await (await shop.browser()).sign_in(long[:-1] + "!")
    right = await (await shop.browser()).sign_in(long)

    assert (cut.status_code, other.status_code, right.status_code) == (401, 401, 200)


async def test_s21_the_same_characters_in_another_form_are_the_same_password(shop: Shop) -> None:
    await shop.add_user(password="pa\u00dfwort mit \u00fcmlaut")

    answer = await (await shop.browser()).sign_in("pa\u00dfwort mit u\u0308mlaut")

    assert answer.status_code == 200


# S22: guesses are few, and lock nobody out.


async def guess(shop: Shop, times: int, *, email: str = ANN, **headers: str) -> list[int]:
    statuses: list[int] = []
    for number in range(times):
        browser = await shop.browser(f"198.51.100.{number}", **headers)
        statuses.append(
            (await browser.sign_in(f"guess number {number} of many", email=email)).status_code
        )
    return statuses


async def test_s22_an_account_has_ten_guesses_wherever_they_come_from(shop: Shop) -> None:
    await shop.add_user()
    before = shop.hasher.count

    statuses = await guess(shop, 20)

    assert statuses == [401] * 10 + [429] * 10
    # What is too much is refused before it costs anything.
    assert shop.hasher.count - before == 10


async def test_s22_who_is_refused_is_told_when_to_come_back(shop: Shop) -> None:
    await guess(shop, 10)

    answer = await (await shop.browser()).sign_in()

    assert answer.status_code == 429
    assert answer.json()["code"] == "too_many_attempts"
    assert 0 < int(answer.headers["retry-after"]) <= 24 * 60 * 60 / 10


async def test_s22_an_address_cannot_try_one_password_with_many_accounts(shop: Shop) -> None:
    browser = await shop.browser("198.51.100.1")

    statuses = [
        (
            await browser.sign_in("summer of twenty twenty six", email=f"u{n}@example.com")
        ).status_code
        for n in range(40)
    ]

    assert statuses[:30] == [401] * 30
    assert set(statuses[30:]) == {429}


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"])
async def test_s22_a_header_gives_nobody_another_address(shop: Shop, header: str) -> None:
    statuses: list[int] = []
    for number in range(35):
        address = f"203.0.113.{number}"
        value = f"for={address}" if header == "Forwarded" else address
        browser = await shop.browser("198.51.100.1", **{header: value})
        answer = await browser.sign_in("a wrong password here", email=f"u{number}@example.com")
        statuses.append(answer.status_code)

    assert statuses[30:] == [429] * 5


async def test_s22_success_does_not_pay_for_guesses(shop: Shop) -> None:
    await shop.add_user()
    await guess(shop, 9)

    right = await (await shop.browser("203.0.113.1")).sign_in()
    last = await guess(shop, 3)

    assert right.status_code == 200
    assert last == [401, 429, 429]


async def test_s22_the_owner_is_not_locked_out_by_guesses(shop: Shop) -> None:
    await shop.add_user()
    known = await shop.signed_in(address="203.0.113.9")
    await known.client.get("/auth/me")
    await guess(shop, 15)

    stranger = await (await shop.browser("203.0.113.10")).sign_in()
    owner = await known.sign_in()

    assert stranger.status_code == 429
    assert owner.status_code == 200
    # Also through the address that the guesses come from.
    known_elsewhere = await shop.browser("198.51.100.1")
    known_elsewhere.client.cookies = known.client.cookies
    assert (await known_elsewhere.sign_in()).status_code == 200


async def test_s22_the_owner_gets_in_by_a_letter_in_spite_of_guesses(shop: Shop) -> None:
    await shop.add_user()
    await guess(shop, 15)
    owner = await shop.browser("203.0.113.9")

    before = await owner.sign_in()
    await owner.post("/password/forgot", {"email": ANN})
    body = {"token": await shop.last_token(), "password": "a new password of Ann"}
    reset = await owner.post("/password/reset", body)
    after = await owner.sign_in("a new password of Ann")
    stranger = await (await shop.browser("203.0.113.10")).sign_in("a new password of Ann")

    assert (before.status_code, after.status_code, stranger.status_code) == (429, 200, 429)
    # The link makes the browser known, and signs nobody in.
    assert [cookie.partition("=")[0] for cookie in reset.headers.get_list("set-cookie")] == [
        "__Host-device"
    ]


async def test_s22_a_device_of_one_account_is_a_stranger_to_others(shop: Shop) -> None:
    await shop.add_user()
    await shop.add_user("mallory@example.com")
    mallory = await shop.signed_in("mallory@example.com", address="198.51.100.7")

    statuses = [(await mallory.sign_in("a wrong password here")).status_code for _ in range(12)]

    assert statuses == [401] * 10 + [429] * 2


async def test_s22_a_known_device_is_limited_too(shop: Shop) -> None:
    await shop.add_user()
    device = await shop.signed_in()

    statuses = [(await device.sign_in("a wrong password here")).status_code for _ in range(12)]
    another = await shop.signed_in(address="203.0.113.9")

    assert statuses == [401] * 10 + [429] * 2
    assert await another.is_signed_in()


async def test_s22_a_made_up_device_is_none(shop: Shop) -> None:
    await shop.add_user()
    await guess(shop, 10)

    browser = await shop.browser("203.0.113.9", Cookie="__Host-device=AAAA.6955b900.AAAAAAAA")

    assert (await browser.sign_in()).status_code == 429


async def test_s22_guesses_at_the_same_time_are_counted(shop: Shop) -> None:
    await shop.add_user()
    browsers = [await shop.browser(f"198.51.100.{number}") for number in range(30)]

    answers = await asyncio.gather(*(one.sign_in("a wrong password here") for one in browsers))

    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 20


async def test_s22_who_was_not_looked_at_has_lost_nothing(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.signed_in()
    body = {"current_password": PASSWORD, "new_password": "another long password"}

    shop.hasher.is_busy = True
    answers = [
        *[await (await shop.browser(f"192.0.2.{n}")).sign_in() for n in range(12)],
        *[await browser.post("/password", body) for _ in range(12)],
        *[await browser.post("/second-factor", {"password": PASSWORD}) for _ in range(12)],
    ]
    shop.hasher.is_busy = False

    assert {answer.status_code for answer in answers} == {503}
    assert (await (await shop.browser()).sign_in()).status_code == 200
    assert (await browser.post("/password", body)).status_code == 204


async def test_s22_codes_of_the_second_factor_are_few(shop: Shop) -> None:
    await shop.add_user()
    secret, _ = await shop.with_second_factor(await shop.signed_in())
    thief = await shop.browser("198.51.100.1")
    await thief.sign_in()

    statuses = [
        (await thief.post("/sign-in/second-factor", {"code": f"{n:06}"})).status_code
        for n in range(12)
    ]

    assert statuses == [401] * 10 + [429] * 2
    again = await thief.sign_in(code=shop.code_of(secret))
    assert again.status_code == 429


async def test_s22_passwords_that_a_session_is_asked_for_are_few(shop: Shop) -> None:
    await shop.add_user()
    thief, owner = await shop.signed_in(), await shop.signed_in()
    body = {"current_password": "a wrong password here", "new_password": "mallory was here 2026"}

    statuses = [(await thief.post("/password", body)).status_code for _ in range(12)]
    other = await owner.post("/password", {**body, "current_password": PASSWORD})

    assert statuses == [401] * 10 + [429] * 2
    assert other.status_code == 204


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/register", 3), ("/password/forgot", 3), ("/verify-email/resend", 2)],
    ids=["register", "forgot", "resend"],
)
async def test_s22_letters_are_few(shop: Shop, path: str, allowed: int) -> None:
    body = {"email": ANN, "password": PASSWORD}
    if path == "/verify-email/resend":
        await (await shop.browser()).post("/register", body)
    else:
        await shop.add_user()
    before = len(await shop.letters_to())

    browsers = [await shop.browser(f"198.51.100.{number}") for number in range(10)]
    statuses = [(await browser.post(path, body)).status_code for browser in browsers]

    assert statuses == [202] * 10
    assert len(await shop.letters_to()) - before == allowed


async def test_s22_an_address_asks_for_few_letters(shop: Shop) -> None:
    browser = await shop.browser()

    statuses = [
        (await browser.post("/password/forgot", {"email": f"u{n}@example.com"})).status_code
        for n in range(22)
    ]

    assert statuses == [202] * 20 + [429] * 2


async def test_s22_guesses_are_counted_while_redis_is_away(database_url: str) -> None:
    settings = SessionSettings(enabled=True, store="database")
    async with open_shop(database_url, "redis://127.0.0.1:1", sessions=settings) as shop:
        await shop.add_user()
        known = await shop.signed_in(address="203.0.113.9")

        statuses = await guess(shop, 12)

        assert statuses == [401] * 10 + [429] * 2
        assert (await known.sign_in()).status_code == 200


# S23: links are good once, for a while, for one account and one purpose.


async def test_s23_a_link_is_good_once(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.browser()
    await browser.post("/password/forgot", {"email": ANN})
    token = await shop.last_token()

    first = await browser.post(
        "/password/reset", {"token": token, "password": "first new one 2026"}
    )
    second = await browser.post(
        "/password/reset", {"token": token, "password": "second new one 26"}
    )

    assert (first.status_code, second.status_code) == (200, 400)
    assert second.json()["code"] == "invalid_link"
    assert (await browser.sign_in("first new one 2026")).status_code == 200


async def test_s23_of_many_uses_at_the_same_time_one_counts(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.browser()
    await browser.post("/password/forgot", {"email": ANN})
    token = await shop.last_token()

    answers = await asyncio.gather(
        *(
            browser.post("/password/reset", {"token": token, "password": f"new one {n} of many"})
            for n in range(8)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


@pytest.mark.parametrize(
    ("asked", "used", "lifetime"),
    [
        ("/password/forgot", "/password/reset", timedelta(minutes=30)),
        ("/verify-email/resend", "/verify-email", timedelta(hours=24)),
    ],
    ids=["reset", "verify"],
)
@pytest.mark.parametrize("is_late", [False, True], ids=["in-time", "late"])
async def test_s23_a_link_expires_to_the_microsecond(
    shop: Shop, asked: str, used: str, lifetime: timedelta, is_late: bool
) -> None:
    browser = await shop.browser()
    await browser.post("/register", {"email": ANN, "password": PASSWORD})
    await browser.post(asked, {"email": ANN})
    token = await shop.last_token()

    shop.clock.advance(lifetime if is_late else lifetime - timedelta(microseconds=1))
    answer = await browser.post(used, {"token": token, "password": "a new password of Ann"})

    assert answer.status_code == (400 if is_late else 200)


async def test_s23_a_link_is_for_the_account_that_it_was_sent_to(shop: Shop) -> None:
    await shop.add_user()
    await shop.add_user("otto@example.com")
    browser = await shop.browser()
    await browser.post("/password/forgot", {"email": "otto@example.com"})
    token = await shop.last_token("otto@example.com")

    await browser.post(
        "/password/reset", {"token": token, "password": "a new one of otto", "email": ANN}
    )

    assert (await browser.sign_in()).status_code == 200
    assert (await browser.sign_in("a new one of otto", email="otto@example.com")).status_code == 200


async def test_s23_a_link_is_for_the_purpose_that_it_was_sent_for(shop: Shop) -> None:
    browser = await shop.browser()
    await browser.post("/register", {"email": ANN, "password": PASSWORD})
    verify = await shop.last_token()
    await browser.post("/password/forgot", {"email": ANN})
    reset = await shop.last_token()

    first = await browser.post("/password/reset", {"token": verify, "password": "a new one 2026!"})
    second = await browser.post("/verify-email", {"token": reset})

    assert (first.status_code, second.status_code) == (400, 400)


@pytest.mark.parametrize("change", ["password", "address", "newer link"])
async def test_s23_a_link_dies_when_the_account_changes(shop: Shop, change: str) -> None:
    await shop.add_user()
    owner = await shop.signed_in()
    await owner.post("/password/forgot", {"email": ANN})
    token = await shop.last_token()

    if change == "password":
        body = {"current_password": PASSWORD, "new_password": "another long password"}
        assert (await owner.post("/password", body)).status_code == 204
    elif change == "address":
        async with shop.app.state.database.transaction() as session:
            user = await session.scalar(select(Shopper).where(Shopper.email == ANN))
            assert user is not None
            user.email = "ann@new.example"
    else:
        await owner.post("/password/forgot", {"email": ANN})
        newer = await shop.last_token()
        await owner.post("/password/reset", {"token": newer, "password": "the newest password"})
    answer = await owner.post("/password/reset", {"token": token, "password": "mallory was here"})

    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/verify-email", "/password/reset"])
async def test_s23_what_is_no_link_is_refused(shop: Shop, path: str) -> None:
    browser = await shop.browser()

    for token in ("", "x", "x" * 256, "x" * 257, "\0", "\u00e9" * 43, "' OR 1=1 --"):
        answer = await browser.post(path, {"token": token, "password": "a long enough password"})
        assert answer.status_code in {400, 422}, token


async def test_s23_a_request_does_not_choose_where_a_link_leads(shop: Shop) -> None:
    await shop.add_user()
    headers = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example;proto=http",
        "Referer": "https://evil.example/",
    }

    browser = await shop.browser(**headers)
    answer = await browser.post("/password/forgot", {"email": ANN})

    assert answer.status_code == 202
    assert (await shop.last_link()).startswith(f"{ORIGIN}/")
    assert "evil" not in (await shop.letters_to())[-1].text


async def test_s23_a_link_proves_nothing_in_the_database(shop: Shop) -> None:
    await shop.add_user()
    await (await shop.browser()).post("/password/forgot", {"email": ANN})
    token = await shop.last_token()

    async with shop.app.state.database.read_transaction() as session:
        rows = (await session.scalars(select(OneTimeToken))).all()

    assert rows
    assert all(token not in f"{row.digest} {row.bound_to} {row.subject}" for row in rows)


async def test_s23_an_address_that_was_not_verified_does_not_sign_in(shop: Shop) -> None:
    browser = await shop.browser()
    await browser.post("/register", {"email": ANN, "password": PASSWORD})

    before = await browser.sign_in()
    await browser.post("/verify-email", {"token": await shop.last_token()})
    after = await browser.sign_in()

    assert (before.status_code, after.status_code) == (401, 200)


# S24: nobody gives themselves anything.

GREEDY = {
    "id": "00000000-0000-0000-0000-000000000001",
    "roles": ["admin"],
    "is_admin": True,
    "is_superuser": True,
    "email_verified_at": "2020-01-01T00:00:00Z",
    "email_verified": True,
    "disabled_at": None,
    "failed_attempts": -1000,
    "password_hash": "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
}


async def test_s24_who_registers_gets_no_more_than_others(shop: Shop) -> None:
    browser = await shop.browser()

    answer = await browser.post("/register", {**GREEDY, "email": ANN, "password": PASSWORD})

    user = await shop.app.state.users.find_by_email(ANN)
    assert answer.status_code == 202
    assert (user.roles, user.is_admin, user.email_verified_at) == ([], False, None)
    assert user.failed_attempts == 0
    assert str(user.id) != GREEDY["id"]
    assert (await browser.sign_in()).status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/password", {"current_password": PASSWORD, "new_password": "another long password"}),
        ("/second-factor", {"password": PASSWORD}),
    ],
    ids=["password", "second-factor"],
)
async def test_s24_who_changes_something_changes_nothing_else(
    shop: Shop, path: str, body: dict[str, str]
) -> None:
    await shop.add_user()
    browser = await shop.signed_in()

    answer = await browser.post(path, {**GREEDY, **body})

    me = (await browser.get("/me")).json()
    assert answer.is_success
    assert (me["email"], me["roles"], me["disabled_at"]) == (ANN, [], None)


async def test_s24_a_link_gives_no_roles(shop: Shop) -> None:
    browser = await shop.browser()
    await browser.post("/register", {"email": ANN, "password": PASSWORD})

    await browser.post("/verify-email", {**GREEDY, "token": await shop.last_token()})

    assert (await shop.app.state.users.find_by_email(ANN)).roles == []


class NicknameRegistration(Registration):
    nickname: Annotated[str, Field(max_length=20)]


class Profile(BaseModel):
    nickname: str | None = None


class GreedyProfile(BaseModel):
    nickname: str | None = None
    email: str | None = None


class GreedyRegistration(Registration):
    roles: list[str]


class UnknownRegistration(Registration):
    shoe_size: int


class ShopperRead(UserRead):
    nickname: str | None


async def test_s24_a_service_asks_for_columns_of_its_own(database_url: str) -> None:
    router = {"registration": NicknameRegistration, "read": ShopperRead}
    async with open_shop(database_url, router=router) as shop:
        browser = await shop.browser()
        without = await browser.post("/register", {"email": ANN, "password": PASSWORD})
        body = {"email": ANN, "password": PASSWORD, "nickname": "Annie", "is_admin": True}
        await browser.post("/register", body)
        await browser.post("/verify-email", {"token": await shop.last_token()})
        await browser.sign_in()

        assert without.status_code == 422
        assert (await browser.get("/me")).json()["nickname"] == "Annie"
        assert not (await shop.app.state.users.find_by_email(ANN)).is_admin


@pytest.mark.parametrize("form", [GreedyRegistration, UnknownRegistration])
def test_s24_a_service_cannot_ask_for_what_it_decides_itself(form: type[Registration]) -> None:
    with pytest.raises(ConfigurationError, match=r"roles|shoe_size"):
        make_users_router(Shopper, registration=form)


async def test_s24_who_changes_their_profile_changes_nothing_else(database_url: str) -> None:
    async with open_shop(database_url, router={"profile": Profile, "read": ShopperRead}) as shop:
        await shop.add_user()
        browser, nobody = await shop.signed_in(), await shop.browser()
        body = {**GREEDY, "email": "mallory@example.com", "nickname": "Annie"}

        changed = await browser.client.patch("/auth/me", json=body)
        kept = await browser.client.patch("/auth/me", json={"is_admin": True})
        refused = await nobody.client.patch("/auth/me", json=body)

        me = (await browser.get("/me")).json()
        user = await shop.app.state.users.find_by_email(ANN)
        assert changed.json() == kept.json() == me
        assert (me["nickname"], me["email"], me["roles"]) == ("Annie", ANN, [])
        assert not user.is_admin
        assert refused.status_code == 401


def test_s24_users_cannot_be_let_change_what_the_service_decides() -> None:
    with pytest.raises(ConfigurationError, match=r"GreedyProfile.*email"):
        make_users_router(Shopper, profile=GreedyProfile)


# S25: who is disabled or deleted is out at once.


@pytest.mark.parametrize("end", ["disable", "delete"])
async def test_s25_who_is_disabled_or_deleted_is_out_at_once(shop: Shop, end: str) -> None:
    subject = await shop.add_user()
    await shop.add_user("admin@example.com", roles=("admin",))
    first, second = await shop.signed_in(), await shop.signed_in(address="192.0.2.2")
    await first.post("/password/forgot", {"email": ANN})
    token = await shop.last_token()
    admin = await shop.signed_in("admin@example.com")

    if end == "disable":
        answer = await admin.post(f"/users/{subject}/disable")
    else:
        answer = await admin.client.delete(f"/auth/users/{subject}")

    assert answer.is_success
    assert not await first.is_signed_in()
    assert not await second.is_signed_in()
    assert await shop.count_sessions(subject) == 0
    assert (await first.sign_in()).status_code == 401
    reset = await first.post("/password/reset", {"token": token, "password": "a way back in 2026"})
    assert reset.status_code == 400
    assert await admin.is_signed_in()


@pytest.mark.parametrize("end", ["disable", "delete"])
async def test_s25_who_is_disabled_while_signing_in_stays_out(shop: Shop, end: str) -> None:
    subject = await shop.add_user()
    secret, _ = await shop.with_second_factor(await shop.signed_in())
    browser = await shop.browser()
    await browser.sign_in()

    await getattr(shop.app.state.users, end)(subject)
    answer = await browser.post("/sign-in/second-factor", {"code": shop.code_of(secret)})

    assert answer.status_code == 401
    assert await shop.count_sessions(subject) == 0


async def test_s25_a_session_that_begins_while_the_password_changes_ends(shop: Shop) -> None:
    subject = await shop.add_user()
    sessions = shop.app.state.sessions
    start = sessions.start

    async def start_late(*args: Any) -> Any:
        principal = await start(*args)
        # As if another request had committed between the check and the session.
        async with shop.app.state.database.transaction() as session:
            user = await session.scalar(select(Shopper).where(Shopper.email == ANN))
            assert user is not None
            user.password_changed_at = shop.clock.now() + timedelta(seconds=1)
        return principal

    sessions.start = start_late
    answer = await (await shop.browser()).sign_in()

    assert answer.status_code == 401
    assert await shop.count_sessions(subject) == 0


async def test_s25_who_is_enabled_again_signs_in_again(shop: Shop) -> None:
    subject = await shop.add_user()
    await shop.add_user("admin@example.com", roles=("admin",))
    browser = await shop.signed_in()
    admin = await shop.signed_in("admin@example.com")

    await admin.post(f"/users/{subject}/disable")
    await admin.post(f"/users/{subject}/enable")

    assert not await browser.is_signed_in()
    assert (await browser.sign_in()).status_code == 200


async def test_s25_who_deletes_their_account_leaves_nothing(shop: Shop) -> None:
    subject = await shop.add_user()
    browser = await shop.signed_in()
    await shop.with_second_factor(browser)
    other = await shop.browser()

    answer = await browser.client.delete("/auth/me")

    assert answer.status_code == 204
    assert await shop.count_sessions(subject) == 0
    assert (await other.sign_in()).status_code == 401
    async with shop.app.state.database.read_transaction() as session:
        tokens = (await session.scalars(select(OneTimeToken))).all()
        rest = [
            row
            for model in (Shopper, SecondFactor, RecoveryCode)
            for row in await session.scalars(select(model))
        ]
    assert subject not in {token.subject for token in tokens}
    assert rest == []


async def test_s25_an_account_is_deleted_by_who_has_just_signed_in(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.signed_in()

    shop.clock.advance(timedelta(minutes=10, microseconds=1))
    late = await browser.client.delete("/auth/me")
    await browser.sign_in()
    again = await browser.client.delete("/auth/me")

    assert (late.status_code, again.status_code) == (401, 204)
    assert late.json()["code"] == "insufficient_user_authentication"


@pytest.mark.parametrize("path", ["/password", "/second-factor/confirm"])
async def test_s25_what_changes_who_gets_in_ends_the_other_sessions(shop: Shop, path: str) -> None:
    await shop.add_user()
    browser, other = await shop.signed_in(), await shop.signed_in(address="192.0.2.2")
    before = browser.client.cookies["__Host-session"]

    if path == "/password":
        body = {"current_password": PASSWORD, "new_password": "another long password"}
        await browser.post(path, body)
    else:
        await shop.with_second_factor(browser)

    thief = await shop.browser(Cookie=f"__Host-session={before}")
    assert await browser.is_signed_in()
    assert not await other.is_signed_in()
    # The cookie from before is worth nothing either.
    assert not await thief.is_signed_in()


# S26: administrators choose no passwords, and nothing is there by default.


async def test_s26_no_route_of_administrators_takes_a_password(shop: Shop) -> None:
    document = (await (await shop.browser()).client.get("/openapi.json")).json()
    bodies = {
        path: str(operation.get("requestBody", "")) + str(operation.get("parameters", ""))
        for path, operations in document["paths"].items()
        if path.startswith("/auth/users")
        for operation in operations.values()
    }
    fields = {
        name
        for schema in ("Invitation", "RoleList")
        for name in document["components"]["schemas"][schema]["properties"]
    }

    assert len(bodies) >= 5
    assert not any("password" in body.lower() for body in bodies.values())
    assert fields == {"email", "roles"}


async def test_s26_an_administrator_cannot_set_a_password(shop: Shop) -> None:
    subject = await shop.add_user()
    await shop.add_user("admin@example.com", roles=("admin",))
    admin = await shop.signed_in("admin@example.com")
    body: dict[str, Any] = {
        "password": "chosen by the admin",
        "new_password": "chosen by the admin",
        "roles": [],
    }

    for method, path in (
        ("PATCH", f"/auth/users/{subject}"),
        ("PUT", f"/auth/users/{subject}"),
        ("POST", f"/auth/users/{subject}/password"),
        ("PUT", f"/auth/users/{subject}/roles"),
        ("POST", f"/auth/users/{subject}/enable"),
    ):
        await admin.client.request(method, path, json=body)
    await admin.post("/users", {"email": "new@example.com", "password": "chosen by the admin"})

    for email in (ANN, "new@example.com"):
        browser = await shop.browser()
        assert (await browser.sign_in("chosen by the admin", email=email)).status_code == 401
    assert (await (await shop.browser()).sign_in()).status_code == 200


async def test_s26_administration_is_for_administrators(shop: Shop) -> None:
    subject = await shop.add_user()
    user, nobody = await shop.signed_in(), await shop.browser()

    for who, status in ((user, 403), (nobody, 401)):
        assert (await who.get(f"/users/{subject}")).status_code == status
        assert (await who.post(f"/users/{subject}/disable")).status_code == status
        assert (await who.post(f"/users/{subject}/enable")).status_code == status
        assert (await who.post("/users", {"email": "x@example.com"})).status_code == status
        roles = await who.client.put(f"/auth/users/{subject}/roles", json={"roles": ["admin"]})
        assert roles.status_code == status
        assert (await who.client.delete(f"/auth/users/{subject}")).status_code == status


async def test_s26_who_is_invited_chooses_the_password(shop: Shop) -> None:
    await shop.add_user("admin@example.com", roles=("admin",))
    admin = await shop.signed_in("admin@example.com")

    invited = await admin.post("/users", {"email": ANN, "roles": ["editor"]})
    browser = await shop.browser()
    before = await browser.sign_in("")
    body = {"token": await shop.last_token(), "password": PASSWORD}
    await browser.post("/password/reset", body)
    after = await browser.sign_in()

    shown = await admin.get(f"/users/{invited.json()['id']}")

    assert (invited.status_code, before.status_code, after.status_code) == (201, 422, 200)
    assert shown.json()["email"] == ANN
    assert shown.json()["email_verified_at"] is not None
    assert "password_hash" not in shown.text
    assert (await browser.get("/me")).json()["roles"] == ["editor"]


async def test_s26_there_are_no_accounts_by_default(shop: Shop) -> None:
    async with shop.app.state.database.read_transaction() as session:
        assert (await session.scalars(select(Shopper))).all() == []


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize(
    ("secrets", "message"),
    [((), "AUTH__SECRET_KEYS is not set"), (("changeme",), "32 characters or more")],
    ids=["none", "short"],
)
async def test_s26_default_secrets_refuse_the_start(
    tmp_path: Path, environment: Environment, secrets: tuple[str, ...], message: str
) -> None:
    url = f"sqlite:///{tmp_path / 'shop.db'}"

    with pytest.raises(ConfigurationError, match=message):
        async with open_shop(url, environment=environment, secrets=secrets):
            raise AssertionError


async def test_s26_there_may_be_no_administration(database_url: str) -> None:
    async with open_shop(database_url, router={"admin_role": None}) as shop:
        paths = (await (await shop.browser()).client.get("/openapi.json")).json()["paths"]

        assert not any(path.startswith("/auth/users") for path in paths)


# The second factor, and what else belongs to signing in.


async def test_a_password_alone_does_not_sign_in_who_has_a_second_factor(shop: Shop) -> None:
    await shop.add_user()
    secret, _ = await shop.with_second_factor(await shop.signed_in())
    browser = await shop.browser()

    first = await browser.sign_in()
    between = await browser.is_signed_in()
    second = await browser.post("/sign-in/second-factor", {"code": shop.code_of(secret)})

    assert first.json() == {"status": "second_factor_required"}
    assert "__Host-session" not in first.cookies
    assert not between
    assert second.json() == {"status": "signed_in"}
    assert await browser.is_signed_in()


async def test_both_factors_can_be_said_at_once(shop: Shop) -> None:
    await shop.add_user()
    secret, _ = await shop.with_second_factor(await shop.signed_in())
    browser = await shop.browser()

    wrong = await browser.sign_in(code="000000")
    right = await browser.sign_in(code=shop.code_of(secret))

    assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong_code")
    assert wrong.headers["www-authenticate"] == "Cookie"
    assert right.json() == {"status": "signed_in"}


async def test_a_code_needs_the_browser_that_said_the_password(shop: Shop) -> None:
    await shop.add_user()
    secret, codes = await shop.with_second_factor(await shop.signed_in())
    await (await shop.browser()).sign_in()

    for code in (shop.code_of(secret), codes[0]):
        answer = await (await shop.browser()).post("/sign-in/second-factor", {"code": code})
        assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_expired")
        assert answer.headers["www-authenticate"] == "Cookie"


async def test_a_code_comes_within_five_minutes(shop: Shop) -> None:
    await shop.add_user()
    secret, _ = await shop.with_second_factor(await shop.signed_in())
    late, early = await shop.browser(), await shop.browser()
    await late.sign_in()
    shop.clock.advance(timedelta(microseconds=1))
    await early.sign_in()
    shop.clock.advance(timedelta(minutes=5) - timedelta(microseconds=1))

    too_late = await late.post("/sign-in/second-factor", {"code": shop.code_of(secret)})
    in_time = await early.post("/sign-in/second-factor", {"code": shop.code_of(secret)})

    assert (too_late.status_code, in_time.status_code) == (401, 200)


async def test_a_code_of_somebody_else_is_wrong(shop: Shop) -> None:
    await shop.add_user()
    await shop.add_user("mallory@example.com")
    await shop.with_second_factor(await shop.signed_in())
    secret, codes = await shop.with_second_factor(await shop.signed_in("mallory@example.com"))
    thief = await shop.browser()
    await thief.sign_in()

    for code in (shop.code_of(secret), codes[0]):
        answer = await thief.post("/sign-in/second-factor", {"code": code})
        assert answer.status_code == 401


async def test_a_code_is_good_once(shop: Shop) -> None:
    await shop.add_user()
    secret, codes = await shop.with_second_factor(await shop.signed_in())

    for code in (shop.code_of(secret), codes[0]):
        first = await (await shop.browser()).sign_in(code=code)
        second = await (await shop.browser()).sign_in(code=code)
        assert (first.status_code, second.status_code) == (200, 401)


async def test_the_owner_hears_of_a_recovery_code(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.signed_in()
    _, codes = await shop.with_second_factor(browser)

    await (await shop.browser()).sign_in(code=codes[0])

    assert (await shop.letters_to())[-1].subject == "A recovery code was used at shop"
    status = (await browser.get("/second-factor")).json()
    assert status == {"enabled": True, "recovery_codes_left": 9}
    assert "recovery_code_used" in shop.events.names


async def test_a_session_says_how_well_it_was_proved(shop: Shop) -> None:
    subject = await shop.add_user()
    browser = await shop.signed_in()
    sessions = shop.app.state.sessions
    (before,) = await sessions.list(SELF, subject)
    secret, _ = await shop.with_second_factor(browser)
    (after,) = await sessions.list(SELF, subject)
    await browser.sign_in(code=shop.code_of(secret))
    (fresh,) = await sessions.list(SELF, subject)

    assert (before.acr, before.amr) == ("aal1", frozenset({"pwd"}))
    assert (after.acr, after.amr) == ("aal2", frozenset({"pwd", "otp", "mfa"}))
    assert (fresh.acr, fresh.amr) == ("aal2", frozenset({"pwd", "otp", "mfa"}))
    assert fresh.auth_time == shop.clock.now()


async def test_a_second_factor_is_given_up_with_both_factors(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.signed_in()
    secret, _ = await shop.with_second_factor(browser)
    other = await shop.browser()
    await other.sign_in(code=shop.code_of(secret))
    shop.clock.advance(STEP)
    code = shop.code_of(secret)

    wrong = [
        await browser.post("/second-factor/disable", {"password": "wrong", "code": code}),
        await browser.post("/second-factor/disable", {"password": PASSWORD, "code": "000000"}),
        await browser.post("/second-factor/disable", {"password": PASSWORD}),
    ]
    right = await browser.post("/second-factor/disable", {"password": PASSWORD, "code": code})

    assert [answer.status_code for answer in wrong] == [401, 401, 422]
    assert right.status_code == 204
    assert not await other.is_signed_in()
    assert (await (await shop.browser()).sign_in()).json() == {"status": "signed_in"}
    subjects = [letter.subject for letter in await shop.letters_to()]
    assert subjects[-2:] == [
        "Your account at shop has a second factor now",
        "Your account at shop has no second factor any more",
    ]


async def test_a_short_password_needs_the_second_factor(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.signed_in()
    too_short = {"current_password": PASSWORD, "new_password": "tr0ub4dor&3"}
    before = await browser.post("/password", too_short)
    secret, _ = await shop.with_second_factor(browser)
    after = await browser.post("/password", too_short)

    body = {"password": "tr0ub4dor&3", "code": shop.code_of(secret)}
    answer = await browser.post("/second-factor/disable", body)

    assert (before.status_code, after.status_code) == (422, 204)
    assert (answer.status_code, answer.json()["code"]) == (409, "second_factor_needed")


async def test_recovery_codes_are_made_anew_with_both_factors(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.signed_in()
    secret, old = await shop.with_second_factor(browser)

    refused = await browser.post("/recovery-codes", {"password": PASSWORD, "code": "000000"})
    answer = await browser.post(
        "/recovery-codes", {"password": PASSWORD, "code": shop.code_of(secret)}
    )
    new = answer.json()["recovery_codes"]

    assert refused.status_code == 401
    assert len(set(new)) == 10
    assert (await (await shop.browser()).sign_in(code=old[0])).status_code == 401
    assert (await (await shop.browser()).sign_in(code=new[0])).status_code == 200


async def test_a_second_factor_is_begun_with_the_password(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.signed_in()

    refused = await browser.post("/second-factor", {"password": "a wrong password here"})
    nothing = await browser.post("/second-factor/confirm", {"code": "000000"})
    started = await browser.post("/second-factor", {"password": PASSWORD})

    assert (refused.status_code, nothing.status_code) == (401, 409)
    assert started.json()["uri"].startswith("otpauth://totp/shop:ann%40example.com?secret=")
    assert (await browser.get("/second-factor")).json()["enabled"] is False


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Requested-With": None},
        {"Sec-Fetch-Site": None},
        {"Sec-Fetch-Site": None, "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": None, "Origin": "null"},
    ],
    ids=["cross-site", "subdomain", "no-header", "no-site", "other-origin", "null-origin"],
)
async def test_another_site_signs_nobody_in(tmp_path: Path, headers: dict[str, str | None]) -> None:
    async with open_shop(f"sqlite:///{tmp_path / 'shop.db'}") as shop:
        await shop.add_user()
        browser = await shop.browser()
        for name, value in headers.items():
            browser.client.headers.pop(name, None)
            if value is not None:
                browser.client.headers[name] = value

        for path in PUBLIC:
            body = {"email": ANN, "password": PASSWORD, "code": "000000", "token": "x"}
            answer = await browser.post(path, body)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf_refused"), path
            assert "set-cookie" not in answer.headers
        assert shop.events.names.count("csrf_refused") == len(PUBLIC)


async def test_cookies_are_for_this_host_and_for_no_script(shop: Shop) -> None:
    await shop.add_user()
    browser = await shop.browser()

    answer = await browser.sign_in()

    cookies = answer.headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-session", "__Host-device"}
    for cookie in cookies:
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"secure", "httponly", "path=/"} <= attributes
        assert not any(part.startswith("domain") for part in attributes)
        assert ANN not in cookie
    assert answer.headers["cache-control"] == "no-store"


async def test_the_cookie_of_who_is_about_to_sign_in_is_for_this_host_only(shop: Shop) -> None:
    await shop.add_user()
    await shop.with_second_factor(await shop.signed_in())

    answer = await (await shop.browser()).sign_in()

    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-sign-in=")
    assert cookie.endswith("; HttpOnly; Max-Age=300; Path=/; SameSite=strict; Secure")


async def test_events_say_who_signed_in_and_by_what(shop: Shop) -> None:
    subject = await shop.add_user()
    shop.events.recorded.clear()

    browser = await shop.signed_in()
    await browser.sign_in("a wrong password here")
    await guess(shop, 11)

    signed_in = [event for event in shop.events.recorded if event.name == "sign_in"]
    assert [(event.subject, event.outcome) for event in signed_in] == [(subject, "success")]
    assert shop.events.names.count("sign_in_refused") == 11
    assert shop.events.names.count("throttled") == 1
    assert ANN not in str(shop.events.recorded)


@pytest.mark.parametrize("missing", ["database", "sessions"])
async def test_users_need_a_database_and_sessions(tmp_path: Path, missing: str) -> None:
    app = create_app(Settings(environment="test", service_name="shop"), configure_logging=False)
    if missing == "sessions":
        app.state.database = Database(f"sqlite:///{tmp_path / 'shop.db'}")
    app.include_router(make_users_router(Shopper))

    with pytest.raises(ConfigurationError, match="AUTH__SESSIONS__ENABLED"):
        async with app.router.lifespan_context(app):
            raise AssertionError


async def test_every_route_says_who_may_use_it(shop: Shop) -> None:
    assert find_undecided(shop.app) == []


async def test_who_comes_with_a_token_uses_other_routes(shop: Shop) -> None:
    subject = await shop.add_user()

    async with as_user(shop.app, subject) as client:
        answer = await client.get("/auth/me")

    assert (answer.status_code, answer.json()["code"]) == (403, "session_required")


async def test_a_route_without_users_says_what_is_missing() -> None:
    app = FastAPI()
    connection = HTTPConnection({"type": "http", "app": app, "headers": []})

    with pytest.raises(ConfigurationError, match="make_users_router"):
        SelfService.of(connection)
