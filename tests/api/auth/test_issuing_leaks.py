import json
import logging
import re
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, BasicAuth, Response
from joserfc import jwt
from joserfc.jwk import ECKey
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from sqlalchemy import select

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth.login import ProviderAccessToken
from fastapi_baseline.auth.server import ClientDescription
from fastapi_baseline.auth.server.clients import RegisteredClient
from fastapi_baseline.auth.server.protocol.pkce import make_challenge
from fastapi_baseline.auth.server.signing_key_models import OAuthSigningKey
from fastapi_baseline.auth.users import Argon2Cost, PasswordHasher, UserRecord
from fastapi_baseline.auth.users.routes import make_users_router
from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.settings import (
    AuthSettings,
    LogSettings,
    ManagementSettings,
    SessionSettings,
    UserSettings,
)
from fastapi_baseline.settings.auth import AuthorizationServerSettings, LoginSettings
from fastapi_baseline.testing import ManualClock, create_schema, running
from fastapi_baseline.testing.issuer_endpoints import Answer
from fastapi_baseline.testing.login_provider import TOKEN_PATH, LoginProvider
from tests.api.auth.leak_search import (
    SITE,
    Lines,
    Planted,
    drop_tables,
    dump_tables,
    listening,
    make_tracer_provider,
    read_spans,
)

PARTNER = "https://partner.test/callback"
HOME = "https://partner.test/bye"
EMAIL = "ann@example.com"
PASSWORD = "a long walk along the river at night"
PAGE = {"Origin": SITE, "Sec-Fetch-Site": "same-origin"}
SCRIPT = {**PAGE, "X-Requested-With": "test"}
SCOPES = "openid email offline_access orders:read"
BY_KEY = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
HASHER = PasswordHasher(cost=Argon2Cost(memory=8, passes=1, threads=1))
PREFIXES = ("auth_", "oauth_", "leak_")


