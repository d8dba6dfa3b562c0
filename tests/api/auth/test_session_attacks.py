import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Form, Request, Response, UploadFile, WebSocket
from httpx2 import ASGITransport, AsyncClient
from httpx2 import Response as Answer
from sqlalchemy import Table, text
from starlette.types import Message, Scope

from fastapi_baseline import ConfigurationError, Settings, create_app
from fastapi_baseline.auth import CurrentPrincipal, OptionalPrincipal, Principal, public
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.sessions import (
    Sessions,
    SessionStore,
    make_form_token,
)
from fastapi_baseline.auth.sessions.database import DatabaseSessionStore
from fastapi_baseline.auth.sessions.models import AuthSession
from fastapi_baseline.auth.sessions.opening import make_sessions
from fastapi_baseline.auth.sessions.redis import RedisSessionStore
from fastapi_baseline.auth.sessions.routes import (
    make_sessions_router,
    require_own_page,
    require_session,
)
from fastapi_baseline.caching import cached
from fastapi_baseline.persistence import Database
from fastapi_baseline.redis import create_redis
from fastapi_baseline.settings import SessionSettings
from fastapi_baseline.testing import ManualClock, running

ORIGIN = "https://shop.example"
OWN_PAGE = {"Origin": ORIGIN, "X-Requested-With": "fetch", "Sec-Fetch-Site": "same-origin"}
COOKIE = "__Host-session"
MICROSECOND = timedelta(microseconds=1)
IDLE, LIFE = timedelta(minutes=30), timedelta(hours=12)
MADE_UP = "A" * 43


@dataclass
class Events:
    """Remembers what happened."""

    all: list[SecurityEvent] = field(default_factory=list[SecurityEvent])

    async def record(self, event: SecurityEvent) -> None:
        self.all.append(event)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.all]


@dataclass(kw_only=True)
class Shop:
    """A service with sessions, its clock, and what it said."""

    app: FastAPI
    clock: ManualClock
    events: Events
    done: list[str]

    @property
    def sessions(self) -> Sessions:
        sessions: Sessions = self.app.state.sessions
        return sessions

    @asynccontextmanager
    async def browser(self) -> AsyncGenerator[AsyncClient]:
        transport = ASGITransport(app=self.app)
        async with AsyncClient(transport=transport, base_url=ORIGIN) as client:
            yield client


def add_routes(app: FastAPI, done: list[str]) -> None:
    @app.post("/sign-in", dependencies=[Depends(require_own_page)])
    @public
    async def sign_in(request: Request, response: Response, subject: str = "anna") -> None:
        principal = Principal(
            issuer="self",
            subject=subject,
            transport="session",
            roles=frozenset({"staff"}),
            amr=frozenset({"pwd"}),
        )
        await Sessions.of(request).start(request, response, principal)

    @app.post("/step-up")
    async def step_up(request: Request, response: Response, asker: CurrentPrincipal) -> None:
        better = Principal(
            issuer=asker.issuer,
            subject=asker.subject,
            transport="session",
            roles=asker.roles | {"admin"},
            acr="2",
            amr=frozenset({"pwd", "otp"}),
        )
        await Sessions.of(request).rotate(request, response, better)

    @app.get("/me")
    async def me(asker: CurrentPrincipal) -> dict[str, Any]:
        return {"subject": asker.subject, "roles": sorted(asker.roles), "amr": sorted(asker.amr)}

    @app.api_route("/orders", methods=["POST", "PUT", "PATCH", "DELETE"])
    async def change_orders(asker: CurrentPrincipal) -> None:
        done.append(asker.subject)

    @app.api_route("/prices", methods=["GET", "POST"])
    @public
    async def list_prices(asker: OptionalPrincipal) -> str:
        return "nobody" if asker is None else asker.subject

    @app.get("/orders")
    async def list_orders(asker: CurrentPrincipal) -> list[str]:
        del asker
        return done

    @app.post("/form")
    async def take_form(asker: CurrentPrincipal, item: Annotated[str, Form()]) -> None:
        done.append(f"{asker.subject}: {item}")

    @app.post("/upload")
    async def take_file(asker: CurrentPrincipal, file: UploadFile) -> None:
        done.append(f"{asker.subject}: {len(await file.read())}")

    @app.websocket("/live")
    async def live(
        socket: WebSocket, asker: Annotated[Principal, Depends(require_session)]
    ) -> None:
        await socket.accept()
        await socket.send_text(asker.subject)
        await socket.close()


