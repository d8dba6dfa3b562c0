import re
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.pages import Pages
from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.route_decisions import find_undecided
from fastapi_baseline.auth.sessions import SessionsUnavailableError
from fastapi_baseline.auth.users import (
    UserRecord,
)
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
from fastapi_baseline.errors import BaselineError
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.settings.auth import AuthSettings, SessionSettings, UserSettings
from fastapi_baseline.testing import ManualClock
from tests.api.auth.user_service import (
    CountingHasher,
    Post,
    UserService,
    record_events,
    running_with,
)

ORIGIN = "https://inn.example.com"
ANN = "ann@example.com"
PASSWORD = "correct horse battery staple"
FROM_HERE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
MAX_PAGE = 15_000


class Guest(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user of the inn."""


class Page:
    """A page that somebody looks at."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.status = response.status_code
        self.text = response.text

    @property
    def heading(self) -> str:
        return re.findall(r"<h1>(.*?)</h1>", self.text)[0]

    @property
    def error(self) -> str | None:
        found = re.search(r"There is a problem:</strong> (.*?)</p>", self.text)
        return None if found is None else unescape(found[1])

    @property
    def action(self) -> str:
        return unescape(re.findall(r'<form method="post" action="(.*?)">', self.text)[0])

    @property
    def fields(self) -> dict[str, str]:
        found = re.findall(r'<input [^>]*?name="(\w+)"[^>]*?>', self.text)
        values = {
            name: re.search(rf'name="{name}"[^>]*? value="([^"]*)"', self.text) for name in found
        }
        return {name: unescape(value[1]) if value else "" for name, value in values.items()}

    @property
    def policy(self) -> str:
        return self.response.headers["content-security-policy"]


class Browser:
    """Somebody's browser, with its cookies."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    async def open(self, path: str) -> Page:
        return Page(await self.client.get(path))

    async def send(
        self, page: Page, headers: Mapping[str, str] | None = None, **fields: str
    ) -> Response:
        sent = dict(FROM_HERE if headers is None else headers)
        return await self.client.post(page.action, data={**page.fields, **fields}, headers=sent)

    async def sign_in(
        self, password: str = PASSWORD, *, email: str = ANN, return_to: str = "/orders"
    ) -> Response:
        page = Page(await self.client.get("/sign-in", params={"return_to": return_to}))
        return await self.send(page, email=email, password=password)

    async def is_signed_in(self) -> bool:
        return (await self.client.get("/auth/me")).status_code == 200


class Inn(UserService):
    """The running inn."""

    async def browser(self, **options: Any) -> Browser:
        transport = ASGITransport(app=self.app, raise_app_exceptions=False, **options)
        client = AsyncClient(transport=transport, base_url=ORIGIN)
        return Browser(await self.stack.enter_async_context(client))

    async def add_user(self, email: str = ANN) -> str:
        user = await self.app.state.users.invite(email)
        await self.app.state.users.services.outbox.drain()
        link = re.findall(r"https?://\S+", self.post.letters[-1].text)[-1]
        await self.app.state.users.reset_password(re.split(r"[=#/]", link)[-1], PASSWORD)
        return str(user.id)

    async def add_second_factor(self, subject: str) -> str:
        factors = self.app.state.self_service.second_factors
        enrolment = await factors.start(subject, account=ANN)
        await factors.confirm(subject, self.code_of(enrolment.secret))
        self.clock.advance(timedelta(seconds=30))
        return enrolment.secret


@pytest.fixture
async def inn(tmp_path: Path) -> AsyncGenerator[Inn]:
    settings = Settings(
        environment="test",
        service_name="inn",
        database_url=SecretStr(f"sqlite:///{tmp_path / 'inn.db'}"),
        auth=AuthSettings(
            sessions=SessionSettings(enabled=True),
            users=UserSettings(
                page_url=ORIGIN,
                sign_ins_per_address=("30/day",),
                sign_ins_per_account=("5/day",),
            ),
        ),
    )
    post, hasher = Post(), CountingHasher()
    app = create_app(settings, clock=ManualClock(), configure_logging=False)
    events = record_events(app)
    app.include_router(make_users_router(Guest, mail=post, hasher=hasher))
    app.include_router(make_sign_in_pages_router())
    async with running_with(Guest, app):
        inn = Inn(app, post=post, events=events, hasher=hasher)
        async with inn.stack:
            yield inn


async def test_signs_in_and_goes_on_to_where_one_came_from(inn: Inn) -> None:
    await inn.add_user()
    browser = await inn.browser()

    response = await browser.sign_in(return_to="/orders?page=2#new")

    assert response.status_code == 303
    assert response.headers["location"] == "/orders?page=2#new"
    assert await browser.is_signed_in()


async def test_goes_to_the_start_if_nobody_says_where(inn: Inn) -> None:
    await inn.add_user()
    browser = await inn.browser()

    response = await browser.send(await browser.open("/sign-in"), email=ANN, password=PASSWORD)

    assert response.headers["location"] == "/"


@pytest.mark.parametrize(
    "return_to",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "/%2f%2fevil.example",
        "/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "\thttps://evil.example",
    ],
)
async def test_b09_goes_to_no_other_site(inn: Inn, return_to: str) -> None:
    await inn.add_user()
    browser = await inn.browser()
    page = await browser.open("/sign-in")

    shown = await browser.client.get("/sign-in", params={"return_to": return_to})
    sent = await browser.send(page, email=ANN, password=PASSWORD, return_to=return_to)

    assert Page(shown).fields["return_to"] == "/"
    assert sent.status_code == 303
    assert sent.headers["location"] == "/"


async def test_a_wrong_password_asks_again(inn: Inn) -> None:
    await inn.add_user()
    browser = await inn.browser()

    page = Page(await browser.sign_in("a wrong password of some length"))

    assert page.status == 401
    assert page.response.headers["www-authenticate"] == "Cookie"
    assert page.error == "The e-mail address or the password is not right."
    assert page.fields["email"] == ANN
    assert page.fields["return_to"] == "/orders"
    assert "a wrong password" not in page.text
    assert not await browser.is_signed_in()


async def test_the_page_that_asks_again_works(inn: Inn) -> None:
    await inn.add_user()
    browser = await inn.browser()
    page = Page(await browser.sign_in("a wrong password of some length"))

    response = await browser.send(page, password=PASSWORD)

    assert response.headers["location"] == "/orders"
    assert await browser.is_signed_in()


async def test_s21_a_refusal_tells_nothing_of_accounts(inn: Inn) -> None:
    await inn.add_user()
    disabled = await inn.add_user("disabled@example.com")
    await inn.app.state.users.disable(disabled)

    async def told(email: str, password: str) -> tuple[int, str, set[str]]:
        response = await (await inn.browser()).sign_in(password, email=email)
        text = response.text.replace(email, "ADDRESS")
        text = re.sub(r'name="csrf_token" value="[^"]+"', "", text)
        return response.status_code, text, set(response.headers)

    wrong = await told(ANN, "a wrong password of some length")
    others = [
        await told("nobody@example.com", PASSWORD),
        await told("disabled@example.com", PASSWORD),
        await told("no address", PASSWORD),
    ]

    assert others == [wrong] * 3


async def test_s22_the_throttles_of_the_routes_hold_here_too(inn: Inn) -> None:
    await inn.add_user()
    browser = await inn.browser()
    for _ in range(5):
        await browser.sign_in("a wrong password of some length")

    page = Page(await (await inn.browser()).sign_in())

    assert page.status == 429
    assert int(page.response.headers["retry-after"]) > 0
    assert page.error == "Too many attempts. Try again later."
    assert inn.events.names[-1] == "throttled"


async def test_a_full_queue_asks_to_come_back(inn: Inn) -> None:
    await inn.add_user()
    inn.hasher.is_busy = True

    page = Page(await (await inn.browser()).sign_in())

    assert page.status == 503
    assert page.response.headers["retry-after"] == "1"
    assert page.heading == "Sign in"


async def test_nobody_is_signed_in_while_no_session_can_be_kept(
    inn: Inn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise SessionsUnavailableError

    await inn.add_user()
    browser = await inn.browser()
    monkeypatch.setattr(inn.app.state.sessions.store, "add", fail)

    response = await browser.sign_in()

    assert response.status_code == 503
    assert "__Host-session" not in response.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "", "password": PASSWORD},
        {"email": "  ", "password": PASSWORD},
        {"email": ANN, "password": ""},
        {"email": "a" * 321, "password": PASSWORD},
        {"email": ANN, "password": "a" * 1025},
    ],
    ids=["no address", "a blank address", "no password", "a long address", "a long password"],
)
async def test_what_cannot_be_right_is_not_compared(inn: Inn, fields: dict[str, str]) -> None:
    browser = await inn.browser()

    page = Page(await browser.send(await browser.open("/sign-in"), None, **fields))

    assert page.status == 422
    assert page.error == "Enter your e-mail address and your password."
    assert "sign_in_refused" not in inn.events.names


async def test_asks_for_the_code_of_the_second_factor(inn: Inn) -> None:
    secret = await inn.add_second_factor(await inn.add_user())
    browser = await inn.browser()

    asked = await browser.sign_in(return_to="/orders?a=b&c=d")
    page = await browser.open(asked.headers["location"])
    was_signed_in = await browser.is_signed_in()
    response = await browser.send(page, code=f" {inn.code_of(secret)} ")

    location = urlsplit(asked.headers["location"])
    assert asked.status_code == 303
    assert location.path == "/sign-in/code"
    assert parse_qs(location.query) == {"return_to": ["/orders?a=b&c=d"]}
    assert page.heading == "Enter your code"
    assert not was_signed_in
    assert response.headers["location"] == "/orders?a=b&c=d"
    assert await browser.is_signed_in()


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("000000", 401, "The code is not right. Wait for the next one."),
        ("", 422, "Enter the code."),
        ("0" * 65, 422, "Enter the code."),
    ],
    ids=["wrong", "none", "too long"],
)
async def test_a_wrong_code_asks_again(inn: Inn, code: str, status: int, error: str) -> None:
    secret = await inn.add_second_factor(await inn.add_user())
    browser = await inn.browser()
    asked = await browser.sign_in()

    page = Page(await browser.send(await browser.open(asked.headers["location"]), code=code))
    response = await browser.send(page, code=inn.code_of(secret))

    assert (page.status, page.error) == (status, error)
    assert page.heading == "Enter your code"
    assert 'value="000000"' not in page.text
    assert response.headers["location"] == "/orders"


async def test_a_code_that_comes_too_late_begins_anew(inn: Inn) -> None:
    secret = await inn.add_second_factor(await inn.add_user())
    browser = await inn.browser()
    asked = await browser.sign_in()
    page = await browser.open(asked.headers["location"])
    inn.clock.advance(timedelta(minutes=6))

    late = Page(await browser.send(page, code=inn.code_of(secret)))

    assert late.status == 401
    assert late.heading == "Sign in"
    assert late.error == "Sign in again, with the password first."
    assert late.fields["return_to"] == "/orders"
    assert not await browser.is_signed_in()


async def test_a_code_from_another_browser_is_no_code(inn: Inn) -> None:
    secret = await inn.add_second_factor(await inn.add_user())
    await (await inn.browser()).sign_in()
    stranger = await inn.browser()

    page = Page(await stranger.send(await stranger.open("/sign-in/code"), code=inn.code_of(secret)))

    assert page.heading == "Sign in"
    assert not await stranger.is_signed_in()


async def test_two_tabs_sign_in_side_by_side(inn: Inn) -> None:
    await inn.add_user()
    browser = await inn.browser()
    first = await browser.open("/sign-in?return_to=/first")
    second = await browser.open("/sign-in?return_to=/second")

    answers = [await browser.send(tab, email=ANN, password=PASSWORD) for tab in (first, second)]

    assert [answer.headers["location"] for answer in answers] == ["/first", "/second"]


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        pytest.param({"Origin": ORIGIN}, {"csrf_token": ""}, id="no token"),
        pytest.param({"Origin": ORIGIN}, {"csrf_token": "x" * 64}, id="a made-up token"),
        pytest.param({"Origin": "https://evil.example"}, {}, id="another origin"),
        pytest.param({"Origin": "null"}, {}, id="no origin"),
        pytest.param({}, {}, id="nothing said"),
        pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, {}, id="cross-site"),
        pytest.param({"Sec-Fetch-Site": "same-site", "Origin": ORIGIN}, {}, id="a subdomain"),
    ],
)
async def test_b15_another_site_signs_nobody_in(
    inn: Inn, headers: dict[str, str], fields: dict[str, str]
) -> None:
    await inn.add_user()
    browser = await inn.browser()
    page = await browser.open("/sign-in")

    response = await browser.send(page, headers, email=ANN, password=PASSWORD, **fields)

    assert response.status_code == 403
    assert "__Host-session" not in response.headers.get("set-cookie", "")
    assert inn.events.names[-1] == "csrf_refused"


async def test_b15_the_form_of_one_browser_is_worth_nothing_in_another(inn: Inn) -> None:
    await inn.add_user()
    attacker, victim = await inn.browser(), await inn.browser()
    form = await attacker.open("/sign-in")
    await victim.open("/sign-in")

    response = await victim.send(form, email=ANN, password=PASSWORD)

    assert response.status_code == 403
    assert not await victim.is_signed_in()


async def test_b15_a_form_without_its_cookie_is_shown_again(inn: Inn) -> None:
    await inn.add_user()
    form = await (await inn.browser()).open("/sign-in")
    browser = await inn.browser()

    refused = Page(await browser.send(form, email=ANN, password=PASSWORD))
    response = await browser.send(refused, email=ANN, password=PASSWORD)

    assert refused.status == 403
    assert refused.heading == "Sign in"
    assert response.status_code == 303


async def test_b15_a_form_lets_no_other_site_use_the_routes_for_scripts(inn: Inn) -> None:
    await inn.add_user()
    browser = await inn.browser()
    await browser.open("/sign-in")

    response = await browser.client.post(
        "/auth/sign-in",
        content='{"email": "ann@example.com", "password": "correct horse battery staple"}',
        headers={"Content-Type": "text/plain", "Origin": ORIGIN},
    )
    with_header = await browser.client.post(
        "/auth/sign-in",
        json={"email": ANN, "password": PASSWORD},
        headers={"X-Requested-With": "inn", **FROM_HERE},
    )

    assert response.status_code in {403, 422}
    assert with_header.status_code == 200


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/code"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"json": {"email": ANN, "password": PASSWORD}}, id="JSON"),
        pytest.param({"files": {"email": ("a.txt", b"a")}}, id="a file"),
        pytest.param(
            {
                "content": "email=a&email=b&code=1&code=2",
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            },
            id="a field twice",
        ),
    ],
)
async def test_s11_what_no_form_sends_has_an_error_page(
    inn: Inn, path: str, content: dict[str, Any]
) -> None:
    browser = await inn.browser()

    response = await browser.client.post(path, **content)

    assert response.status_code == 400
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "invalid_form" in response.text


async def test_s11_a_body_that_is_too_large_stays_that(inn: Inn) -> None:
    browser = await inn.browser()

    response = await browser.client.post(
        "/sign-in",
        content=b"&" * (11 * 1024 * 1024),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert response.status_code == 413


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/code", "/signed-out"])
async def test_b24_no_page_can_be_framed_kept_or_filled_with_anything(inn: Inn, path: str) -> None:
    page = await (await inn.browser()).open(path)

    headers = page.response.headers
    assert page.status == 200
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in {"same-origin", "no-referrer"}
    assert "frame-ancestors 'none'" in page.policy
    assert "default-src 'none'" in page.policy
    assert "unsafe" not in page.policy
    assert "http" not in page.policy


async def test_b24_the_answer_that_sends_one_on_is_kept_nowhere(inn: Inn) -> None:
    secret = await inn.add_second_factor(await inn.add_user())
    browser = await inn.browser()

    asked = await browser.sign_in()
    form = await browser.open(asked.headers["location"])
    signed_in = await browser.send(form, code=inn.code_of(secret))

    for response in (asked, signed_in):
        assert response.status_code == 303
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert PASSWORD not in str(response.headers)


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/code", "/signed-out"])
async def test_a_page_is_small_and_asks_nobody_else(inn: Inn, path: str) -> None:
    page = await (await inn.browser()).open(path)

    sources = re.findall(r'(?:src|href|action)="([^"]*)"', page.text)
    assert len(page.response.content) + len(str(page.response.headers)) < MAX_PAGE
    assert [one for one in sources if not re.fullmatch(r"/[\w/-]*|data:,", one)] == []
    assert "url(" not in page.text
    assert "@import" not in page.text


async def test_fills_in_the_address_that_it_is_told(inn: Inn) -> None:
    browser = await inn.browser()

    told = await browser.client.get("/sign-in", params={"email": '"><script>'})
    long = await browser.client.get("/sign-in", params={"email": "a" * 321})

    assert Page(told).fields["email"] == '"><script>'
    assert "<script" not in told.text
    assert Page(long).fields["email"] == ""


async def test_the_policy_lets_a_form_end_where_its_page_sends_one_on(inn: Inn) -> None:
    asked: list[str] = []

    async def find_targets(connection: HTTPConnection, return_to: str) -> list[str]:
        asked.append(return_to)
        return ["https://client.example/callback"]

    inn.app.state.return_targets = find_targets
    browser = await inn.browser()

    form = await browser.open("/sign-in?return_to=/oauth2/interactions/1")
    again = Page(await browser.send(form, email=ANN, password="wrong, in any case"))
    code = await browser.open("/sign-in/code?return_to=/oauth2/interactions/2")

    for page in (form, again, code):
        assert "form-action 'self' https://client.example;" in page.policy
    assert asked == [
        "/oauth2/interactions/1",
        "/oauth2/interactions/1",
        "/oauth2/interactions/2",
    ]


async def test_asks_again_who_is_signed_in(inn: Inn) -> None:
    subject = await inn.add_user()
    browser = await inn.browser()
    await browser.sign_in()
    before = browser.client.cookies["__Host-session"]

    page = await browser.open("/sign-in")
    response = await browser.sign_in()

    assert page.heading == "Sign in"
    assert response.status_code == 303
    assert browser.client.cookies["__Host-session"] != before
    assert len(await inn.app.state.sessions.list(SELF, subject)) == 1


async def test_pages_are_found_below_the_path_that_a_proxy_removes(inn: Inn) -> None:
    secret = await inn.add_second_factor(await inn.add_user())
    browser = await inn.browser(root_path="/inn")

    form = await browser.open("/inn/sign-in")
    asked = await browser.send(form, email=ANN, password=PASSWORD)
    code = await browser.open(asked.headers["location"])
    signed_in = await browser.send(code, code=inn.code_of(secret))
    left = await browser.open("/inn/signed-out")

    assert form.action == "/inn/sign-in"
    assert asked.headers["location"].startswith("/inn/sign-in/code?")
    assert code.action == "/inn/sign-in/code"
    assert signed_in.status_code == 303
    assert 'href="/inn/sign-in"' in left.text


async def test_says_that_somebody_has_signed_out(inn: Inn) -> None:
    page = await (await inn.browser()).open("/signed-out")

    assert page.heading == "You are signed out"
    assert '<a href="/sign-in">Sign in again</a>' in page.text


async def test_a_session_cookie_that_is_there_twice_has_an_error_page(inn: Inn) -> None:
    await inn.add_user()
    browser = await inn.browser()
    page = await browser.open("/sign-in")
    cookie = f"__Host-form={browser.client.cookies['__Host-form']}"
    browser.client.cookies.clear()

    response = await browser.send(
        page, {**FROM_HERE, "Cookie": f"{cookie}; {cookie}"}, email=ANN, password=PASSWORD
    )

    assert response.status_code == 400
    assert "ambiguous_session" in response.text


@pytest.mark.parametrize("kind", [RuntimeError, BaselineError])
async def test_a_defect_is_no_page(
    inn: Inn, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise kind("a defect")

    await inn.add_user()
    monkeypatch.setattr(inn.app.state.users, "authenticate", fail)

    response = await (await inn.browser()).sign_in()

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "a defect" not in response.text


async def test_pages_of_the_applications_own_stay(inn: Inn) -> None:
    app = FastAPI()
    own = app.state.pages = Pages(title="The Other Inn")
    app.include_router(make_sign_in_pages_router())

    async with app.router.lifespan_context(app):
        assert app.state.pages is own


async def test_no_page_is_forgotten_and_none_is_in_the_document(inn: Inn) -> None:
    paths = inn.app.openapi()["paths"]

    assert [str(one) for one in find_undecided(inn.app) if "sign" in str(one)] == []
    assert {path for path in paths if "sign" in path} <= {
        "/auth/sign-in",
        "/auth/sign-in/second-factor",
    }
