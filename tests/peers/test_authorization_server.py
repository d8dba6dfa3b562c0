"""Clients that others have written, who sign people in with our authorization server."""

import json
import subprocess
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from joserfc.jwk import ECKey
from pydantic import SecretStr

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import Principal, RequireScopes
from fastapi_baseline.auth.server import (
    AuthorizationServer,
    ClientDescription,
)
from fastapi_baseline.auth.users import (
    Argon2Cost,
    PasswordHasher,
    UserRecord,
    make_users_router,
)
from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.settings.auth import (
    AuthorizationServerSettings,
    SessionSettings,
    UserSettings,
)
from fastapi_baseline.testing import create_schema

# None of them has types.
AUTHLIB: Any = import_module("authlib.integrations.httpx_client")
REQUESTS: Any = import_module("requests_oauthlib")
INVALID_GRANT: Any = import_module("oauthlib.oauth2.rfc6749.errors").InvalidGrantError

AUDIENCE = "https://api.example.com"
# Nobody listens there: the browsers of the judges stop when they are sent to it.
CALLBACK = "http://127.0.0.1:9/callback"
SIGNED_OUT = "http://127.0.0.1:9/signed-out"
SCOPES = ("openid", "profile", "email", "offline_access", "orders:read")
ANN = "ann@example.com"
PASSWORD = "correct horse battery staple"
HASHER = PasswordHasher(cost=Argon2Cost(memory=64, passes=1, threads=1))
TIMEOUT = timedelta(minutes=2)