@asynccontextmanager
async def opened(kind: str, url: str, **settings: Any) -> AsyncGenerator[Shop]:
    clock, events, done = ManualClock(), Events(), list[str]()
    backend = {"memory": {}, "redis": {"redis_url": url}}.get(kind, {"database_url": url})
    app = create_app(
        Settings.model_validate(
            {
                "environment": "test",
                "cors_origins": ["https://ads.example"],
                "auth": {"sessions": {"enabled": True, **settings}},
                **backend,
            }
        ),
        configure_logging=False,
        clock=clock,
    )
    add_routes(app, done)
    app.include_router(make_sessions_router())
    app.state.sessions.events = events
    async with running(app, base_url=ORIGIN):
        if "database_url" in backend:
            table = AuthSession.__table__
            assert isinstance(table, Table)
            async with app.state.database.engine.begin() as connection:
                await connection.run_sync(table.create)
        yield Shop(app=app, clock=clock, events=events, done=done)


def get_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "memory":
        return ""
    if kind == "redis":
        url: str = request.getfixturevalue("redis_url")
        return url
    if kind == "sqlite":
        return f"sqlite:///{folder / 'sessions.db'}"
    postgres: str = request.getfixturevalue("postgres_url")
    return postgres.replace("postgresql://", f"postgresql+{kind}://", 1)


