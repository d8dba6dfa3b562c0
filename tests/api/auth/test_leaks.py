import base64
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from fastapi import Depends, FastAPI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from pyotp.totp import TOTP

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.api_keys import ApiKeys, KeyOwner
from fastapi_baseline.auth.api_keys.keys import make_key
from fastapi_baseline.auth.dependencies import CurrentPrincipal
from fastapi_baseline.auth.guards import RequireScopes
from fastapi_baseline.auth.sessions.routes import make_sessions_router
from fastapi_baseline.auth.users import (
    Argon2Cost,
    Letter,
    PasswordHasher,
    SmtpMailSender,
    SmtpServer,
    UserRecord,
)
from fastapi_baseline.auth.users.outbox import Outbox
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.persistence import Base, Database, UUIDPrimaryKey
from fastapi_baseline.redis import create_redis
from fastapi_baseline.settings import (
    ApiKeySettings,
    AuthSettings,
    DatabaseSettings,
    IssuerSettings,
    LogSettings,
    MailSettings,
    ManagementSettings,
    SessionSettings,
    UserSettings,
)
from fastapi_baseline.testing import (
    ManualClock,
    TokenIssuer,
    create_schema,
    free_port,
    make_signing_key,
    running,
)
from fastapi_baseline.testing.client import client_of
from fastapi_baseline.testing.issuer_endpoints import INTROSPECTION_PATH
from tests.api.auth.leak_search import (
    ENOUGH,
    SITE,
    Lines,
    Planted,
    drop_tables,
    dump_tables,
    listening,
    make_tracer_provider,
    read_spans,
)

EMAIL = "ann@example.com"
CHEAP = Argon2Cost(memory=8, passes=1, threads=1)
PAGE = {"Origin": SITE, "X-Requested-With": "test"}
PREFIXES = ("auth_", "leak_")