class Customer(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """Somebody who signs in."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The running server, and who may use it."""

    url: str
    subject: str
    clients: Mapping[str, Mapping[str, Any]]
    rotate: Callable[[], object]

    def __getitem__(self, name: str) -> tuple[str, str | None]:
        """Return the identifier and the secret of a client."""
        client = self.clients[name]
        return client["id"], client.get("secret")

    def known_to_judges(self) -> str:
        """Return what the judges are told, as JSON."""
        user = {"email": ANN, "password": PASSWORD, "subject": self.subject}
        told = {
            "issuer": self.url,
            "audience": AUDIENCE,
            "callback": CALLBACK,
            "signedOut": SIGNED_OUT,
            "clients": self.clients,
            "users": {"ann": user},
        }
        return json.dumps(told)


@pytest.fixture(scope="module")
def judged(
    listening: Callable[..., AbstractContextManager[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Generator[Judged]:
    database = tmp_path_factory.mktemp("judged") / "shop.db"

    def make(base_url: str) -> FastAPI:
        return make_service(base_url, database)

    with listening(make, before=create_schema) as served:
        subject: str = served.call(lambda: add_user(served.app))
        clients = served.call(lambda: add_clients(served.app))
        server: AuthorizationServer = served.app.state.authorization_server
        yield Judged(
            url=served.base_url,
            subject=subject,
            clients=clients,
            rotate=lambda: served.call(lambda: server.signing_keys.rotate(is_immediate=True)),
        )


def make_service(base_url: str, database: Path) -> FastAPI:
    """Return a service that issues tokens, and takes them."""
    server = AuthorizationServerSettings(
        enabled=True,
        audience=(AUDIENCE,),
        scopes=("orders:read", "orders:write"),
        # What comes twice is a theft at once.
        reuse_leeway=timedelta(0),
    )
    settings = Settings(
        environment="test",
        service_name="shop",
        database_url=SecretStr(f"sqlite:///{database}"),
        auth=AuthSettings(
            public_url=base_url,
            sessions=SessionSettings(enabled=True),
            # The judges are many.
            users=UserSettings(page_url=base_url, sign_ins_per_address=("1000/minute",)),
            server=server,
            secret_keys=(SecretStr("a-secret-of-32-characters-or-more"),),
        ),
    )
    app = create_app(settings, configure_logging=False)
    app.include_router(make_users_router(Customer, hasher=HASHER))
    app.include_router(make_sign_in_pages_router())

    @app.get("/orders")
    async def list_orders(
        principal: Annotated[Principal, Depends(RequireScopes(all=["orders:read"]))],
    ) -> dict[str, Any]:
        return {"subject": principal.subject, "client": principal.client_id}

    return app


async def add_user(app: FastAPI) -> str:
    """Add a user with a password, and return the subject."""
    user = Customer(
        email=ANN,
        email_verified_at=SystemClock().now(),
        password_hash=await HASHER.hash(PASSWORD),
    )
    async with app.state.database.transaction() as session:
        session.add(user)
    return str(user.id)


async def add_clients(app: FastAPI) -> dict[str, dict[str, Any]]:
    """Add a client of each kind, and return what they know of themselves."""
    key = ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}, auto_kid=True)
    jwks = {"keys": [key.as_dict(private=False)]}
    kinds: dict[str, dict[str, Any]] = {
        "web": {},
        "post": {"auth_method": "client_secret_post"},
        "signer": {"auth_method": "private_key_jwt", "jwks": jwks},
        "page": {"auth_method": "none"},
        "partner": {"is_first_party": False},
        "service": {"grant_types": ("client_credentials",), "scopes": ("orders:read",)},
    }
    known: dict[str, dict[str, Any]] = {}
    for name, kind in kinds.items():
        is_of_users = "grant_types" not in kind
        common: dict[str, Any] = {
            "grant_types": ("authorization_code", "refresh_token"),
            "redirect_uris": (CALLBACK,) if is_of_users else (),
            "post_logout_redirect_uris": (SIGNED_OUT,) if is_of_users else (),
            "scopes": SCOPES,
            "is_first_party": is_of_users,
        }
        description = ClientDescription(name=name, client_id=f"the-{name}", **{**common, **kind})
        server: AuthorizationServer = app.state.authorization_server
        added = await server.clients.add(description)
        known[name] = {"id": added.client.client_id, "method": added.client.auth_method}
        if added.secret is not None:
            known[name]["secret"] = added.secret.get_secret_value()
    known["signer"]["jwk"] = key.as_dict(private=True)
    return known


# Judges of npm: each is one program, which says of each of its judgements what is wrong.

OPENID_CLIENT = [
    "finds the server and what it can do",
    "is sent back with an error when nobody is signed in and nobody may be asked",
    "is told that the user does not agree",
    "signs in a user who agrees",
    "finds the session of a user who has signed in",
    "is told when the user signed in",
    "has a code only once, and what it was good for ends",
    "has no tokens for a code with another verifier",
    "has no code without a challenge",
    "has a token of its own",
    "has no scope that it was not given",
    "learns nothing about the tokens of another client",
    "signs a user out, who comes back",
    *(
        f"{does} with {method}{more}"
        for method in ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
        for does, more in (
            ("signs in", ""),
            ("refreshes", ", and ends all if a token comes twice"),
            ("revokes", ""),
            ("asks about tokens", ""),
        )
        if (does, method) != ("asks about tokens", "none")
    ),
]
OAUTH4WEBAPI = [
    "finds the same in both documents",
    "finds every endpoint on the host of the issuer",
    "checks the signature of an ID token by the published keys",
    "signs in without a nonce and without a state",
    "accepts an access token of a user by RFC 9068",
    "accepts an access token of a client by RFC 9068",
    "takes no ID token for an access token",
    "is not taken for another service",
    "refreshes, and has an ID token of the same user",
    "is told what is wrong as RFC 6749 has it",
    "is refused with a wrong secret, and told how to come",
    "is told who the user is",
    "is not told who the user is with a token that is none",
    "revokes a token, and asks about it",
    "is told an error of the request with the name of the server",
    "has only codes, whatever it asks for",
]


def judgements_of(program: str, judged: Judged, programs: Path) -> dict[str, str | None]:
    """Return what a judge says of the server: `None` of what is right."""
    done = subprocess.run(
        ["node", program, judged.known_to_judges()],
        cwd=programs,
        capture_output=True,
        text=True,
        timeout=TIMEOUT.total_seconds(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def openid_client(judged: Judged, programs: Path) -> Mapping[str, str | None]:
    return judgements_of("judge_openid_client.mjs", judged, programs)


@pytest.fixture(scope="module")
def oauth4webapi(judged: Judged, programs: Path) -> Mapping[str, str | None]:
    # So that it finds two keys, and has to know which of them has signed.
    judged.rotate()
    return judgements_of("judge_oauth4webapi.mjs", judged, programs)


@pytest.mark.parametrize("judgement", OPENID_CLIENT)
def test_openid_client(judgement: str, openid_client: Mapping[str, str | None]) -> None:
    assert openid_client[judgement] is None, openid_client[judgement]


@pytest.mark.parametrize("judgement", OAUTH4WEBAPI)
def test_oauth4webapi(judgement: str, oauth4webapi: Mapping[str, str | None]) -> None:
    assert oauth4webapi[judgement] is None, oauth4webapi[judgement]


def test_hears_all_that_they_say(
    openid_client: Mapping[str, str | None], oauth4webapi: Mapping[str, str | None]
) -> None:
    assert set(openid_client) == set(OPENID_CLIENT)
    assert set(oauth4webapi) == set(OAUTH4WEBAPI)


# requests-oauthlib, which is what most programs in Python have.


@pytest.fixture
def _without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def requests_session(judged: Judged, name: str, **more: Any) -> Any:
    return REQUESTS.OAuth2Session(
        judged[name][0],
        redirect_uri=CALLBACK,
        scope=["openid", "offline_access", "orders:read"],
        pkce="S256",
        **more,
    )


def redeemed(session: Any, judged: Judged, name: str, surfer: Any) -> dict[str, Any]:
    """Return the tokens of a user who has been sent to the server, and came back."""
    client_id, secret = judged[name]
    url, _ = session.authorization_url(f"{judged.url}/oauth2/authorize")
    where = surfer(email=ANN, password=PASSWORD).arrival(url, until=CALLBACK)
    proof: dict[str, Any] = {"auth": (client_id, secret)}
    if secret is None:
        proof = {"include_client_id": True}
    found: dict[str, Any] = session.fetch_token(
        f"{judged.url}/oauth2/token", authorization_response=where, **proof
    )
    return found


@pytest.mark.usefixtures("_without_tls")
@pytest.mark.parametrize("name", ["web", "page"])
def test_requests_oauthlib_signs_in_and_calls_a_route(
    name: str, judged: Judged, surfer: Any
) -> None:
    with requests_session(judged, name) as session:
        tokens = redeemed(session, judged, name, surfer)

        answer = session.get(f"{judged.url}/orders")

    assert tokens["token_type"] == "Bearer"
    assert answer.json() == {"subject": judged.subject, "client": judged[name][0]}


@pytest.mark.usefixtures("_without_tls")
@pytest.mark.parametrize("name", ["web", "page"])
def test_requests_oauthlib_refreshes_until_a_token_comes_twice(
    name: str, judged: Judged, surfer: Any
) -> None:
    client_id, secret = judged[name]
    proof = {"client_id": client_id} if secret is None else {"auth": (client_id, secret)}
    with requests_session(judged, name) as session:
        url = f"{judged.url}/oauth2/token"
        first = redeemed(session, judged, name, surfer)
        second = session.refresh_token(url, refresh_token=first["refresh_token"], **proof)

        refusals: list[str] = []
        for token in (first["refresh_token"], second["refresh_token"]):
            with pytest.raises(INVALID_GRANT) as caught:
                session.refresh_token(url, refresh_token=token, **proof)
            refusals.append(caught.value.error)

    assert second["refresh_token"] != first["refresh_token"]
    assert refusals == ["invalid_grant", "invalid_grant"]


@pytest.mark.usefixtures("_without_tls")
def test_requests_oauthlib_has_a_token_of_its_own(judged: Judged) -> None:
    client_id, secret = judged["service"]
    backend: Any = import_module("oauthlib.oauth2").BackendApplicationClient(client_id)
    with REQUESTS.OAuth2Session(client=backend, scope=["orders:read"]) as session:
        session.fetch_token(f"{judged.url}/oauth2/token", auth=(client_id, secret))

        answer = session.get(f"{judged.url}/orders")

    assert answer.json() == {"subject": client_id, "client": client_id}


# The client of Authlib, whose server ours is not.


def authlib_client(judged: Judged, name: str) -> Any:
    client_id, secret = judged[name]
    return AUTHLIB.AsyncOAuth2Client(
        client_id,
        secret,
        token_endpoint_auth_method=judged.clients[name]["method"],
        scope="openid offline_access orders:read",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=f"{judged.url}/oauth2/token",
    )


async def authlib_tokens(client: Any, judged: Judged, surfer: Any) -> dict[str, Any]:
    verifier = "a-verifier-of-43-characters-or-more-that-is-not-guessed"
    url, _ = client.create_authorization_url(
        f"{judged.url}/oauth2/authorize", code_verifier=verifier
    )
    where = surfer(email=ANN, password=PASSWORD).arrival(url, until=CALLBACK)
    found: dict[str, Any] = await client.fetch_token(
        authorization_response=where, code_verifier=verifier
    )
    return found


@pytest.mark.parametrize("name", ["web", "post", "page"])
async def test_authlib_signs_in_and_refreshes(name: str, judged: Judged, surfer: Any) -> None:
    async with authlib_client(judged, name) as client:
        first = await authlib_tokens(client, judged, surfer)
        before = await client.get(f"{judged.url}/orders")

        second = await client.refresh_token()
        after = await client.get(f"{judged.url}/orders")

    assert before.json() == after.json() == {"subject": judged.subject, "client": judged[name][0]}
    assert second["refresh_token"] != first["refresh_token"]


async def test_authlib_signs_in_with_a_key(judged: Judged, surfer: Any) -> None:
    rfc7523: Any = import_module("authlib.oauth2.rfc7523")
    client_id = judged["signer"][0]
    jwk: dict[str, Any] = judged.clients["signer"]["jwk"]
    client = authlib_client(judged, "signer")
    client.client_secret = ECKey.import_key(jwk)
    proof = rfc7523.PrivateKeyJWT(
        f"{judged.url}/oauth2/token", headers={"kid": jwk["kid"]}, alg="ES256"
    )
    client.register_client_auth_method(proof)
    async with client:
        await authlib_tokens(client, judged, surfer)

        answer = await client.get(f"{judged.url}/orders")

    assert answer.json() == {"subject": judged.subject, "client": client_id}


async def test_authlib_asks_about_tokens_and_revokes_them(judged: Judged, surfer: Any) -> None:
    async def is_active(token: str) -> bool:
        answer = await client.introspect_token(f"{judged.url}/oauth2/introspect", token=token)
        active: bool = answer.json()["active"]
        return active

    async with authlib_client(judged, "web") as client:
        tokens = await authlib_tokens(client, judged, surfer)
        held = [tokens["access_token"], tokens["refresh_token"]]
        before = [await is_active(token) for token in held]

        revoked = await client.revoke_token(
            f"{judged.url}/oauth2/revoke", token=tokens["refresh_token"]
        )
        after = [await is_active(token) for token in held]

    assert revoked.status_code == 200
    assert (before, after) == ([True, True], [False, False])


async def test_authlib_has_a_token_of_its_own(judged: Judged) -> None:
    async with authlib_client(judged, "service") as client:
        client.scope = "orders:read"
        await client.fetch_token(grant_type="client_credentials")

        answer = await client.get(f"{judged.url}/orders")

    assert answer.json() == {"subject": "the-service", "client": "the-service"}