@pytest.fixture(params=["memory", "redis", "sqlite", "asyncpg"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Shop]:
    kind: str = request.param
    async with opened(kind, get_url(kind, request, tmp_path)) as shop:
        yield shop


@pytest.fixture
async def local() -> AsyncGenerator[Shop]:
    """Give a service for where nothing depends on the store."""
    async with opened("memory", "", trusted_origins=["https://admin.shop.example"]) as shop:
        yield shop


@pytest.fixture
async def anna(shop: Shop) -> AsyncGenerator[AsyncClient]:
    async with shop.browser() as browser:
        await sign_in(browser)
        yield browser


@pytest.fixture
async def page(local: Shop) -> AsyncGenerator[AsyncClient]:
    async with local.browser() as browser:
        await sign_in(browser)
        yield browser


async def sign_in(browser: AsyncClient, subject: str = "anna") -> Answer:
    answer = await browser.post("/sign-in", params={"subject": subject}, headers=OWN_PAGE)
    assert answer.status_code == 200
    return answer


def secret_of(browser: AsyncClient) -> str:
    return browser.cookies[COOKIE]


async def ask(browser: AsyncClient, secret: str, path: str = "/me") -> Answer:
    """Ask with another cookie than that of the browser."""
    browser.cookies.delete(COOKIE)
    try:
        return await browser.get(path, headers={"Cookie": f"{COOKIE}={secret}"})
    finally:
        browser.cookies.delete(COOKIE) if COOKIE in browser.cookies else None


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


# Attacks B11, session fixation


async def test_b11_a_cookie_that_was_set_before_is_not_taken_over(shop: Shop) -> None:
    async with shop.browser() as browser:
        browser.cookies.set(COOKIE, MADE_UP)

        answer = await browser.post("/sign-in", headers=OWN_PAGE)

        browser.cookies.clear()
        assert answer.cookies[COOKIE] != MADE_UP
        assert_refused(await ask(browser, MADE_UP), 401, "session_ended")


async def test_b11_the_session_of_an_attacker_ends_when_somebody_signs_in_over_it(
    shop: Shop,
) -> None:
    async with shop.browser() as attacker, shop.browser() as browser:
        await sign_in(attacker, "mallory")
        planted = secret_of(attacker)

        answer = await browser.post(
            "/sign-in", headers={**OWN_PAGE, "Cookie": f"{COOKIE}={planted}"}
        )

        assert answer.cookies[COOKIE] != planted
        assert_refused(await ask(attacker, planted), 401, "session_ended")
        assert (await ask(browser, answer.cookies[COOKIE])).json()["subject"] == "anna"


async def test_b11_signing_in_again_gives_a_new_secret_and_ends_the_old_one(
    shop: Shop, anna: AsyncClient
) -> None:
    old = secret_of(anna)

    await sign_in(anna)

    new = secret_of(anna)
    assert new != old
    assert_refused(await ask(anna, old), 401, "session_ended")
    assert len(await shop.sessions.list("self", "anna")) == 1


async def test_b11_whoever_may_do_more_gets_a_new_secret(shop: Shop, anna: AsyncClient) -> None:
    old, [before] = secret_of(anna), await shop.sessions.list("self", "anna")

    answer = await anna.post("/step-up", headers=OWN_PAGE)

    [after] = await shop.sessions.list("self", "anna")
    new = answer.cookies[COOKIE]
    assert new != old
    assert (after.id, after.expires_at) == (before.id, before.expires_at)
    assert_refused(await ask(anna, old), 401, "session_ended")
    assert (await ask(anna, new)).json() == {
        "subject": "anna",
        "roles": ["admin", "staff"],
        "amr": ["otp", "pwd"],
    }


async def test_b11_a_session_does_not_outlive_the_roles_that_it_was_begun_with(
    shop: Shop, anna: AsyncClient
) -> None:
    unchanged = await shop.sessions.update_roles("self", "anna", ["staff"])
    still = await anna.get("/me")
    ended = await shop.sessions.update_roles("self", "anna", ["staff", "admin"])

    assert (unchanged, still.status_code, ended) == (0, 200, 1)
    assert_refused(await anna.get("/me"), 401, "session_ended")


async def test_b11_two_cookies_are_none(page: AsyncClient) -> None:
    own = secret_of(page)
    page.cookies.clear()

    answers = [
        await page.get("/me", headers={"Cookie": f"{COOKIE}={MADE_UP}; a=b; {COOKIE}={own}"}),
        await page.get(
            "/me", headers=[("Cookie", f"{COOKIE}={own}"), ("Cookie", f"{COOKIE}={MADE_UP}")]
        ),
    ]

    for answer in answers:
        assert_refused(answer, 400, "ambiguous_session")


async def test_b11_a_cookie_without_the_prefix_is_no_session(page: AsyncClient) -> None:
    own = secret_of(page)
    page.cookies.clear()

    for name in (
        "session",
        "__Secure-session",
        "__host-session",
        "x__Host-session",
        "__Host-sessio",
    ):
        answer = await page.get("/me", headers={"Cookie": f"{name}={own}"})
        assert_refused(answer, 401, "unauthenticated")


@pytest.mark.parametrize(
    "value",
    ["", "x", MADE_UP, MADE_UP + "A", "../../etc/passwd", "'; DROP TABLE auth_session --", "%00"],
)
async def test_b11_a_cookie_that_nobody_was_given_lets_nobody_in(value: str, local: Shop) -> None:
    async with local.browser() as browser:
        answer = await ask(browser, value)

    assert_refused(answer, 401, "session_ended")
    assert answer.headers["www-authenticate"].startswith("Cookie")


async def test_b11_what_is_shown_of_a_session_does_not_let_anybody_in(
    shop: Shop, anna: AsyncClient
) -> None:
    [record] = await shop.sessions.list("self", "anna")

    assert_refused(await ask(anna, record.id), 401, "session_ended")


# Attacks B12, cookies


async def test_b12_the_cookie_has_all_flags_and_no_domain(shop: Shop) -> None:
    async with shop.browser() as browser:
        answer = await sign_in(browser)

    [cookie] = answer.headers.get_list("set-cookie")
    value, *flags = cookie.split("; ")
    assert re.fullmatch(r"__Host-session=[A-Za-z0-9_-]{43}", value)
    assert sorted(flags) == ["HttpOnly", "Path=/", "SameSite=lax", "Secure"]
    assert answer.headers["cache-control"] == "no-store"


async def test_b12_the_cookie_can_be_kept_from_links_of_other_sites() -> None:
    async with opened("memory", "", same_site="strict") as shop, shop.browser() as browser:
        answer = await sign_in(browser)

    assert "; SameSite=strict" in answer.headers["set-cookie"]


async def test_b12_no_answer_says_what_is_in_the_cookie(shop: Shop, anna: AsyncClient) -> None:
    secret = secret_of(anna)

    answers = [
        await anna.get("/auth/session"),
        await anna.get("/auth/sessions"),
        await anna.get("/me"),
        await anna.delete("/auth/sessions/unknown", headers=OWN_PAGE),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 404]
    for answer in answers:
        assert secret not in answer.text
        assert secret not in str(answer.headers)
    assert all(secret not in repr(event) for event in shop.events.all)


async def test_b12_what_is_kept_does_not_make_a_cookie(
    shop: Shop, anna: AsyncClient, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    secret = secret_of(anna)
    kept = await dump(shop.sessions.store, request, tmp_path)

    assert "anna" in kept
    assert secret not in kept


async def dump(store: SessionStore, request: pytest.FixtureRequest, folder: Path) -> str:
    """Return all that a store keeps, as its backend has it."""
    if isinstance(store, DatabaseSessionStore):
        database = Database(get_url(request.node.callspec.params["shop"], request, folder))
        async with database.engine.connect() as connection:
            rows = (await connection.execute(text("SELECT * FROM auth_session"))).all()
        await database.dispose()
        return repr((rows, await asyncio.to_thread(read_files, folder)))
    if isinstance(store, RedisSessionStore):
        async with create_redis(request.getfixturevalue("redis_url")) as client:
            execute: Any = client.execute_command  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] -- untyped keywords
            # A word that is compressed is not found.
            await execute("CONFIG", "SET", "rdbcompression", "no")
            return repr([await execute("DUMP", key) for key in await execute("KEYS", "*")])
    return repr(vars(store))


async def test_b12_says_of_a_session_only_what_its_pages_need(anna: AsyncClient) -> None:
    answer = await anna.get("/auth/session")

    assert answer.json() == {
        "id": answer.json()["id"],
        "issuer": "self",
        "subject": "anna",
        "scopes": [],
        "roles": ["staff"],
        "auth_time": "2026-01-01T00:00:00Z",
        "acr": None,
        "amr": ["pwd"],
        "expires_at": "2026-01-01T12:00:00Z",
    }
    assert answer.headers["cache-control"] == "no-store"


def read_files(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.glob("sessions.db*"))]