class Confider(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "leak_confider"


class TalkingProvider(LoginProvider):
    """A provider of which the test knows every ID token that it has given out."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.id_tokens: list[str] = []

    def mint_id_token(
        self, subject: str, *, nonce: str | None = None, access_token: str = "", **claims: Any
    ) -> str:
        token = super().mint_id_token(subject, nonce=nonce, access_token=access_token, **claims)
        self.id_tokens.append(token)
        return token


@pytest.fixture
def planted() -> Planted:
    return Planted()


@pytest.fixture
def lines() -> Iterator[Lines]:
    # Of Authlib, what a service lets it say is said.
    with listening(lambda name: name.partition(".")[0] != "authlib") as lines:
        yield lines


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(clock: ManualClock) -> Iterator[TalkingProvider]:
    with TalkingProvider.serving(clock=clock) as provider:
        assert isinstance(provider, TalkingProvider)
        yield provider


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def app(
    lines: Lines,
    *,
    planted: Planted,
    provider: TalkingProvider,
    clock: ManualClock,
    spans: InMemorySpanExporter,
    tmp_path: Path,
) -> AsyncGenerator[FastAPI]:
    """Give a service that signs people in with a provider, and issues tokens to others."""
    del lines  # It listens from now on.
    settings = Settings(
        environment="test",
        database_url=SecretStr(f"sqlite:///{tmp_path / 'shop.db'}"),
        log=LogSettings(level="DEBUG"),
        management=ManagementSettings(token=SecretStr(planted.add("management", "m" * 32))),
        auth=AuthSettings(
            public_url=SITE,
            sessions=SessionSettings(enabled=True, idle_timeout=timedelta(hours=2)),
            users=UserSettings(page_url=SITE),
            login=LoginSettings(
                issuer=provider.url,
                client_id=provider.client_id,
                client_secret=SecretStr(planted.add("client", provider.client_secret)),
                userinfo=True,
            ),
            server=AuthorizationServerSettings(
                enabled=True, algorithm="ES256", scopes=("orders:read",)
            ),
            secret_keys=(SecretStr(planted.add("ring", "kf83h1ld0c7vb2ng6mz5xq9wrt4yepauj")),),
        ),
    )
    app = create_app(
        settings,
        configure_logging=False,
        package=None,
        clock=clock,
        tracer_provider=make_tracer_provider(spans),
    )
    app.include_router(make_users_router(Confider, hasher=HASHER))
    app.include_router(make_sign_in_pages_router())

    @app.get("/upstream")
    async def use_token(token: ProviderAccessToken) -> int:
        return len(token)

    @app.get("/broken")
    async def fail(token: ProviderAccessToken) -> int:
        raise RuntimeError(f"There is a token of {len(token)} characters.")

    await create_schema(app)
    async with running(app):
        yield app


class Story:
    """Somebody who does all that can be done here, and notes each secret that there is.

    `responses` are all answers but those whose purpose is to hand a secret to its owner.
    """

    def __init__(self, http: AsyncClient, *, app: FastAPI, planted: Planted) -> None:
        self.http = http
        self.app = app
        self.planted = planted
        self.responses: list[Response] = []

    async def send(
        self, method: str, path: str, *, hands_out: bool = False, **options: Any
    ) -> Response:
        response = await self.http.request(method, path, **options)
        self.planted.add_cookies(response)
        if not hands_out:
            self.responses.append(response)
        return response

    async def show(self, path: str) -> dict[str, str]:
        """Look at a page with a form, and return the fields that are hidden in it."""
        page = await self.send("GET", path, hands_out=True)
        assert page.status_code == 200, page.text
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
        fields = {name: unescape(value) for name, value in found}
        self.planted.add("form token", fields["csrf_token"])
        return fields

    async def ask(self, client: RegisteredClient | None, path: str, **form: str) -> Response:
        """Send a form as a client, with its secret if it has one."""
        auth: Any = None
        if client is not None and client.secret is not None:
            auth = BasicAuth(client.client.client_id, client.secret.get_secret_value())
        elif client is not None:
            form = {"client_id": client.client.client_id, **form}
        return await self.send("POST", path, data=form, auth=auth, hands_out=True)

    async def get_tokens(self, client: RegisteredClient, **form: str) -> dict[str, str]:
        answer = await self.ask(client, "/oauth2/token", **form)
        assert answer.status_code == 200, answer.text
        found: dict[str, str] = answer.json()
        for name in ("access_token", "refresh_token", "id_token"):
            if name in found:
                self.planted.add_token(name, found[name])
        return found

    async def refused(self, client: RegisteredClient | None, path: str, **form: str) -> Response:
        answer = await self.ask(client, path, **form)
        assert answer.status_code >= 400, answer.text
        self.responses.append(answer)
        return answer


def find_query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


async def add_user(app: FastAPI) -> None:
    async with app.state.database.transaction() as session:
        session.add(
            Confider(
                email=EMAIL,
                email_verified_at=app.state.authentication.clock.now(),
                password_hash=await HASHER.hash(PASSWORD),
            )
        )


async def add_client(story: Story, name: str, **more: Any) -> RegisteredClient:
    values: dict[str, Any] = {
        "auth_method": "client_secret_basic",
        "grant_types": ("authorization_code", "refresh_token"),
        "redirect_uris": (PARTNER,),
        "post_logout_redirect_uris": (HOME,),
        "scopes": tuple(SCOPES.split()),
        **more,
    }
    server = story.app.state.authorization_server
    added: RegisteredClient = await server.clients.add(ClientDescription(name=name, **values))
    if added.secret is not None:
        story.planted.add(f"secret of {name}", added.secret.get_secret_value())
    return added


def make_request(
    story: Story, client: RegisteredClient, number: int, **more: str
) -> tuple[dict[str, str], str]:
    """Return a request of a client, and the verifier of its code."""
    verifier = story.planted.add(
        "verifier", f"{number}-verifier-of-at-least-forty-three-characters"
    )
    query = {
        "client_id": client.client.client_id,
        "redirect_uri": PARTNER,
        "response_type": "code",
        "scope": SCOPES,
        "state": story.planted.add_asked("state", f"{number}-state-of-the-partner"),
        "nonce": story.planted.add_asked("nonce", f"{number}-nonce-of-the-partner"),
        "code_challenge": make_challenge(verifier),
        "code_challenge_method": "S256",
        **more,
    }
    return query, verifier


def read_code(story: Story, answer: Response) -> str:
    """Return the code that a client gets."""
    assert answer.status_code == 303, answer.text
    location: str = answer.headers["location"]
    assert location.startswith(f"{PARTNER}?"), location
    return story.planted.add("code", find_query(location)["code"])


async def sign_in_and_agree(story: Story, client: RegisteredClient) -> tuple[str, str]:
    """Return the code that comes of a whole flow in a browser, and its verifier."""
    query, verifier = make_request(story, client, 1, login_hint=EMAIL)
    asked = await story.send("GET", "/oauth2/authorize", params=query)
    form = await story.show(asked.headers["location"])
    wrong = story.planted.add("password", "wrong, wrong and wrong again!")
    await story.send("POST", "/sign-in", data={**form, "email": EMAIL, "password": wrong})
    signed_in = await story.send(
        "POST", "/sign-in", data={**form, "email": EMAIL, "password": PASSWORD}
    )
    page: str = signed_in.headers["location"]
    assert page.startswith("/oauth2/interactions/")
    form = await story.show(page)
    made_up = story.planted.add("made-up form token", "a-form-token-that-nobody-has-given-out")
    refused = await story.send("POST", page, data={"csrf_token": made_up, "decision": "allow"})
    assert refused.status_code == 403
    agreed = await story.send("POST", page, data={**form, "decision": "allow"}, hands_out=True)
    code = read_code(story, agreed)
    await story.send("POST", page, data={**form, "decision": "allow"})
    return code, verifier


async def get_another_code(story: Story, client: RegisteredClient, number: int) -> tuple[str, str]:
    query, verifier = make_request(story, client, number)
    answer = await story.send("GET", "/oauth2/authorize", params=query, hands_out=True)
    return read_code(story, answer), verifier


def redeeming(code: str, verifier: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": PARTNER,
    }


def refreshing(token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token}


async def be_a_client(story: Story, *, clock: ManualClock) -> None:
    """Get tokens, use them, refresh and replay them, ask about them, and give them back."""
    partner = await add_client(story, "partner")
    poster = await add_client(story, "poster", auth_method="client_secret_post")
    code, verifier = await sign_in_and_agree(story, partner)
    other_code = story.planted.add("made-up code", f"fbc_{'0123456789abcdef' * 2}")
    other_verifier = story.planted.add("wrong verifier", f"{verifier}-and-more")
    assert poster.secret is not None
    posted = {
        "client_id": poster.client.client_id,
        "client_secret": poster.secret.get_secret_value(),
    }

    await story.refused(partner, "/oauth2/token", **redeeming(other_code, verifier))
    await story.refused(partner, "/oauth2/token", **redeeming(code, other_verifier))
    await story.refused(None, "/oauth2/token", **redeeming(code, verifier), **posted)
    first = await story.get_tokens(partner, **redeeming(code, verifier))
    second = await story.get_tokens(partner, **refreshing(first["refresh_token"]))
    # An accident, and then a theft.
    await story.refused(partner, "/oauth2/token", **refreshing(first["refresh_token"]))
    clock.advance(timedelta(minutes=1))
    await use(story, partner, second)
    await story.refused(partner, "/oauth2/token", **refreshing(first["refresh_token"]))
    await story.refused(partner, "/oauth2/token", **refreshing(second["refresh_token"]))
    await use(story, partner, second)

    # Another one, whose code comes twice, and one that is given back.
    code, verifier = await get_another_code(story, partner, 2)
    third = await story.get_tokens(partner, **redeeming(code, verifier))
    await story.refused(partner, "/oauth2/token", **redeeming(code, verifier))
    await story.refused(partner, "/oauth2/token", **refreshing(third["refresh_token"]))
    code, verifier = await get_another_code(story, partner, 3)
    fourth = await story.get_tokens(partner, **redeeming(code, verifier))
    for name in ("refresh_token", "access_token"):
        # Of another client first.
        await story.refused(None, "/oauth2/revoke", token=fourth[name], **posted)
        assert (await story.ask(partner, "/oauth2/revoke", token=fourth[name])).is_success
    await use(story, partner, fourth)
    await ask_with_a_key(story, clock=clock)
    await send_secrets_astray(story, partner, {**third, "code": code, "verifier": verifier})
    await sign_out(story, partner, fourth)


async def use(story: Story, client: RegisteredClient, tokens: dict[str, str]) -> None:
    """Ask about tokens, and for the user whom they are of."""
    for name in ("access_token", "refresh_token", "id_token"):
        answer = await story.ask(client, "/oauth2/introspect", token=tokens[name])
        assert answer.status_code == 200, answer.text
        story.responses.append(answer)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    await story.send("GET", "/oauth2/userinfo", headers=bearer)
    await story.send("POST", "/oauth2/userinfo", data={"access_token": tokens["access_token"]})
    await story.send("GET", "/auth/grants", headers=bearer)


async def ask_with_a_key(story: Story, *, clock: ManualClock) -> None:
    """Be a client that signs who it is, well and not so well."""
    key, stranger = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    job = await add_client(
        story,
        "job",
        auth_method="private_key_jwt",
        grant_types=("client_credentials",),
        redirect_uris=(),
        post_logout_redirect_uris=(),
        scopes=("orders:read",),
        jwks={"keys": [key.as_dict(private=False)]},
    )
    client_id = job.client.client_id
    now = int(clock.now().timestamp())
    for number, signer in enumerate((key, stranger)):
        claims = {"iss": client_id, "sub": client_id, "aud": SITE, "exp": now + 60}
        signed = jwt.encode({"alg": "ES256"}, {**claims, "jti": f"{number}"}, signer)
        assertion = story.planted.add_token("assertion", signed)
        form = {"client_assertion_type": BY_KEY, "client_assertion": assertion}
        if signer is key:
            await story.get_tokens(job, grant_type="client_credentials", **form)
        await story.refused(job, "/oauth2/token", grant_type="client_credentials", **form)
    rotated = await story.app.state.authorization_server.clients.rotate_secret(
        (await add_client(story, "changing")).client.client_id
    )
    story.planted.add("new secret", rotated.secret.get_secret_value())


async def send_secrets_astray(
    story: Story, client: RegisteredClient, secrets: dict[str, str]
) -> None:
    """Send secrets where none belong: in URLs, in the wrong fields, twice, and as nonsense."""
    values = [
        *(secrets[name] for name in ("access_token", "refresh_token", "id_token")),
        *(secrets[name] for name in ("code", "verifier")),
        story.planted.add("nonsense", "what-nobody-has-ever-given-out"),
    ]
    path = "/oauth2/token"
    for value in values:
        named = ("token", "access_token", "client_secret", "code", "code_verifier")
        query = dict.fromkeys(named, value)
        await story.send("POST", path, params=query, data={"grant_type": value})
        await story.send("POST", path, data={"grant_type": "x"}, auth=BasicAuth("partner", value))
        await story.send("POST", path, headers={"Authorization": f"Basic {value}"})
        wanted, _ = make_request(story, client, 4)
        # Unknown parameters are ignored. Of those that are known, only what looks like a secret is
        # taken for one: what a client says of itself there is none.
        looks_secret = value.startswith(("eyJ", "fbc_", "fbr_", "fbs_"))
        for name in ("id_token_hint", "redirect_uri", "scope")[: 3 if looks_secret else 1]:
            await story.send("GET", "/oauth2/authorize", params={**wanted, **query, name: value})
        end = {"id_token_hint": value, "state": wanted["state"], "client_id": "partner"}
        await story.send("GET", "/oauth2/end-session", params=end)
    value = values[-1]
    for path in ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/oauth2/userinfo"):
        await story.send("POST", path, content=f"token={value}&token={value}&x", headers=FORM)
        await story.send("POST", path, json={"token": value})
        await story.send("GET", path, params={"token": value})
        await story.send("GET", path, headers={"Authorization": f"Bearer {value}"})
    nobody = f"/oauth2/interactions/{'0' * 32}"
    await story.send("GET", nobody, params={"token": value})


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def sign_out(story: Story, client: RegisteredClient, tokens: dict[str, str]) -> None:
    state = story.planted.add_asked("state", "state-of-who-signs-out")
    end = {
        "id_token_hint": tokens["id_token"],
        "post_logout_redirect_uri": HOME,
        "state": state,
        "client_id": client.client.client_id,
    }
    answer = await story.send("GET", "/oauth2/end-session", params=end)
    if answer.status_code == 200:
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.text))
        story.responses.remove(answer)
        form = {name: unescape(value) for name, value in form.items()}
        story.planted.add("form token", form["csrf_token"])
        answer = await story.send(
            "POST", "/oauth2/end-session", data={**form, "decision": "sign_out"}
        )
    assert answer.headers["location"].startswith(HOME)
    assert (await story.send("GET", "/auth/session")).status_code == 401


async def sign_in_with_provider(story: Story, provider: TalkingProvider) -> None:
    """Sign in with a provider; before that, come back wrongly in all kinds of ways."""
    url = await begin_sign_in(story)
    secret = story.planted.add("what the provider says", "a-secret-in-a-description")
    told = story.planted.add_asked("description", "what-the-provider-says-of-it")
    await story.send("GET", provider.refuse(url, error_description=told, error_uri=told))
    await story.send("GET", f"/auth/callback?{urlencode({'code': secret, 'state': told})}")
    await story.send("GET", f"/auth/callback?{urlencode({'error': told, 'state': told})}")
    # The provider fails, and what it says has a secret in it.
    for answer in (
        httpx2.Response(500, text=secret),
        httpx2.Response(400, json={"error": secret, "error_description": secret}),
        httpx2.Response(200, text=f"access_token={secret}"),
        httpx2.Response(
            200, json={"access_token": secret, "token_type": "Bearer", "id_token": secret}
        ),
        httpx2.Response(200, json={"access_token": secret, "expires_in": secret}),
        httpx2.Response(302, headers={"Location": "https://elsewhere.test/"}, text=secret),
    ):
        await come_back_while(story, provider, answers(answer))
    await come_back(story, provider, await begin_sign_in(story), id_token={"nonce": secret})
    await come_back(story, provider, await begin_sign_in(story), id_token={"aud": secret})
    await come_back(story, provider, await begin_sign_in(story), userinfo={"sub": secret})
    url = await begin_sign_in(story)
    back = await come_back(story, provider, url)
    assert (await story.send("GET", "/auth/session")).status_code == 200
    # Once more, with the cookie it had.
    await story.send("GET", back)


def answers(response: httpx2.Response) -> Answer:
    return lambda _: response


async def begin_sign_in(story: Story) -> str:
    answer = await story.send("GET", "/auth/login", params={"return_to": "/orders"}, hands_out=True)
    url: str = answer.headers["location"]
    asked = find_query(url)
    story.planted.add_asked("state for the provider", asked["state"])
    story.planted.add_asked("nonce for the provider", asked["nonce"])
    return url


async def come_back_while(story: Story, provider: TalkingProvider, answer: Answer) -> None:
    right = provider.endpoints.answers[TOKEN_PATH]
    seen: list[str] = []

    def note_and_answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(dict(parse_qsl(request.content.decode()))["code_verifier"])
        return answer(request)

    provider.endpoints.answers[TOKEN_PATH] = note_and_answer
    await come_back(story, provider, await begin_sign_in(story))
    provider.endpoints.answers[TOKEN_PATH] = right
    story.planted.add("verifier for the provider", seen[-1])


async def come_back(
    story: Story,
    provider: TalkingProvider,
    url: str,
    *,
    id_token: dict[str, Any] | None = None,
    userinfo: dict[str, Any] | None = None,
) -> str:
    """Come back from the provider, which may not say what it should; return the address."""
    back = provider.sign_in(url, sid="a-session-there")
    story.planted.add("code of the provider", find_query(back)["code"])
    usual = provider.userinfo
    provider.id_token_claims, provider.userinfo = id_token or {}, userinfo or usual
    await story.send("GET", back)
    provider.id_token_claims, provider.userinfo = {}, usual
    return back


async def use_provider_tokens(story: Story, provider: TalkingProvider, clock: ManualClock) -> None:
    """Use the tokens of a provider that refreshes them, that fails, and that refuses."""
    assert (await story.send("GET", "/upstream")).status_code == 200
    clock.advance(provider.access_token_lifetime)
    assert (await story.send("GET", "/upstream")).status_code == 200
    assert (await story.send("GET", "/broken")).status_code == 500
    secret = story.planted.add("what the provider says", "a-secret-in-another-description")
    right = provider.endpoints.answers[TOKEN_PATH]
    for answer in (
        httpx2.Response(500, text=secret),
        httpx2.Response(400, json={"error": secret, "error_description": secret}),
        httpx2.Response(200, json={"access_token": [secret]}),
    ):
        clock.advance(provider.access_token_lifetime)
        provider.endpoints.answers[TOKEN_PATH] = answers(answer)
        assert (await story.send("GET", "/upstream")).status_code == 503
    provider.endpoints.answers[TOKEN_PATH] = right
    clock.advance(timedelta(minutes=1))
    assert (await story.send("GET", "/upstream")).status_code == 200


async def sign_out_with_provider(story: Story, provider: TalkingProvider) -> None:
    """Be signed out by the provider, by a script, and by a form; with nonsense before."""
    for token in (
        story.planted.add("nonsense", "no-logout-token-at-all"),
        provider.mint_logout_token(subject="ann", claims={"aud": "somebody else"}),
        provider.mint_logout_token(sid="of nobody"),
    ):
        story.planted.add_token("logout token", token)
        await story.send("POST", "/auth/backchannel-logout", data={"logout_token": token})
        await story.send("POST", "/auth/backchannel-logout", params={"logout_token": token})
    told = await story.send("POST", "/auth/logout", headers=SCRIPT, hands_out=True)
    address: str = told.json()["redirect_to"]
    sent = await story.send("GET", urlsplit(address).path, hands_out=True)
    hint = find_query(sent.headers["location"])["id_token_hint"]
    assert hint in provider.id_tokens
    assert (await story.send("GET", "/auth/session")).status_code == 401

    await come_back(story, provider, await begin_sign_in(story))
    token = story.planted.add_token("logout token", provider.mint_logout_token(subject="ann"))
    ended = await story.send("POST", "/auth/backchannel-logout", data={"logout_token": token})
    assert ended.status_code == 200
    assert (await story.send("GET", "/auth/session")).status_code == 401
    # This one goes on, so that it is among what is kept when that is looked at.
    await come_back(story, provider, await begin_sign_in(story))
    assert (await story.send("GET", "/upstream")).status_code == 200


def plant_what_the_provider_knows(provider: TalkingProvider, planted: Planted) -> None:
    for form in provider.forms:
        if "code_verifier" in form:
            planted.add("verifier for the provider", form["code_verifier"])
    for token in provider.access_tokens:
        planted.add("access token of the provider", token)
    for form in provider.forms:
        if "refresh_token" in form:
            planted.add("refresh token of the provider", form["refresh_token"])
    for token in provider.refresh_tokens:
        planted.add("refresh token of the provider", token)
    for token in provider.id_tokens:
        planted.add_token("ID token of the provider", token)


async def plant_private_keys(app: FastAPI, planted: Planted) -> None:
    """Plant what signs the tokens: the number that is the private half of a key."""
    await app.state.authorization_server.signing_keys.rotate(is_immediate=True)
    async with app.state.database.transaction() as session:
        rows = list(await session.scalars(select(OAuthSigningKey)))
    assert len(rows) == 2
    for row in rows:
        text = app.state.authorization_server.keys.decrypt(
            row.private_jwk, owner=f"signing key {row.kid}"
        )
        planted.add("private key", json.loads(text)["d"])


async def go_on_without_tables(story: Story) -> None:
    """Send secrets to a service whose database refuses every statement, and logs why."""
    partner = await add_client(story, "unlucky")
    await drop_tables(story.app.state.database.engine, prefixes=PREFIXES)
    code = story.planted.add("made-up code", f"fbc_{'fedcba9876543210' * 2}")
    token = story.planted.add("made-up token", f"fbr_{'fedcba9876543210' * 2}")
    verifier = story.planted.add("verifier", "v" * 43)
    failed = [
        await story.refused(partner, "/oauth2/token", **redeeming(code, verifier)),
        await story.refused(partner, "/oauth2/token", **refreshing(token)),
        await story.refused(partner, "/oauth2/introspect", token=token),
        await story.refused(partner, "/oauth2/revoke", token=token),
    ]
    wanted, _ = make_request(story, partner, 9)
    failed.append(await story.send("GET", "/oauth2/authorize", params=wanted))
    cookie = story.planted.add("made-up cookie", "c" * 43)
    path = f"/oauth2/interactions/{'0' * 32}"
    story.http.cookies.set("__Host-interaction-00000000", cookie, domain="shop.test")
    failed.append(await story.send("GET", path))
    back = {"state": "no state", "code": code}
    await story.send("GET", "/auth/callback", params=back)
    await story.send("POST", "/auth/logout", headers=SCRIPT)

    assert [one.status_code for one in failed if one.status_code < 500] == []


def read_files(folder: Path) -> bytes:
    """Return the files of the database, which also have what was deleted."""
    return b"".join(path.read_bytes() for path in folder.glob("shop.db*"))


async def dump_database(app: FastAPI) -> str:
    """Return all that is in the database, as text."""
    rows = await dump_tables(app.state.database.engine, prefixes=PREFIXES)
    kept = {row.partition(" ")[0] for row in rows}
    assert kept >= {"auth_session", "auth_login_entry", "oauth_client", "oauth_signing_key"}
    assert kept >= {"oauth_grant", "oauth_code", "oauth_refresh_token", "oauth_used_assertion"}
    return "\n".join(rows)


def told_by(response: Response) -> str:
    """Return an answer without what the browser is given to keep."""
    headers = [pair for pair in response.headers.multi_items() if pair[0] != "set-cookie"]
    return f"{response.status_code} {response.url.path} {sorted(headers)} {response.text}"


async def test_nothing_that_is_issued_or_fetched_is_anywhere_but_with_its_owner(
    app: FastAPI,
    *,
    provider: TalkingProvider,
    planted: Planted,
    clock: ManualClock,
    lines: Lines,
    spans: InMemorySpanExporter,
    tmp_path: Path,
) -> None:
    await add_user(app)
    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url=SITE, headers=PAGE) as http:
        story = Story(http, app=app, planted=planted)
        planted.add("password", PASSWORD)
        await be_a_client(story, clock=clock)
        http.cookies.clear()
        await sign_in_with_provider(story, provider)
        await use_provider_tokens(story, provider, clock)
        await sign_out_with_provider(story, provider)
        await plant_private_keys(app, planted)
        bearer = {"Authorization": f"Bearer {'m' * 32}"}
        metrics = await http.get("/metrics", headers=bearer)
        database = await dump_database(app)
        await go_on_without_tables(story)
    plant_what_the_provider_knows(provider, planted)
    places = {
        "log": "\n".join(lines.raw),
        "written log": "\n".join(lines.written),
        "metrics": metrics.text,
        "spans": read_spans(spans),
        "database": database,
        "database file": read_files(tmp_path),
    }
    told = [told_by(response) for response in story.responses]
    pages = [told_by(one) for one in story.responses if "location" not in one.headers]

    assert metrics.status_code == 200
    assert {name for name in SEEN if f'"{name}"' in metrics.text} >= SEEN
    assert not logging.getLogger("authlib").isEnabledFor(logging.DEBUG)
    assert {"httpcore2.http11", "httpx2", "sqlalchemy.engine.Engine"} <= lines.names
    assert len(planted.secrets) > 100
    assert {place: found for place in places if (found := planted.find_in(places[place]))} == {}
    assert [one for one in told if planted.find_in(one)] == []
    # What a client has asked with is sent back to it, and shown to nobody.
    assert planted.find_in("\n".join(lines.own) + metrics.text, with_asked=True) == []
    assert [one for one in pages if planted.find_in(one, with_asked=True)] == []


# So that nothing here passes because it did not happen.
SEEN = {
    "authorization_code_reused",
    "authorization_granted",
    "client_refused",
    "login_refused",
    "logout_received",
    "logout_refused",
    "refresh_token_reused",
    "refresh_token_reused_in_window",
    "refresh_token_used",
    "sign_in",
    "signing_key_changed",
    "token_issued",
    "token_revoked",
}
