import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from sqlalchemy import select

from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.server import models
from fastapi_baseline.auth.server.clients import RegisteredClient
from fastapi_baseline.auth.server.digests import digest_of
from fastapi_baseline.auth.server.protocol import client_proofs
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from fastapi_baseline.testing.issuing import (
    CALLBACK,
    ORIGIN,
    PASSWORD,
    VERIFIER,
    IssuingService,
    SignedIn,
    open_issuing_service,
)

TOKEN = "/oauth2/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EC_KEY = ECKey.generate_key("P-256", {"kid": "own", "use": "sig"})
OTHER_KEY = ECKey.generate_key("P-256", {"kid": "own", "use": "sig"})


class Buyer(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    """A user whose tokens are attacked."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncGenerator[IssuingService]:
    async with open_issuing_service(Buyer, f"sqlite:///{tmp_path / 'issuer.db'}") as service:
        yield service


@pytest.fixture
async def user(service: IssuingService) -> SignedIn:
    return await service.sign_in(await service.add_user())


@pytest.fixture
async def client(service: IssuingService) -> RegisteredClient:
    return await service.add_client(client_id="shop")


@pytest.fixture
async def machine(service: IssuingService) -> RegisteredClient:
    return await service.add_machine(client_id="job")


def refusal(response: Response) -> tuple[int, str]:
    """Return how a request was refused, as RFC 6749, section 5.2, has it."""
    assert response.headers["content-type"] == "application/json", response.text
    assert response.headers["cache-control"] == "no-store"
    assert "access_token" not in response.text
    return response.status_code, response.json()["error"]


def basic(name: str, secret: str) -> dict[str, str]:
    text = f"{name}:{secret}".encode()
    return {"Authorization": f"Basic {base64.b64encode(text).decode()}"}


def secret_of(client: RegisteredClient) -> str:
    assert client.secret is not None
    return client.secret.get_secret_value()


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return found


INVALID_GRANT = (400, "invalid_grant")
INVALID_CLIENT = (401, "invalid_client")
INVALID_REQUEST = (400, "invalid_request")
INVALID_SCOPE = (400, "invalid_scope")


# S02: the verifier, with S256 and for every client.


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_s02_without_the_verifier_a_code_is_worth_nothing(
    service: IssuingService, user: SignedIn, method: str
) -> None:
    client = await service.add_client(auth_method=method)
    code = await service.get_code(client, user)
    malformed = ["", VERIFIER[:42], "a" * 129, f"{VERIFIER}\n", f"{VERIFIER}é", f"{VERIFIER}\x00"]
    others = [f"{VERIFIER}x", VERIFIER.swapcase()]

    refused = {
        verifier: refusal(await service.redeem(client, code, code_verifier=verifier))
        for verifier in (*malformed, *others)
    }

    assert refused == {
        **dict.fromkeys(malformed, INVALID_REQUEST),
        **dict.fromkeys(others, INVALID_GRANT),
    }
    assert (await service.redeem(client, code)).status_code == 200


async def test_s02_a_verifier_that_is_the_challenge_is_not_believed(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    code = await service.get_code(client, user, code_challenge="c" * 43)

    assert refusal(await service.redeem(client, code, code_verifier="c" * 43)) == INVALID_GRANT


async def test_s02_a_code_without_a_challenge_is_worth_nothing(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    code = await service.get_code(client, user, code_challenge="")

    assert refusal(await service.redeem(client, code)) == INVALID_GRANT
    assert refusal(await service.redeem(client, code, code_verifier="")) == INVALID_REQUEST


# S03: a code is good once (the race is in the tests with databases).


async def test_s03_a_code_that_comes_twice_ends_all_that_came_of_it(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    code = await service.get_code(client, user)
    tokens = (await service.redeem(client, code)).json()

    assert refusal(await service.redeem(client, code)) == INVALID_GRANT

    assert refusal(await service.refresh(client, tokens["refresh_token"])) == INVALID_GRANT
    assert service.events.names[-2:] == ["authorization_code_reused", "grant_revoked"]
    assert await service.server.grants.list(user.subject) == []


async def test_s03_a_code_that_was_refused_is_not_used_up(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    code = await service.get_code(client, user)

    await service.redeem(client, code, redirect_uri="https://evil.example/")

    assert (await service.redeem(client, code)).status_code == 200


# S04: whose code it is, where it was sent, and for how long it is good.


async def test_s04_a_code_of_another_client_is_worth_nothing_and_stays_good(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    other = await service.add_client(client_id="other")
    code = await service.get_code(client, user)

    assert refusal(await service.redeem(other, code)) == INVALID_GRANT

    assert (await service.redeem(client, code)).status_code == 200


async def test_s04_another_redirect_uri_is_not_believed(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    code = await service.get_code(client, user)
    others = [f"{CALLBACK}/", f"{CALLBACK}?a=b", CALLBACK.upper(), "https://evil.example/callback"]

    refused = [refusal(await service.redeem(client, code, redirect_uri=uri)) for uri in others]

    assert refused == [INVALID_GRANT] * len(others)


async def test_s04_oauth_2_1_needs_no_redirect_uri_at_the_token_endpoint(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    code = await service.get_code(client, user)

    assert (await service.redeem(client, code, redirect_uri="")).status_code == 200


async def test_s04_a_code_is_good_for_a_minute(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    in_time, too_late = [await service.get_code(client, user) for _ in range(2)]
    service.clock.advance(timedelta(seconds=59))

    assert (await service.redeem(client, in_time)).status_code == 200
    service.clock.advance(timedelta(seconds=1))
    assert refusal(await service.redeem(client, too_late)) == INVALID_GRANT


async def test_s04_a_code_dies_when_its_user_signs_out(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    codes = [
        await service.get_code(client, user, scopes=scopes)
        for scopes in (["openid"], ["openid", "offline_access"])
    ]

    await service.app.state.sessions.revoke(user.session.id, issuer=SELF, subject=user.subject)

    async with service.database.transaction() as session:
        ended = list(await session.scalars(select(models.OAuthGrant.revoked_because)))
    assert ended == ["session_ended"] * 2
    for code in codes:
        assert refusal(await service.redeem(client, code)) == INVALID_GRANT


async def test_s04_a_code_that_is_made_after_the_sign_out_is_worth_nothing(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    await service.app.state.sessions.revoke_all(SELF, user.subject)
    code = await service.get_code(client, user)

    assert refusal(await service.redeem(client, code)) == INVALID_GRANT
    assert await service.server.grants.list(user.subject) == []


# S05: refresh tokens: each once.


@pytest.fixture
async def tokens(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> Mapping[str, Any]:
    scopes = ["openid", "offline_access", "orders:read", "orders:write"]
    return await service.get_tokens(client, user, scopes=scopes)


async def test_s05_a_refresh_token_is_exchanged_for_another_one(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    first = tokens["refresh_token"]

    second = (await service.refresh(client, first)).json()["refresh_token"]

    assert second != first
    assert (await service.refresh(client, second)).status_code == 200


async def test_s05_within_the_window_a_second_use_gains_nothing_and_ends_nothing(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    newest = (await service.refresh(client, tokens["refresh_token"])).json()["refresh_token"]
    service.clock.advance(timedelta(seconds=9.9))

    assert refusal(await service.refresh(client, tokens["refresh_token"])) == INVALID_GRANT

    assert service.events.names[-1] == "refresh_token_reused_in_window"
    assert await service.is_alive(client, newest)


async def test_s05_after_the_window_a_second_use_ends_the_newest_too(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    newest = tokens["refresh_token"]
    for _ in range(3):
        newest = (await service.refresh(client, newest)).json()["refresh_token"]
    service.clock.advance(timedelta(seconds=10))

    assert refusal(await service.refresh(client, tokens["refresh_token"])) == INVALID_GRANT

    assert service.events.names[-2:] == ["refresh_token_reused", "grant_revoked"]
    assert not await service.is_alive(client, newest)


async def test_s05_without_a_window_every_second_use_is_a_theft(tmp_path: Path) -> None:
    server = {"reuse_leeway": timedelta(0)}
    url = f"sqlite:///{tmp_path / 'strict.db'}"
    async with open_issuing_service(Buyer, url, server=server) as service:
        client = await service.add_client()
        user = await service.sign_in(await service.add_user())
        first = (await service.get_tokens(client, user))["refresh_token"]
        newest = (await service.refresh(client, first)).json()["refresh_token"]

        assert refusal(await service.refresh(client, first)) == INVALID_GRANT

        assert not await service.is_alive(client, newest)


async def test_s05_a_refresh_token_of_another_client_is_worth_nothing_and_stays_good(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    other = await service.add_client(client_id="other")

    assert refusal(await service.refresh(other, tokens["refresh_token"])) == INVALID_GRANT

    assert await service.is_alive(client, tokens["refresh_token"])


async def test_s05_another_client_cannot_end_a_grant_with_a_used_token(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    other = await service.add_client(client_id="other")
    newest = (await service.refresh(client, tokens["refresh_token"])).json()["refresh_token"]
    service.clock.advance(timedelta(minutes=1))

    assert refusal(await service.refresh(other, tokens["refresh_token"])) == INVALID_GRANT

    assert await service.is_alive(client, newest)


async def test_s05_a_narrower_access_token_leaves_the_refresh_token_as_wide_as_it_was(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    narrow = (await service.refresh(client, tokens["refresh_token"], scope="orders:read")).json()
    wide = (await service.refresh(client, narrow["refresh_token"])).json()

    assert claims_of(narrow["access_token"])["scope"] == narrow["scope"] == "orders:read"
    assert "id_token" not in narrow
    assert wide["scope"] == "offline_access openid orders:read orders:write"


async def test_s05_a_refresh_token_that_is_not_used_dies_after_two_weeks(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    service.clock.advance(timedelta(days=14))

    assert refusal(await service.refresh(client, tokens["refresh_token"])) == INVALID_GRANT


async def test_s05_a_grant_that_is_used_dies_after_ninety_days(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    newest = tokens["refresh_token"]
    for _ in range(8):
        service.clock.advance(timedelta(days=10))
        newest = (await service.refresh(client, newest)).json()["refresh_token"]
    service.clock.advance(timedelta(days=10))

    assert refusal(await service.refresh(client, newest)) == INVALID_GRANT


async def test_s05_a_revoked_grant_refreshes_nothing(
    service: IssuingService,
    client: RegisteredClient,
    user: SignedIn,
    tokens: Mapping[str, Any],
) -> None:
    (grant,) = await service.server.grants.list(user.subject)

    assert await service.server.grants.revoke(grant.id, subject=user.subject)

    assert refusal(await service.refresh(client, tokens["refresh_token"])) == INVALID_GRANT


# S06: after a sign-out (the races are in the tests with databases).


async def test_s06_a_sign_out_ends_what_was_allowed_in_the_session(
    service: IssuingService, client: RegisteredClient, user: SignedIn
) -> None:
    bound = (await service.get_tokens(client, user, scopes=["openid"]))["refresh_token"]
    free = (await service.get_tokens(client, user, scopes=["offline_access"]))["refresh_token"]

    await service.app.state.sessions.revoke(user.session.id, issuer=SELF, subject=user.subject)

    assert "session_ended" in [event.details.get("reason") for event in service.events.all]
    assert not await service.is_alive(client, bound)
    assert await service.is_alive(client, free)


async def test_s06_what_was_allowed_ends_with_a_session_that_nobody_uses(
    service: IssuingService, client: RegisteredClient, user: SignedIn
) -> None:
    tokens = await service.get_tokens(client, user, scopes=["openid"])
    service.clock.advance(timedelta(hours=2))

    assert refusal(await service.refresh(client, tokens["refresh_token"])) == INVALID_GRANT


async def test_s06_a_session_of_somebody_else_keeps_nothing_alive(
    service: IssuingService, client: RegisteredClient, user: SignedIn
) -> None:
    other = await service.sign_in(await service.add_user("bob@example.com"))
    code = await service.get_code(client, user, session_id=other.session.id, scopes=["openid"])

    assert refusal(await service.redeem(client, code)) == INVALID_GRANT


# S07: nobody gets more than was granted.


async def test_s07_a_refresh_gets_no_more_than_was_granted(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    wider = ["openid admin", "admin", "OPENID", "orders:read  openid", " openid", 'a"b', "é"]
    wider.append("profile")

    answers = [
        await service.refresh(client, tokens["refresh_token"], scope=scope) for scope in wider
    ]

    assert [refusal(answer) for answer in answers] == [INVALID_SCOPE] * len(wider)
    assert await service.is_alive(client, tokens["refresh_token"])


async def test_s07_a_client_gets_no_more_for_itself_than_it_may(service: IssuingService) -> None:
    machine = await service.add_machine(
        grant_types=("client_credentials", "authorization_code", "refresh_token"),
        redirect_uris=(CALLBACK,),
        scopes=("orders:read", "openid", "offline_access"),
    )
    wider = ["admin", "orders:read admin", "openid", "offline_access", "orders:READ", "orders"]

    answers = [
        await service.ask(machine, grant_type="client_credentials", scope=scope) for scope in wider
    ]

    assert [refusal(answer) for answer in answers] == [INVALID_SCOPE] * len(wider)


async def test_s07_a_client_that_asks_for_nothing_gets_what_it_may_and_nothing_of_users(
    service: IssuingService,
) -> None:
    machine = await service.add_machine(
        grant_types=("client_credentials", "authorization_code", "refresh_token"),
        redirect_uris=(CALLBACK,),
        scopes=("orders:read", "openid", "email", "offline_access"),
    )

    answer = (await service.ask(machine, grant_type="client_credentials")).json()

    assert answer["scope"] == "orders:read"
    assert not {"refresh_token", "id_token"} & answer.keys()
    assert not {"grant", "roles", "auth_time"} & claims_of(answer["access_token"]).keys()


async def test_s07_what_a_client_may_not_have_any_more_it_does_not_get(
    service: IssuingService, client: RegisteredClient, tokens: Mapping[str, Any]
) -> None:
    async with service.database.transaction() as session:
        stored = await session.get_one(models.OAuthClient, "shop")
        stored.scopes = ["openid"]

    assert refusal(await service.refresh(client, tokens["refresh_token"])) == INVALID_SCOPE


# S09: what can be exchanged for tokens.


async def test_s09_nothing_else_is_exchanged(service: IssuingService) -> None:
    machine = await service.add_machine()
    others = [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "Authorization_Code",
        "authorization_code refresh_token",
        'quote"backslash\\',
        "é\x00",
    ]

    for grant_type in others:
        answer = await service.ask(
            machine, grant_type=grant_type, username="ann@example.com", password=PASSWORD
        )
        assert refusal(answer) == (400, "unsupported_grant_type")
        assert grant_type not in answer.text


async def test_s09_a_client_uses_no_grant_type_that_is_not_its_own(
    service: IssuingService, user: SignedIn, machine: RegisteredClient
) -> None:
    client = await service.add_client(
        auth_method="client_secret_post", grant_types=("authorization_code",), scopes=("openid",)
    )
    tokens = await service.get_tokens(client, user)

    assert "refresh_token" not in tokens
    for asking, grant_type in (
        (client, "client_credentials"),
        (client, "refresh_token"),
        (machine, "authorization_code"),
    ):
        answer = await service.ask(asking, grant_type=grant_type, code="x", refresh_token="x")
        assert refusal(answer) == (400, "unauthorized_client")


async def test_s09_a_public_client_gets_nothing_for_itself(
    service: IssuingService, client: RegisteredClient
) -> None:
    answer = await service.ask(client, grant_type="client_credentials")

    assert refusal(answer) == INVALID_CLIENT


async def test_s09_who_does_not_say_what_is_exchanged_gets_nothing(
    service: IssuingService,
) -> None:
    forms = ["", "grant_type=", "grant%5Ftype=x%", "=authorization_code"]

    answers = [await service.http.post(TOKEN, content=form, headers=FORM) for form in forms]

    assert [refusal(answer) for answer in answers] == [
        INVALID_REQUEST,
        INVALID_REQUEST,
        (400, "unsupported_grant_type"),
        INVALID_REQUEST,
    ]


# S10: which client is asking.


def client_credentials(**form: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", **form}


async def test_s10_all_who_do_not_prove_who_they_are_get_the_same_answer(
    service: IssuingService, machine: RegisteredClient, client: RegisteredClient
) -> None:
    secret = secret_of(machine)
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        (basic("job", "wrong"), {}),
        (basic("nobody", secret), {}),
        (basic("job", ""), {}),
        (basic("", secret), {}),
        (basic("job", f"{secret}:"), {}),
        (basic("job", f"{secret} "), {}),
        (basic("job", secret.upper()), {}),
        (basic("JOB", secret), {}),
        (basic("job%", secret), {}),
        (basic("job%ff", secret), {}),
        (basic("shop", secret), {}),
        ({"Authorization": "Basic"}, {}),
        ({"Authorization": "Basic "}, {}),
        ({"Authorization": "Basic !!!"}, {}),
        ({"Authorization": f"Basic {base64.b64encode(b'job').decode()}"}, {}),
        ({"Authorization": f"Basic {base64.b64encode(bytes([255, 58, 254])).decode()}"}, {}),
        ({"Authorization": "Bearer x"}, {}),
        ({"Authorization": f"Basic {'A' * 5000}"}, {}),
        ({}, {}),
        ({}, {"client_id": "job"}),
        ({}, {"client_id": "nobody"}),
        ({}, {"client_id": "job", "client_secret": secret}),
        ({}, {"client_id": "shop", "client_secret": secret}),
        ({}, {"client_secret": secret}),
        ({}, {"client_id": "é\x00", "client_secret": secret}),
        ({}, {"client_id": "0" * 5000, "client_secret": secret}),
    ]

    answers = [
        await service.http.post(TOKEN, data=client_credentials(**form), headers=headers)
        for headers, form in attempts
    ]

    assert {(one.status_code, one.text) for one in answers} == {(401, answers[0].text)}
    assert {one.headers["www-authenticate"] for one in answers} == {'Basic realm="oauth2"'}
    assert {refusal(one) for one in answers} == {INVALID_CLIENT}
    assert service.events.names.count("client_refused") == len(attempts)


async def test_s10_a_client_says_in_one_way_who_it_is(
    service: IssuingService, machine: RegisteredClient
) -> None:
    headers = basic("job", secret_of(machine))
    more = [{"client_secret": "x"}, {"client_assertion": "x"}, {"client_assertion_type": "x"}]

    answers = [
        await service.http.post(
            TOKEN, data=client_credentials(client_id="job", **form), headers=headers
        )
        for form in more
    ]

    assert [refusal(answer) for answer in answers] == [INVALID_REQUEST] * len(more)


async def test_s10_two_headers_or_two_names_are_refused(
    service: IssuingService, machine: RegisteredClient
) -> None:
    header = basic("job", secret_of(machine))["Authorization"]

    twice = await service.http.post(
        TOKEN,
        data=client_credentials(),
        headers=[("Authorization", header), ("Authorization", header)],
    )
    other = await service.http.post(
        TOKEN, data=client_credentials(client_id="shop"), headers={"Authorization": header}
    )

    assert refusal(twice) == refusal(other) == INVALID_REQUEST


async def test_s10_nothing_that_is_secret_is_taken_from_the_url(
    service: IssuingService, machine: RegisteredClient
) -> None:
    headers = basic("job", secret_of(machine))
    names = ["client_id", "client_secret", "client_assertion", "code", "refresh_token"]

    answers = [
        await service.http.post(f"{TOKEN}?{name}=x", data=client_credentials(), headers=headers)
        for name in (*names, "grant_type", "code_verifier")
    ]

    assert {refusal(answer) for answer in answers} == {INVALID_REQUEST}


async def test_s10_what_is_encoded_in_a_header_is_what_it_stands_for(
    service: IssuingService, machine: RegisteredClient
) -> None:
    # RFC 6749, section 2.3.1: both are encoded as in a form before they are joined.
    encoded = "".join(f"%{ord(letter):02X}" for letter in secret_of(machine))

    answer = await service.http.post(
        TOKEN, data=client_credentials(), headers=basic(quote_plus("job"), encoded)
    )

    assert answer.status_code == 200


async def test_s10_unknown_clients_cost_as_much_as_wrong_secrets(
    service: IssuingService, machine: RegisteredClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    class CountingHmac:
        @staticmethod
        def compare_digest(one: str, other: str) -> bool:
            compared.append(len(one) + len(other))
            return hmac.compare_digest(one, other)

    monkeypatch.setattr(client_proofs, "hmac", CountingHmac)

    await service.http.post(TOKEN, data=client_credentials(), headers=basic("job", "wrong"))
    known = list(compared)
    compared.clear()
    await service.http.post(TOKEN, data=client_credentials(), headers=basic("nobody", "wrong"))

    assert compared == known == [128, 128]


async def test_s10_two_secrets_are_good_while_one_is_changed_and_never_three(
    service: IssuingService, machine: RegisteredClient
) -> None:
    first = secret_of(machine)
    second = secret_of(await service.server.clients.rotate_secret("job"))

    async def is_good(secret: str) -> bool:
        answer = await service.http.post(
            TOKEN, data=client_credentials(), headers=basic("job", secret)
        )
        return answer.status_code == 200

    assert [await is_good(one) for one in (first, second)] == [True, True]
    third = secret_of(await service.server.clients.rotate_secret("job"))
    assert [await is_good(one) for one in (first, second, third)] == [False, True, True]
    service.clock.advance(timedelta(days=1))
    assert [await is_good(one) for one in (second, third)] == [False, True]


# S10: clients with keys of their own (RFC 7523).


class KeyHolder:
    """A client with a key of its own."""

    def __init__(self, service: IssuingService) -> None:
        self.service = service
        self.now = int(service.clock.now().timestamp())

    def claims(self, **changed: Any) -> dict[str, Any]:
        claims = {
            "iss": "keyed",
            "sub": "keyed",
            "aud": f"{ORIGIN}{TOKEN}",
            "iat": self.now,
            "exp": self.now + 60,
            "jti": secrets.token_hex(8),
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    async def send(self, assertion: str, **form: str) -> Response:
        sent = client_credentials(
            client_assertion_type=ASSERTION_TYPE, client_assertion=assertion, **form
        )
        return await self.service.http.post(TOKEN, data=sent)

    async def ask(
        self, *, header: Mapping[str, str] | None = None, key: Any = EC_KEY, **changed: Any
    ) -> Response:
        said: dict[str, str] = {"alg": "ES256", "kid": "own", **(header or {})}
        claims = self.claims(**changed)
        return await self.send(jwt.encode(said, claims, key, algorithms=[said["alg"]]))


@pytest.fixture
async def holder(service: IssuingService) -> KeyHolder:
    await service.add_machine(
        client_id="keyed",
        auth_method="private_key_jwt",
        jwks={"keys": [EC_KEY.as_dict(private=False)]},
    )
    return KeyHolder(service)


async def test_s10_a_client_with_a_key_of_its_own_is_known_by_it(holder: KeyHolder) -> None:
    for audience in (ORIGIN, f"{ORIGIN}{TOKEN}", [ORIGIN]):
        assert (await holder.ask(aud=audience)).status_code == 200


async def test_s10_an_assertion_that_says_something_else_is_not_believed(
    holder: KeyHolder,
) -> None:
    changes: list[dict[str, Any]] = [
        {"iss": "job"},
        {"sub": "job"},
        {"sub": None},
        {"aud": None},
        {"aud": "https://other.example"},
        {"aud": f"{ORIGIN}/"},
        {"aud": [ORIGIN, "https://other.example"]},
        {"aud": []},
        {"exp": None},
        {"exp": True},
        {"exp": "soon"},
        {"exp": 0},
        {"exp": 253_402_300_800},
        {"nbf": 253_402_300_000},
        {"iat": 253_402_300_000},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"jti": "x" * 256},
    ]

    answers = [await holder.ask(**changed) for changed in changes]

    assert [refusal(answer) for answer in answers] == [INVALID_CLIENT] * len(changes)


async def test_s10_an_assertion_is_good_once(holder: KeyHolder) -> None:
    assert (await holder.ask(jti="once")).status_code == 200
    assert refusal(await holder.ask(jti="once")) == INVALID_CLIENT


async def test_s10_what_is_signed_for_something_else_is_no_assertion(holder: KeyHolder) -> None:
    for typ in ("at+jwt", "logout+jwt", "application/at+jwt"):
        assert refusal(await holder.ask(header={"typ": typ})) == INVALID_CLIENT


async def test_s10_an_assertion_that_the_client_has_not_signed_is_not_believed(
    holder: KeyHolder,
) -> None:
    # joserfc itself refuses the whole public key as a secret, so it is a part of it.
    public = OctKey.import_key(str(EC_KEY.as_dict(private=False)["x"]))
    rsa = RSAKey.generate_key(2048, {"kid": "own"})
    parts = [json.dumps(one).encode() for one in ({"alg": "none"}, holder.claims())]
    unsigned = ".".join(
        [*(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts), ""]
    )

    refused = [
        await holder.ask(key=OTHER_KEY),
        await holder.ask(header={"kid": "other"}),
        await holder.ask(header={"alg": "HS256"}, key=public),
        await holder.ask(header={"alg": "RS256"}, key=rsa),
        await holder.send(unsigned),
        await holder.send("x"),
        await holder.send("a.b.c"),
        await holder.send("é"),
        await holder.send("A" * 9000),
    ]

    assert {refusal(answer) for answer in refused} == {INVALID_CLIENT}


async def test_s10_an_assertion_needs_its_type_and_its_own_client(holder: KeyHolder) -> None:
    token = jwt.encode({"alg": "ES256"}, holder.claims(), EC_KEY, algorithms=["ES256"])
    form = client_credentials(client_assertion=token)

    untyped = await holder.service.http.post(TOKEN, data=form)
    other_type = await holder.service.http.post(
        TOKEN, data={**form, "client_assertion_type": "urn:ietf:params:oauth:saml2-bearer"}
    )
    other = await holder.send(token, client_id="job")

    assert {refusal(one) for one in (untyped, other_type, other)} == {INVALID_CLIENT}


# S11: whatever is sent, it is understood or refused.


async def test_s11_no_parameter_comes_twice(service: IssuingService) -> None:
    form = {
        "grant_type": "authorization_code",
        "client_id": "shop",
        "code": "x",
        "code_verifier": VERIFIER,
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "x": "y",
    }

    for name, value in form.items():
        twice = f"{urlencode(form)}&{name}={quote_plus(value)}"
        answer = await service.http.post(TOKEN, content=twice, headers=FORM)
        assert refusal(answer) == INVALID_REQUEST


async def test_s11_only_forms_are_read(service: IssuingService) -> None:
    bodies = [
        ("application/json", b'{"grant_type": "client_credentials"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("text/plain", b"grant_type=client_credentials"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"grant_type=client_credentials"),
        ("application/x-www-form-urlencoded-x", b"grant_type=client_credentials"),
        ("", b"grant_type=client_credentials"),
        ("application/x-www-form-urlencoded", b"grant_type=%FF"),
        ("application/x-www-form-urlencoded", b"grant_type=\xff"),
        ("application/x-www-form-urlencoded", b"a=" * 1000),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=b" % n for n in range(100))),
        ("application/x-www-form-urlencoded", b"a=" + b"b" * 40_000),
    ]

    for kind, body in bodies:
        answer = await service.http.post(TOKEN, content=body, headers={"Content-Type": kind})
        assert refusal(answer) == INVALID_REQUEST


async def test_s11_tokens_are_asked_for_with_post_only(service: IssuingService) -> None:
    methods = ("GET", "PUT", "DELETE", "PATCH", "HEAD")

    answers = [await service.http.request(method, TOKEN) for method in methods]

    assert {answer.status_code for answer in answers} == {405}


@pytest.fixture(scope="module")
def texts() -> st.SearchStrategy[str]:
    odd = ["\x00", '"', "\\", "\n", "\r\n", "é", "\ud7ff", "\U0001f511", "%", "%00", "a" * 200]
    return st.one_of(st.sampled_from(odd), st.text(max_size=50))


NAMES = (
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "scope",
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(data=st.data())
async def test_s11_nothing_that_is_sent_is_a_failure(
    service: IssuingService,
    client: RegisteredClient,
    texts: st.SearchStrategy[str],
    data: st.DataObject,
) -> None:
    form: dict[str, str] = {**data.draw(st.dictionaries(st.sampled_from(NAMES), texts))}
    kinds = ["authorization_code", "refresh_token", "client_credentials"]
    form["grant_type"] = data.draw(st.one_of(st.sampled_from(kinds), texts))
    form["client_id"] = data.draw(st.one_of(st.just("shop"), texts))

    answer = await service.http.post(
        TOKEN, content=urlencode(form, errors="surrogatepass"), headers=FORM
    )

    assert answer.status_code in {400, 401}, answer.text
    refusal(answer)


# S19: what is given out is random enough, and not what is stored.


async def test_s19_codes_tokens_and_secrets_have_256_bits_and_say_what_they_are(
    service: IssuingService, user: SignedIn, client: RegisteredClient, machine: RegisteredClient
) -> None:
    code = await service.get_code(client, user)
    tokens = (await service.redeem(client, code)).json()

    for text, prefix in (
        (code, "fbc_"),
        (tokens["refresh_token"], "fbr_"),
        (secret_of(machine), "fbs_"),
    ):
        assert text.startswith(prefix)
        assert len(base64.urlsafe_b64decode(text.removeprefix(prefix) + "=")) == 32


async def test_s19_none_is_given_out_twice(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    codes = [await service.get_code(client, user) for _ in range(50)]
    answers = [(await service.redeem(client, code)).json() for code in codes]

    assert len(set(codes)) == 50
    assert len({answer["refresh_token"] for answer in answers}) == 50
    assert len({claims_of(answer["access_token"])["jti"] for answer in answers}) == 50


async def test_s19_only_digests_are_stored(
    service: IssuingService, user: SignedIn, client: RegisteredClient, machine: RegisteredClient
) -> None:
    code = await service.get_code(client, user)
    token = (await service.redeem(client, code)).json()["refresh_token"]

    async with service.database.transaction() as session:
        stored = {
            *await session.scalars(select(models.OAuthCode.digest)),
            *await session.scalars(select(models.OAuthRefreshToken.digest)),
            *await session.scalars(select(models.OAuthClient.secret_digest)),
        }

    assert {digest_of(one) for one in (code, token, secret_of(machine))} <= stored
    assert digest_of(code) == hashlib.sha256(code.encode()).hexdigest()


# S25: with the trust in a user ends all that they have allowed.


@pytest.mark.parametrize("change", ["disable", "delete", "change password", "reset password"])
async def test_s25_codes_and_refresh_tokens_die_with_the_trust_in_their_user(
    service: IssuingService, client: RegisteredClient, change: str
) -> None:
    user = await service.sign_in(await service.add_user())
    scopes = ["openid", "offline_access"]
    token = (await service.get_tokens(client, user, scopes=scopes))["refresh_token"]
    code = await service.get_code(client, user, scopes=scopes)
    users = service.app.state.users

    if change == "disable":
        await users.disable(user.subject)
    elif change == "delete":
        await users.delete(user.subject)
    else:
        await users.change_password(
            user.subject, current=PASSWORD, new="another battery horse staple", keep_session=None
        )

    assert refusal(await service.redeem(client, code)) == INVALID_GRANT
    assert refusal(await service.refresh(client, token)) == INVALID_GRANT
    assert await service.server.grants.list(user.subject) == []


async def test_s25_who_is_not_active_gets_nothing_even_if_nobody_was_told(
    service: IssuingService, client: RegisteredClient, user: SignedIn
) -> None:
    scopes = ["offline_access"]
    token = (await service.get_tokens(client, user, scopes=scopes))["refresh_token"]
    code = await service.get_code(client, user, scopes=scopes)
    async with service.database.transaction() as session:
        for stored in await session.scalars(select(Buyer)):
            stored.disabled_at = service.clock.now()

    assert refusal(await service.redeem(client, code)) == INVALID_GRANT
    assert refusal(await service.refresh(client, token)) == INVALID_GRANT


async def test_s25_with_a_client_all_dies_that_it_was_given(
    service: IssuingService, user: SignedIn, client: RegisteredClient
) -> None:
    token = (await service.get_tokens(client, user))["refresh_token"]

    await service.server.clients.remove("shop")

    assert refusal(await service.refresh(client, token)) == INVALID_CLIENT
    again = await service.add_client(client_id="shop")
    assert refusal(await service.refresh(again, token)) == INVALID_GRANT