# Attacks B13, what ends a session ends it


async def test_b13_a_cookie_is_worth_nothing_after_signing_out(
    shop: Shop, anna: AsyncClient
) -> None:
    secret = secret_of(anna)

    answer = await anna.post("/auth/sign-out", headers=OWN_PAGE)

    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert COOKIE not in anna.cookies
    assert_refused(await ask(anna, secret), 401, "session_ended")
    assert shop.events.names == ["session_started", "sign_out"]


async def test_b13_whoever_has_no_session_is_signed_out_already(shop: Shop) -> None:
    async with shop.browser() as browser:
        without = await browser.post("/auth/sign-out")
        ended = await browser.post(
            "/auth/sign-out", headers={**OWN_PAGE, "Cookie": f"{COOKIE}={MADE_UP}"}
        )

    assert (without.status_code, ended.status_code) == (204, 204)


async def test_b13_signing_out_everywhere_ends_every_session_at_once(
    shop: Shop, anna: AsyncClient
) -> None:
    async with shop.browser() as phone, shop.browser() as other:
        await sign_in(phone)
        await sign_in(other, "otto")

        answer = await anna.delete("/auth/sessions", headers=OWN_PAGE)

        assert answer.status_code == 204
        assert COOKIE not in anna.cookies
        assert_refused(await phone.get("/me"), 401, "session_ended")
        assert (await other.get("/me")).status_code == 200


async def test_b13_signing_out_elsewhere_keeps_the_session_that_asks(
    shop: Shop, anna: AsyncClient
) -> None:
    async with shop.browser() as phone:
        await sign_in(phone)

        answer = await anna.delete("/auth/sessions?keep_current=true", headers=OWN_PAGE)

        assert answer.status_code == 204
        assert_refused(await phone.get("/me"), 401, "session_ended")
        assert (await anna.get("/me")).status_code == 200


async def test_b13_one_session_can_be_ended_from_another(shop: Shop, anna: AsyncClient) -> None:
    async with shop.browser() as phone:
        await sign_in(phone)
        listed = (await anna.get("/auth/sessions")).json()
        [stolen] = [each["id"] for each in listed if not each["is_current"]]

        answer = await anna.delete(f"/auth/sessions/{stolen}", headers=OWN_PAGE)

        assert answer.status_code == 204
        assert_refused(await phone.get("/me"), 401, "session_ended")
        assert (await anna.get("/me")).status_code == 200