class Keeper(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "leak_keeper"


class Mailbox:
    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    def find_token(self) -> str:
        found = re.search(r"\b[0-9a-f]{64}\b", self.letters[-1].text)
        assert found is not None
        return found[0]


@pytest.fixture
def planted() -> Planted:
    return Planted()


@pytest.fixture
def lines() -> Iterator[Lines]:
    with listening() as lines:
        yield lines


@pytest.fixture(params=["sqlite", "sqlite and redis", "asyncpg and redis", "psycopg"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, issuer: TokenIssuer, planted: Planted
) -> Settings:
    kind: str = request.param
    driver = kind.partition(" ")[0]
    if driver == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        empty: str = request.getfixturevalue("postgres_url")
        url = empty.replace("postgresql://", f"postgresql+{driver}://", 1)
    redis = request.getfixturevalue("redis_url") if kind.endswith("redis") else None
    return make_settings(planted, issuer, url=url, redis=redis)


def make_settings(
    planted: Planted, issuer: TokenIssuer, *, url: str, redis: str | None
) -> Settings:
    secret = {
        name: SecretStr(planted.add(f"setting {name}", f"{name}-kf83h1ld0c7vb2ng6mz5xq9wrt4yepa"))
        for name in ("client", "cursor", "management", "ring", "smtp")
    }
    return Settings(
        environment="test",
        database_url=SecretStr(url),
        redis_url=None if redis is None else SecretStr(redis),
        log=LogSettings(level="DEBUG"),
        database=DatabaseSettings(cursor_key=secret["cursor"]),
        management=ManagementSettings(token=secret["management"]),
        mail=MailSettings(
            smtp_url=SecretStr(
                f"smtp://mailer:{secret['smtp'].get_secret_value()}@127.0.0.1:{free_port()}"
            )
        ),
        auth=AuthSettings(
            issuers=(
                IssuerSettings(
                    issuer=issuer.url,
                    audience=(issuer.audience,),
                    introspection_url=issuer.url + INTROSPECTION_PATH,
                    client_id="api",
                    client_secret=secret["client"],
                ),
            ),
            api_keys=ApiKeySettings(enabled=True),
            sessions=SessionSettings(enabled=True),
            users=UserSettings(
                registration="open",
                page_url=SITE,
                sign_ins_per_address=("1000/minute",),
                sign_ins_per_account=("5/minute",),
                mails_per_account=("100/hour",),
            ),
            secret_keys=(secret["ring"],),
        ),
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer(clock: ManualClock) -> Iterator[TokenIssuer]:
    with TokenIssuer.serving(clock=clock) as issuer:
        yield issuer


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def app(
    settings: Settings,
    *,
    lines: Lines,
    clock: ManualClock,
    mailbox: Mailbox,
    spans: InMemorySpanExporter,
) -> AsyncGenerator[FastAPI]:
    del lines  # It listens from now on.
    app = create_app(
        settings,
        configure_logging=False,
        package=None,
        clock=clock,
        tracer_provider=make_tracer_provider(spans),
    )
    app.include_router(make_users_router(Keeper, mail=mailbox, hasher=PasswordHasher(cost=CHEAP)))
    app.include_router(make_sessions_router())

    @app.get("/orders", dependencies=[Depends(RequireScopes(all=["orders:read"]))])
    async def list_orders() -> list[int]:
        return []

    @app.get("/me")
    async def show_me(principal: CurrentPrincipal) -> str:
        return str(principal)

    @app.get("/broken")
    async def fail(principal: CurrentPrincipal) -> str:
        raise RuntimeError(f"This fails for {principal.subject}.")

    await create_schema(app)
    async with running(app):
        yield app


class Story:
    """Somebody who does everything that can be done with secrets, and notes each of them.

    `responses` are all answers but those whose purpose is to hand a secret to its owner.
    """

    def __init__(
        self, client: httpx2.AsyncClient, *, app: FastAPI, planted: Planted, mailbox: Mailbox
    ) -> None:
        self.client = client
        self.app = app
        self.planted = planted
        self.mailbox = mailbox
        self.responses: list[httpx2.Response] = []
        client.headers.update(PAGE)

    async def post(self, path: str, *, hands_out: bool = False, **body: Any) -> httpx2.Response:
        response = await self.client.post(path, json=body)
        self._note(response, hands_out=hands_out)
        return response

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        response = await self.client.get(path, **options)
        self._note(response)
        return response

    def _note(self, response: httpx2.Response, *, hands_out: bool = False) -> None:
        self.planted.add_cookies(response)
        if not hands_out:
            self.responses.append(response)

    async def read_letter(self) -> str:
        await self.app.state.users.services.outbox.drain()
        return self.planted.add("link", self.mailbox.find_token())

    def password(self, text: str) -> str:
        return self.planted.add("password", text)


async def test_no_secret_is_anywhere_but_with_its_owner(
    app: FastAPI,
    *,
    settings: Settings,
    issuer: TokenIssuer,
    clock: ManualClock,
    planted: Planted,
    mailbox: Mailbox,
    lines: Lines,
    spans: InMemorySpanExporter,
    tmp_path: Path,
) -> None:
    async with client_of(app, base_url=SITE) as client:
        story = Story(client, app=app, planted=planted, mailbox=mailbox)
        await be_a_user(story, clock=clock)
        await be_a_program(story, issuer=issuer)
        await send_nonsense(story)
        token = settings.management.token
        assert token is not None
        metrics = await client.get(
            "/metrics", headers={"Authorization": f"Bearer {token.get_secret_value()}"}
        )
        database = await dump_database(app.state.database)
        await go_on_without_tables(story)
    places = {
        "log": "\n".join(lines.raw),
        "written log": "\n".join(lines.written),
        "metrics": metrics.text,
        "spans": read_spans(spans),
        "database": database,
        "database file": b"".join(read_files(tmp_path)),
        "redis": await dump_redis(settings),
    }
    told = [
        f"{one.status_code} {one.url.path} {sorted(one.headers.multi_items())} {one.text}"
        for one in story.responses
    ]

    assert metrics.status_code == 200
    assert "baseline_auth_events" in metrics.text
    assert len(planted.secrets) > 30
    assert len(lines.raw) > 500
    assert {place: found for place in places if (found := planted.find_in(places[place]))} == {}
    assert [one for one in told if planted.find_in(without_own_cookie(one))] == []


async def be_a_user(story: Story, *, clock: ManualClock) -> None:
    """Register, sign in, fail, forget, change and confirm, with a second factor and without."""
    first = story.password("the first of all passwords here")
    await story.post("/auth/register", email=EMAIL, password=first)
    verified = await story.post("/auth/verify-email", token=await story.read_letter())
    assert verified.is_success, verified.text
    await story.post("/auth/register", email=EMAIL, password=story.password("who has it already?"))
    await story.post("/auth/sign-in", email=EMAIL, password=story.password("wrong, wrong, wrong!"))
    nobody = story.password("for nobody at all, today")
    await story.post("/auth/sign-in", email="bob@example.com", password=nobody)
    await sign_in(story, first)
    second = story.password("the second of all passwords")
    changed = await story.post("/auth/password", current_password=first, new_password=second)
    assert changed.status_code == 204, changed.text
    assert (await story.get("/auth/me")).status_code == 200
    secret = await enable_second_factor(story, second, clock=clock)
    await story.get("/auth/session")
    await story.get("/auth/sessions")
    await story.get("/broken")
    await story.post("/auth/sign-out")

    story.client.cookies.clear()
    clock.advance(timedelta(minutes=1))
    await story.post("/auth/sign-in", email=EMAIL, password=second)
    code = TOTP(secret).generate_otp(TOTP(secret).timecode(clock.now()))
    assert (await story.post("/auth/sign-in/second-factor", code=code)).status_code == 200
    ended = story.client.cookies["__Host-session"]
    await story.post("/auth/password/forgot", email=EMAIL)
    third = story.password("the third of all passwords!")
    link = await story.read_letter()
    assert (await story.post("/auth/password/reset", token=link, password=third)).is_success
    again = story.password("nobody gets this one any more")
    assert (await story.post("/auth/password/reset", token=link, password=again)).is_error
    await story.post("/auth/sign-in", email=EMAIL, password=third)
    clock.advance(timedelta(minutes=1))
    code = TOTP(secret).generate_otp(TOTP(secret).timecode(clock.now()))
    signed_in = await story.post("/auth/sign-in", email=EMAIL, password=third, code=code)
    # It goes on, so that it is among what is kept when that is looked at.
    assert signed_in.json() == {"status": "signed_in"}
    assert "__Host-session" in story.client.cookies
    story.client.cookies.clear()
    # The cookie of a session that has ended, and one that never was.
    story.client.cookies.set("__Host-session", ended)
    assert (await story.get("/auth/me")).status_code == 401
    story.client.cookies.clear()
    story.client.cookies.set("__Host-session", planted_cookie(story))
    await story.get("/auth/me")
    story.client.cookies.clear()
    # Until there are too many attempts.
    tried = [
        (await story.post("/auth/sign-in", email=EMAIL, password=first)).status_code
        for _ in range(6)
    ]
    assert tried[-1] == 429


def planted_cookie(story: Story) -> str:
    return story.planted.add("made-up cookie", base64.urlsafe_b64encode(b"m" * 32).decode())


async def sign_in(story: Story, password: str) -> None:
    response = await story.post("/auth/sign-in", email=EMAIL, password=password)
    assert response.json() == {"status": "signed_in"}


async def enable_second_factor(story: Story, password: str, *, clock: ManualClock) -> str:
    started = await story.post("/auth/second-factor", hands_out=True, password=password)
    secret = story.planted.add("secret of second factor", started.json()["secret"])
    code = TOTP(secret).generate_otp(TOTP(secret).timecode(clock.now()))
    await story.post("/auth/second-factor/confirm", code="000000")
    confirmed = await story.post("/auth/second-factor/confirm", hands_out=True, code=code)
    codes: list[str] = confirmed.json()["recovery_codes"]
    for one in codes:
        story.planted.add("recovery code", one)
        story.planted.add("recovery code", re.sub("[^A-Za-z0-9]", "", one))
    return secret


async def be_a_program(story: Story, *, issuer: TokenIssuer) -> None:
    """Come with tokens and keys, good ones and bad ones, where they belong and where not."""
    story.client.cookies.clear()
    tokens = [
        issuer.mint(scopes=["orders:read"]),
        issuer.mint(),
        issuer.mint(lifetime=timedelta(minutes=-5)),
        issuer.mint(key=make_signing_key("ES256")),
        issuer.mint(claims={"aud": "https://other.test"}),
        issuer.mint_unsigned(),
        issuer.mint_opaque(scopes=["orders:read"]),
        "an-opaque-token-that-nobody-knows",
    ]
    statuses: list[int] = []
    for token in tokens:
        story.planted.add("token", token)
        signature = token.rpartition(".")[2]
        if len(signature) >= ENOUGH:
            story.planted.add("signature", signature)
        headers = {"Authorization": f"Bearer {token}"}
        statuses.append((await story.get("/orders", headers=headers)).status_code)
        await story.get("/broken", headers=headers)
        await story.get("/orders", params={"access_token": token})
        await story.get("/nowhere", params={"token": token}, headers=headers)
        await story.get("/orders", headers=[("Authorization", f"Bearer {token}")] * 2)
    assert statuses == [200, 403, 401, 401, 401, 401, 200, 401]

    keys: ApiKeys = story.app.state.api_keys
    issued = await keys.issue("of the test", KeyOwner("program"), scopes=["orders:read"])
    key = story.planted.add("key", issued.secret.get_secret_value())
    story.planted.add("secret of key", key.split("_")[2])
    changed = story.planted.add("changed key", key[:-10] + "0" * 10)
    assert (await story.get("/orders", headers={"X-API-Key": key})).status_code == 200
    assert (await story.get("/orders", headers={"X-API-Key": changed})).status_code == 401
    await story.get("/orders", headers={"X-API-Key": key, "Authorization": f"Bearer {tokens[0]}"})
    await story.get("/broken", headers={"X-API-Key": key})
    await keys.revoke(issued.record.id)
    await keys.write_usage()
    assert (await story.get("/orders", headers={"X-API-Key": key})).status_code == 401
    for scheme in ("Basic", "Digest", "bearer", "Bearer  ", ""):
        value = story.planted.add("nonsense", f"credentials-of-{scheme.strip() or 'none'}")
        await story.get("/orders", headers={"Authorization": f"{scheme} {value}".strip()})


async def send_nonsense(story: Story) -> None:
    """Send secrets in bodies that do not validate, are no JSON, or are of another type."""
    secret = story.password("where does this one end up?")
    for path in (
        "/auth/sign-in",
        "/auth/register",
        "/auth/password/reset",
        "/auth/verify-email",
        "/auth/sign-in/second-factor",
    ):
        for body in (
            {"email": 5, "password": secret, "token": [secret], "code": {secret: secret}},
            {
                "email": "x" * 400,
                "password": secret * 100,
                "token": secret * 100,
                "code": secret * 9,
            },
            {"password": secret},
            [secret],
            secret,
        ):
            response = await story.client.post(path, json=body)
            assert response.is_error, (path, body)
            story.responses.append(response)
        for content, kind in (
            (f'{{"password": "{secret}"', "application/json"),
            (f"password={quote(secret)}", "application/x-www-form-urlencoded"),
            (secret, "text/plain"),
        ):
            response = await story.client.post(
                path, content=content, headers={"Content-Type": kind}
            )
            story.responses.append(response)


async def go_on_without_tables(story: Story) -> None:
    """Send secrets to a service whose database refuses every statement, and logs why."""
    await drop_tables(story.app.state.database.engine, prefixes=PREFIXES)
    story.client.cookies.set("__Host-session", planted_cookie(story))
    await story.get("/auth/me")
    story.client.cookies.clear()
    # Another account, since attempts for the first one are used up.
    password = story.password("there is nothing to compare it to")
    broken = await story.post("/auth/sign-in", email="eve@example.com", password=password)
    await story.post("/auth/register", email="eve@example.com", password=password)
    link = story.planted.add("made-up link", "5ec2e7" * 10)
    await story.post("/auth/password/reset", token=link, password=password)
    key = story.planted.add("made-up key", make_key("key").text)
    refused = await story.get("/orders", headers={"X-API-Key": key})
    assert (broken.status_code, refused.status_code) == (500, 500)


def without_own_cookie(told: str) -> str:
    """Return an answer without what the browser is given to keep."""
    return re.sub(r"\('set-cookie', '[^']*'\)", "", told)


def read_files(folder: Path) -> list[bytes]:
    """Return the files of an SQLite database, which also have what was deleted; else nothing."""
    return [path.read_bytes() for path in folder.glob("shop.db*")]


async def dump_database(database: Database) -> str:
    """Return all that is in a database, as text and, where it is bytes, in hexadecimal digits."""
    rows = await dump_tables(database.engine, prefixes=PREFIXES)
    assert any(row.startswith("leak_keeper") for row in rows)
    assert any(row.startswith("auth_") for row in rows)
    return "\n".join(rows)


async def dump_redis(settings: Settings) -> str:
    """Return all keys and values of a Redis database; nothing if there is none."""
    if settings.redis_url is None:
        return ""
    async with create_redis(settings.redis_url.get_secret_value()) as client:
        keys: Sequence[Any] = await client.keys()  # pyright: ignore[reportUnknownMemberType] -- half typed
        found = [f"{key!r} {await client.dump(key)!r}" for key in keys]
    assert found
    return "\n".join(found)


async def test_a_mail_server_that_is_away_makes_no_letter_public(
    planted: Planted, lines: Lines
) -> None:
    password = planted.add("password of the mail server", "kf83h1ld0c7vb2ng6mz5xq9")
    link = planted.add("link", f"{SITE}/reset?token={'5ec2e7' * 10}")
    server = SmtpServer.from_url(f"smtp://mailer:{password}@127.0.0.1:{free_port()}")
    outbox = Outbox(SmtpMailSender(server, sender="shop@example.com"))

    await outbox.post(Letter(to=EMAIL, subject="A new password", text=f"Go to {link}"))

    assert any("A letter is lost" in line for line in lines.written)
    assert planted.find_in("\n".join((*lines.raw, repr(server)))) == []


def test_settings_do_not_show_secrets(planted: Planted, issuer: TokenIssuer) -> None:
    settings = make_settings(
        planted, issuer, url="postgresql://shop:kf83h1ld0c7vb2ng@db/shop", redis=None
    )
    planted.add("password of the database", "kf83h1ld0c7vb2ng")

    assert planted.find_in(f"{settings!r} {settings} {settings.model_dump_json()}") == []


def test_secrets_are_found_in_whatever_form(planted: Planted) -> None:
    secret = planted.add("password", "a + b = ü, or not?")
    encoded = base64.b64encode(secret.encode()).decode()

    for text in (secret, quote(secret), encoded, secret.encode().hex(), f"x{secret}y"):
        assert planted.find_in(text) == ["password 0"], text
    assert planted.find_in("a + b = u") == []