async def test_b13_ending_the_own_session_takes_the_cookie_too(
    shop: Shop, anna: AsyncClient
) -> None:
    del shop
    current = (await anna.get("/auth/session")).json()["id"]

    answer = await anna.delete(f"/auth/sessions/{current}", headers=OWN_PAGE)

    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert COOKIE not in anna.cookies


async def test_b13_what_was_cached_for_a_session_is_not_for_who_replays_it(
    shop: Shop, anna: AsyncClient
) -> None:
    made: list[str] = []

    @shop.app.get("/report")
    @cached(timedelta(hours=1))
    async def make_report(asker: CurrentPrincipal) -> str:
        made.append(asker.subject)
        return "secret figures"

    secret = secret_of(anna)
    assert [(await anna.get("/report")).text for _ in range(2)] == ['"secret figures"'] * 2
    assert made == ["anna"]
    await anna.post("/auth/sign-out", headers=OWN_PAGE)

    assert_refused(await ask(anna, secret, "/report"), 401, "session_ended")


@pytest.mark.parametrize("times", [1, 5])
async def test_b13_disabling_a_user_ends_all_their_sessions(times: int, shop: Shop) -> None:
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(shop.browser()) for _ in range(times)]
        for browser in browsers:
            await sign_in(browser)

        ended = await shop.sessions.revoke_all("self", "anna")

        assert ended == times
        for browser in browsers:
            assert_refused(await browser.get("/me"), 401, "session_ended")


async def test_b13_a_session_that_was_ended_is_not_rotated_back(
    shop: Shop, anna: AsyncClient
) -> None:
    answers = await asyncio.gather(
        anna.post("/step-up", headers=OWN_PAGE), shop.sessions.revoke_all("self", "anna")
    )

    assert answers[0].status_code in {200, 401}
    assert answers[1] == 1
    secret = answers[0].cookies.get(COOKIE) or MADE_UP
    assert_refused(await ask(anna, secret), 401, "session_ended")
    assert list(await shop.sessions.list("self", "anna")) == []


# Attacks B14, lifetimes


async def test_b14_an_idle_session_ends_to_the_microsecond(shop: Shop, anna: AsyncClient) -> None:
    async with shop.browser() as late:
        await sign_in(late)
        shop.clock.advance(IDLE - MICROSECOND)
        in_time = await anna.get("/me")
        shop.clock.advance(MICROSECOND)

        assert in_time.status_code == 200
        assert_refused(await late.get("/me"), 401, "session_ended")


async def test_b14_a_session_that_is_used_goes_on(shop: Shop, anna: AsyncClient) -> None:
    for _ in range(5):
        shop.clock.advance(IDLE - MICROSECOND)
        assert (await anna.get("/me")).status_code == 200


async def test_b14_whoever_has_a_session_that_has_ended_is_nobody(
    shop: Shop, anna: AsyncClient
) -> None:
    before = await anna.get("/prices")
    shop.clock.advance(IDLE)
    after = await anna.get("/prices")
    forged = await anna.post("/prices", headers={"Sec-Fetch-Site": "cross-site"})

    assert (before.json(), after.json()) == ("anna", "nobody")
    assert_refused(forged, 403, "csrf_refused")
    assert_refused(await anna.get("/me"), 401, "session_ended")


async def test_b14_no_use_carries_a_session_beyond_its_end(shop: Shop, anna: AsyncClient) -> None:
    step = timedelta(minutes=29)
    while shop.clock.monotonic() + step.total_seconds() < LIFE.total_seconds():
        shop.clock.advance(step)
        assert (await anna.get("/me")).status_code == 200
    left = LIFE - timedelta(seconds=shop.clock.monotonic())

    shop.clock.advance(left - MICROSECOND)
    last = await anna.post("/step-up", headers=OWN_PAGE)
    shop.clock.advance(MICROSECOND)

    assert last.status_code == 200
    assert_refused(await ask(anna, last.cookies[COOKIE]), 401, "session_ended")


async def test_b14_the_oldest_session_ends_if_somebody_has_too_many() -> None:
    async with opened("memory", "", max_per_subject=2) as shop, AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(shop.browser()) for _ in range(3)]
        for browser in browsers:
            await sign_in(browser)
            shop.clock.advance(timedelta(seconds=1))

        statuses = [(await browser.get("/me")).status_code for browser in browsers]

    assert statuses == [401, 200, 200]


# Attacks B15, cross-site request forgery


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in OWN_PAGE.items() if key != name}


async def test_b15_pages_of_the_service_may_change_something(shop: Shop, anna: AsyncClient) -> None:
    answers = [
        await anna.request(method, "/orders", headers=OWN_PAGE)
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert shop.done == ["anna"] * 4


@pytest.mark.parametrize(
    "headers",
    [
        without("Sec-Fetch-Site"),
        {**without("Sec-Fetch-Site"), "Origin": "HTTPS://Shop.Example:443"},
        without("Origin"),
        {**OWN_PAGE, "Sec-Fetch-Site": "none"},
        {**OWN_PAGE, "X-Requested-With": ""},
        {**OWN_PAGE, "Origin": "null"},
        {**OWN_PAGE, "Origin": "https://admin.shop.example", "Sec-Fetch-Site": "same-site"},
        {**without("Sec-Fetch-Site"), "Origin": "https://admin.shop.example"},
    ],
    ids=str,
)
async def test_b15_any_of_what_browsers_say_of_own_pages_will_do(
    headers: dict[str, str], local: Shop, page: AsyncClient
) -> None:
    answer = await page.post("/orders", headers=headers)

    assert answer.status_code == 200
    assert local.done == ["anna"]


ELSEWHERE: dict[str, dict[str, str]] = {
    "nothing": {},
    "a header alone": {"X-Requested-With": "x"},
    "no header": without("X-Requested-With"),
    "cross-site": {**OWN_PAGE, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "cross-site with our origin": {**OWN_PAGE, "Sec-Fetch-Site": "cross-site"},
    "subdomain": {**OWN_PAGE, "Sec-Fetch-Site": "same-site", "Origin": "https://x.shop.example"},
    "unknown site": {**OWN_PAGE, "Sec-Fetch-Site": "sideways"},
    "empty site": {**OWN_PAGE, "Sec-Fetch-Site": ""},
    **{
        f"origin {origin}": {"X-Requested-With": "x", "Origin": origin}
        for origin in (
            "https://evil.example",
            "https://x.shop.example",
            "https://shop.example.evil.example",
            "https://evilshop.example",
            "http://shop.example",
            "https://shop.example:8443",
            "https://shop.example@evil.example",
            "https://shop.example/",
            "https://shop.example https://evil.example",
            "null",
            "",
            "*",
            "file://",
            "https://ads.example",
        )
    },
}


@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_b15_other_sites_may_change_nothing(
    headers: dict[str, str], method: str, local: Shop, page: AsyncClient
) -> None:
    answer = await page.request(method, "/orders", headers=headers)

    assert_refused(answer, 403, "csrf_refused")
    assert local.done == []
    assert local.events.names == ["session_started", "csrf_refused"]


async def test_b15_two_origins_are_none(local: Shop, page: AsyncClient) -> None:
    headers = [("X-Requested-With", "x"), ("Origin", ORIGIN), ("Origin", "https://evil.example")]

    answer = await page.post("/orders", headers=headers)

    assert_refused(answer, 403, "csrf_refused")
    assert local.done == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b'{"item": "x"}'),
        ("application/x-www-form-urlencoded", b"item=x"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="item"\r\n',
        ),
    ],
)
async def test_b15_what_a_foreign_form_can_send_is_refused(
    site: str, kind: str, body: bytes, local: Shop, page: AsyncClient
) -> None:
    headers = {"Content-Type": kind, "Sec-Fetch-Site": site, "Origin": "https://evil.example"}

    answers = [await page.post(path, content=body, headers=headers) for path in ("/orders",)]

    for answer in answers:
        assert_refused(answer, 403, "csrf_refused")
    assert local.done == []


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_b15_headers_that_name_another_method_are_not_looked_at(
    name: str, local: Shop, page: AsyncClient
) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

    posted = await page.post("/orders", headers={**foreign, name: "GET"})
    got = await page.get("/orders?_method=DELETE", headers={**foreign, name: "DELETE"})

    assert_refused(posted, 403, "csrf_refused")
    assert got.json() == []
    assert local.done == []


@pytest.mark.parametrize("path", ["/auth/sign-out", "/sign-in", "/orders?_method=POST"])
async def test_b15_reading_changes_nothing(path: str, local: Shop, page: AsyncClient) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}

    answer = await page.get(path, headers=foreign)

    assert answer.status_code in {200, 405}
    assert (await page.get("/me")).status_code == 200
    assert local.done == []


async def test_b15_another_site_cannot_sign_anybody_in(local: Shop) -> None:
    async with local.browser() as browser:
        answers = [
            await browser.post("/sign-in?subject=mallory", headers=headers)
            for headers in ELSEWHERE.values()
        ]

    for answer in answers:
        assert_refused(answer, 403, "csrf_refused")
        assert "set-cookie" not in answer.headers
    assert set(local.events.names) == {"csrf_refused"}


async def test_b15_another_site_cannot_sign_anybody_out(local: Shop, page: AsyncClient) -> None:
    answer = await page.post("/auth/sign-out", headers={"Sec-Fetch-Site": "cross-site"})

    assert_refused(answer, 403, "csrf_refused")
    assert (await page.get("/me")).status_code == 200
    assert local.events.names == ["session_started", "csrf_refused"]


async def test_b15_a_form_of_a_page_shows_that_it_is_ours(shop: Shop, anna: AsyncClient) -> None:
    token = make_form_token(secret_of(anna))
    headers = without("X-Requested-With")

    sent = await anna.post("/form", data={"item": "tea", "csrf_token": token}, headers=headers)
    uploaded = await anna.post(
        "/upload", data={"csrf_token": token}, files={"file": b"12345"}, headers=headers
    )
    out = await anna.post("/auth/sign-out", data={"csrf_token": token}, headers=headers)

    assert (sent.status_code, uploaded.status_code, out.status_code) == (200, 200, 204)
    assert shop.done == ["anna: tea", "anna: 5"]


def altered(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


ALTERED: dict[str, Callable[[str], str | list[str]]] = {
    "empty": lambda _: "",
    "short": lambda token: token[:-4],
    "altered": altered,
    "no ASCII": lambda _: "é",
    "twice": lambda token: [token, token],
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED)
async def test_b15_a_form_token_must_be_right(
    change: Callable[[str], str | list[str]], local: Shop, page: AsyncClient
) -> None:
    token = change(make_form_token(secret_of(page)))

    answer = await page.post(
        "/form", data={"item": "tea", "csrf_token": token}, headers=without("X-Requested-With")
    )

    assert_refused(answer, 403, "csrf_refused")
    assert local.done == []


async def test_b15_a_form_token_is_worth_nothing_to_others_and_after_signing_in_again(
    local: Shop, page: AsyncClient
) -> None:
    headers = without("X-Requested-With")
    async with local.browser() as attacker:
        await sign_in(attacker, "mallory")
        foreign = make_form_token(secret_of(attacker))
    old = make_form_token(secret_of(page))
    await sign_in(page)

    for token in (foreign, old):
        data = {"item": "tea", "csrf_token": token}
        answer = await page.post("/form", data=data, headers=headers)
        assert_refused(answer, 403, "csrf_refused")
    assert local.done == []


async def test_b15_a_form_token_does_not_help_another_site(local: Shop, page: AsyncClient) -> None:
    data = {"item": "tea", "csrf_token": make_form_token(secret_of(page))}
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}

    answer = await page.post("/form", data=data, headers=headers)

    assert_refused(answer, 403, "csrf_refused")
    assert local.done == []


async def connect(app: FastAPI, headers: dict[str, str]) -> list[Message]:
    sent: list[Message] = []
    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss",
        "path": "/live",
        "raw_path": b"/live",
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in {"Host": "shop.example", **headers}.items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("shop.example", 443),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_b15_a_websocket_opens_for_pages_of_the_service(
    local: Shop, page: AsyncClient
) -> None:
    cookie = f"{COOKIE}={secret_of(page)}"

    sent = await connect(local.app, {"Cookie": cookie, "Origin": ORIGIN})

    assert [message.get("text") for message in sent] == [None, "anna", None]


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "https://evil.example",
        "http://shop.example",
        "https://x.shop.example",
        "wss://shop.example",
    ],
)
@pytest.mark.parametrize("site", [None, "same-origin"])
async def test_b15_a_websocket_does_not_open_for_other_sites(
    origin: str | None, site: str | None, local: Shop, page: AsyncClient
) -> None:
    headers = {"Cookie": f"{COOKIE}={secret_of(page)}", "X-Requested-With": "x"}
    headers |= {} if origin is None else {"Origin": origin}
    headers |= {} if site is None else {"Sec-Fetch-Site": site}

    sent = await connect(local.app, headers)

    assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", 403)
    assert json.loads(sent[1]["body"])["code"] == "csrf_refused"


async def test_b15_a_websocket_does_not_open_without_a_session(local: Shop) -> None:
    nobody = await connect(local.app, {"Origin": ORIGIN})
    ended = await connect(local.app, {"Origin": ORIGIN, "Cookie": f"{COOKIE}={MADE_UP}"})

    assert (nobody[0]["status"], ended[0]["status"]) == (401, 401)


# Attacks B16, cross-origin resource sharing


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://x.shop.example"])
async def test_b16_no_origin_is_reflected(origin: str, local: Shop, page: AsyncClient) -> None:
    del local
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight["Access-Control-Request-Headers"] = "x-requested-with"

    asked = await page.options("/orders", headers=preflight)
    read = await page.get("/me", headers={"Origin": origin})

    for answer in (asked, read):
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


async def test_b16_an_origin_that_may_read_may_not_use_sessions(
    local: Shop, page: AsyncClient
) -> None:
    answer = await page.post(
        "/orders",
        headers={**OWN_PAGE, "Origin": "https://ads.example", "Sec-Fetch-Site": "cross-site"},
    )

    assert_refused(answer, 403, "csrf_refused")
    assert "access-control-allow-credentials" not in answer.headers
    assert local.done == []


@pytest.mark.parametrize("origin", ["*", "null"])
def test_b16_any_origin_with_credentials_refuses_the_start(origin: str) -> None:
    settings = Settings.model_validate(
        {"environment": "test", "cors_origins": [origin], "cors": {"allow_credentials": True}}
    )

    with pytest.raises(ConfigurationError):
        create_app(settings, configure_logging=False)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "",
        "shop.example",
        "https://*.shop.example",
        "https://shop.example/",
        "ftp://shop.example",
    ],
)
def test_b16_an_origin_that_is_none_cannot_be_trusted_with_sessions(origin: str) -> None:
    with pytest.raises(ConfigurationError):
        make_sessions(SessionSettings(trusted_origins=(origin,)))


# Attacks S27, sessions of others


async def test_s27_nobody_sees_or_ends_the_sessions_of_others(
    shop: Shop, anna: AsyncClient
) -> None:
    async with shop.browser() as mallory:
        await sign_in(mallory, "mallory")
        [record] = await shop.sessions.list("self", "anna")

        listed = (await mallory.get("/auth/sessions")).json()
        ended = await mallory.delete(f"/auth/sessions/{record.id}", headers=OWN_PAGE)
        unknown = await mallory.delete(f"/auth/sessions/{'0' * 32}", headers=OWN_PAGE)
        await mallory.delete("/auth/sessions", headers=OWN_PAGE)

    assert record.id not in [each["id"] for each in listed]
    assert_refused(ended, 404, "session_not_found")
    assert_refused(unknown, 404, "session_not_found")
    assert {**ended.json(), "request_id": 0, "instance": 0} == {
        **unknown.json(),
        "request_id": 0,
        "instance": 0,
    }
    assert (await anna.get("/me")).status_code == 200


async def test_s27_the_same_subject_of_another_issuer_is_somebody_else(
    shop: Shop, anna: AsyncClient
) -> None:
    [record] = await shop.sessions.list("self", "anna")

    other = await shop.sessions.list("https://issuer.example", "anna")
    ended = await shop.sessions.revoke(record.id, issuer="https://issuer.example", subject="anna")

    assert (list(other), ended) == ([], False)
    assert (await anna.get("/me")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/session"),
        ("GET", "/auth/sessions"),
        ("DELETE", "/auth/sessions"),
        ("DELETE", "/auth/sessions/1"),
    ],
)
async def test_s27_nothing_of_it_is_for_who_has_not_signed_in(
    method: str, path: str, local: Shop
) -> None:
    async with local.browser() as browser:
        answer = await browser.request(method, path, headers=OWN_PAGE)

    assert_refused(answer, 401, "unauthenticated")
