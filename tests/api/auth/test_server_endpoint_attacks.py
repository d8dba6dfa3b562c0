import base64
import json
import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from httpx2 import ASGITransport, AsyncClient, Response
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.server.clients import RegisteredClient
from fastapi_baseline.auth.server.owners import ResourceOwner
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.settings import SessionSettings
from fastapi_baseline.testing.issuing import (
    CALLBACK,
    ORIGIN,
    VERIFIER,
    IssuingService,
    SignedIn,
    open_issuing_service,
)

INTROSPECT, REVOKE, USERINFO = "/oauth2/introspect", "/oauth2/revoke", "/oauth2/userinfo"
END_SESSION = "/oauth2/end-session"
OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
HOME = "https://client.example.com/bye"
INACTIVE = {"active": False}


class Buyer(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "endpoint_attack_buyer"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncGenerator[IssuingService]:
    async with open_issuing_service(Buyer, f"sqlite:///{tmp_path / 'test.db'}") as service:
        yield service


@pytest.fixture
async def user(service: IssuingService) -> SignedIn:
    return await service.sign_in(await service.add_user())


async def add_web_client(
    service: IssuingService, name: str = "web", **more: Any
) -> RegisteredClient:
    values: dict[str, Any] = {"auth_method": "client_secret_basic", **more}
    return await service.add_client(name, **values)


async def introspect(service: IssuingService, client: RegisteredClient, token: str) -> Any:
    answer = await service.post(INTROSPECT, client, token=token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def get_machine_token(service: IssuingService, client: RegisteredClient) -> str:
    answer = await service.ask(client, grant_type="client_credentials")
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


def assert_refused(answer: Response, status: int, error: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert "problem" not in answer.headers["content-type"]


# Introspection (RFC 7662)


async def test_s15_a_client_learns_what_its_own_tokens_are_good_for(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))

    access = await introspect(service, client, tokens["access_token"])
    refresh = await introspect(service, client, tokens["refresh_token"])

    assert access.pop("jti")
    assert access.pop("exp") - access.pop("iat") == 300
    assert access.pop("auth_time") == int(service.clock.now().timestamp())
    assert access == {
        "active": True,
        "token_type": "Bearer",
        "iss": ORIGIN,
        "sub": user.subject,
        "aud": ORIGIN,
        "client_id": client.client.client_id,
        "scope": "offline_access openid",
        "acr": "aal1",
        "amr": ["pwd"],
        "roles": [],
        "sid": user.session.id,
    }
    assert (refresh["active"], refresh["token_use"]) == (True, "refresh_token")
    assert "token_type" not in refresh


async def test_s15_nobody_who_is_not_known_may_ask(service: IssuingService, user: SignedIn) -> None:
    client = await add_web_client(service)
    public = await service.add_client("spa")
    token = (await service.get_tokens(client, user))["access_token"]
    wrong = RegisteredClient(client=client.client, secret=(await service.add_machine()).secret)

    answers = [
        await service.http.post(INTROSPECT, data={"token": token}),
        await service.post(INTROSPECT, public, token=token),
        await service.post(INTROSPECT, wrong, token=token),
        await service.http.post(INTROSPECT, data={"token": token, "client_id": "nobody"}),
        await service.http.post(
            INTROSPECT, data={"token": token}, headers={"Authorization": f"Bearer {token}"}
        ),
    ]

    for answer in answers:
        assert_refused(answer, 401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert len({answer.content for answer in answers}) == 1


async def test_s15_a_client_learns_nothing_of_the_tokens_of_others(
    service: IssuingService, user: SignedIn
) -> None:
    client, other = await add_web_client(service), await add_web_client(service, "other")
    machine = await service.add_machine(
        may_introspect=True, audiences=("https://other.example.com",)
    )
    tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))

    for kind in ("access_token", "refresh_token", "id_token"):
        for asker in (other, machine):
            assert await introspect(service, asker, tokens[kind]) == INACTIVE


async def test_s15_an_api_learns_of_access_tokens_that_are_for_it(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))
    api = await service.add_machine("api", may_introspect=True, audiences=(ORIGIN,))
    by_settings = await service.add_machine("same api", may_introspect=True)

    for asker in (api, by_settings):
        assert (await introspect(service, asker, tokens["access_token"]))["active"]
        assert await introspect(service, asker, tokens["refresh_token"]) == INACTIVE
        assert await introspect(service, asker, tokens["id_token"]) == INACTIVE


async def test_s15_what_is_no_token_is_not_active_and_no_failure(service: IssuingService) -> None:
    client = await service.add_machine()
    texts = (
        "x",
        "fbr_",
        f"fbr_{'A' * 43}",
        "fbr_é",
        "a.b.c",
        "ey.ey.",
        "'",
        "%00",
        "x" * 20_000,
        "😀",
    )

    for text in texts:
        assert await introspect(service, client, text) == INACTIVE, text[:8]
        assert (await service.post(REVOKE, client, token=text)).status_code == 200


async def test_s15_a_token_that_somebody_else_has_signed_is_not_active(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    token = (await service.get_tokens(client, user))["access_token"]
    signature = jws.extract_compact(token.encode())
    header, claims = signature.headers(), json.loads(signature.payload)
    stranger = ECKey.generate_key("P-256")
    unknown = {**header, "crit": ["exp"]}
    encoded = base64.urlsafe_b64encode(json.dumps(unknown).encode()).decode().rstrip("=")
    unsigned = base64.urlsafe_b64encode(json.dumps({**header, "alg": "none"}).encode()).decode()

    forged = [
        jwt.encode(header, claims, stranger, algorithms=["ES256"]),
        jwt.encode({**header, "kid": "other"}, claims, stranger, algorithms=["ES256"]),
        f"{unsigned.rstrip('=')}.{token.split('.')[1]}.",
        f"{token[:-6]}AAAAAA",
        f"{encoded}.{token.split('.', 1)[1]}",
        f"{token.rsplit('.', 1)[0]}.AAAA",
        service.server.signing_keys.sign({**claims, "iss": f"{ORIGIN}/"}, typ="at+jwt"),
        service.server.signing_keys.sign(claims, typ="JWT"),
    ]

    for one in forged:
        assert await introspect(service, client, one) == INACTIVE
        assert (await ask_userinfo(service, one)).status_code == 401


async def test_s15_a_token_is_not_active_when_it_is_over(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))
    service.clock.advance(timedelta(minutes=5))

    assert await introspect(service, client, tokens["access_token"]) == INACTIVE
    assert (await introspect(service, client, tokens["refresh_token"]))["active"]
    service.clock.advance(timedelta(days=14))
    assert await introspect(service, client, tokens["refresh_token"]) == INACTIVE


async def test_s15_a_token_is_not_active_when_its_grant_has_ended(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))
    await service.server.grants.revoke_all(SELF, user.subject)

    for kind in ("access_token", "refresh_token"):
        assert await introspect(service, client, tokens[kind]) == INACTIVE


async def test_s15_a_refresh_token_that_was_used_is_not_active(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    first = await service.get_tokens(client, user, scopes=("openid", "offline_access"))
    second = (await service.refresh(client, first["refresh_token"])).json()

    assert await introspect(service, client, first["refresh_token"]) == INACTIVE
    assert (await introspect(service, client, second["refresh_token"]))["active"]


async def test_s15_the_token_of_a_client_is_not_active_when_it_is_removed(
    service: IssuingService,
) -> None:
    machine = await service.add_machine()
    api = await service.add_machine("api", may_introspect=True)
    token = await get_machine_token(service, machine)
    before = await introspect(service, api, token)
    await service.server.clients.remove(machine.client.client_id)

    assert (before["active"], before["sub"]) == (True, machine.client.client_id)
    assert await introspect(service, api, token) == INACTIVE


@pytest.mark.parametrize("path", [INTROSPECT, REVOKE])
async def test_s15_requests_that_make_no_sense_are_refused(
    service: IssuingService, path: str
) -> None:
    client = await service.add_machine()
    assert client.secret is not None
    auth = (client.client.client_id, client.secret.get_secret_value())
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    answers = [
        await service.http.post(path, auth=auth, content="", headers=form),
        await service.http.post(path, auth=auth, content="token=a&token=b", headers=form),
        await service.http.post(path, auth=auth, json={"token": "a"}),
        await service.http.post(f"{path}?token=a", auth=auth, data={"other": "b"}),
        await service.http.post(path, auth=auth, files={"token": b"a"}),
        await service.http.post(path, auth=auth, data={"token": "a", "client_secret": auth[1]}),
        await service.http.post(path, auth=auth, content=b"token=" + b"a" * 70_000, headers=form),
    ]

    for answer in answers:
        assert_refused(answer, 400, "invalid_request")
    assert (await service.http.get(path, auth=auth)).status_code == 405


async def test_s15_what_kind_a_token_is_shows_whatever_the_hint_says(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)

    for hint in ("access_token", "refresh_token", "nothing_known", "é"):
        tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))
        refresh = tokens["refresh_token"]
        for token in (tokens["access_token"], refresh):
            answer = await service.post(INTROSPECT, client, token=token, token_type_hint=hint)
            assert answer.json()["active"]
        answer = await service.post(REVOKE, client, token=refresh, token_type_hint=hint)
        assert answer.status_code == 200
        assert await introspect(service, client, refresh) == INACTIVE


# Revocation (RFC 7009)


async def test_s15_a_client_gives_back_all_that_came_of_one_grant(
    service: IssuingService, user: SignedIn
) -> None:
    for auth_method in ("none", "client_secret_basic", "client_secret_post"):
        client = await service.add_client(auth_method, auth_method=auth_method)
        for kind in ("access_token", "refresh_token"):
            service.events.all.clear()
            tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))
            answers = [await service.post(REVOKE, client, token=tokens[kind]) for _ in range(2)]

            assert [(each.status_code, each.json()) for each in answers] == [(200, {})] * 2
            assert answers[0].headers["cache-control"] == "no-store"
            assert not await service.is_alive(client, tokens["refresh_token"])
            assert (await ask_userinfo(service, tokens["access_token"])).status_code == 401
            assert service.events.names.count("token_revoked") == 1


async def test_s15_a_token_that_was_exchanged_takes_the_newest_with_it(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    first = await service.get_tokens(client, user, scopes=("openid", "offline_access"))
    second = (await service.refresh(client, first["refresh_token"])).json()

    await service.post(REVOKE, client, token=first["refresh_token"])

    assert not await service.is_alive(client, second["refresh_token"])


async def test_s15_nobody_gives_back_what_is_not_theirs(
    service: IssuingService, user: SignedIn
) -> None:
    client, other = await add_web_client(service), await service.add_client("other")
    tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))

    for kind in ("access_token", "refresh_token"):
        assert_refused(await service.post(REVOKE, other, token=tokens[kind]), 400, "invalid_grant")
        anonymous = await service.http.post(REVOKE, data={"token": tokens[kind]})
        assert_refused(anonymous, 401, "invalid_client")

    assert (await ask_userinfo(service, tokens["access_token"])).status_code == 200
    assert await service.is_alive(client, tokens["refresh_token"])


async def test_s15_a_program_hears_that_its_own_token_cannot_be_given_back(
    service: IssuingService,
) -> None:
    machine = await service.add_machine()
    token = await get_machine_token(service, machine)

    answer = await service.post(REVOKE, machine, token=token)

    assert_refused(answer, 400, "unsupported_token_type")


# Userinfo


async def ask_userinfo(service: IssuingService, token: str) -> Response:
    return await service.http.get(USERINFO, headers={"Authorization": f"Bearer {token}"})


async def test_s16_userinfo_tells_what_the_scopes_are_for(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    little = await service.get_tokens(client, user, scopes=("openid",))
    more = await service.get_tokens(client, user, scopes=("openid", "email"))

    by_header = await ask_userinfo(service, more["access_token"])
    posted = await service.http.post(
        USERINFO, headers={"Authorization": f"Bearer {more['access_token']}"}
    )
    by_form = await service.http.post(USERINFO, data={"access_token": more["access_token"]})

    assert by_header.json() == {
        "sub": user.subject,
        "email": "ann@example.com",
        "email_verified": True,
    }
    assert by_header.content == posted.content == by_form.content
    assert by_header.headers["cache-control"] == "no-store"
    assert (await ask_userinfo(service, little["access_token"])).json() == {"sub": user.subject}


async def test_s16_userinfo_says_what_is_wrong_with_a_token(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    machine = await service.add_machine()
    plain = (await service.get_tokens(client, user, scopes=("orders:read",)))["access_token"]
    token = (await service.get_tokens(client, user))["access_token"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    bearer = {"Authorization": f"Bearer {token}"}

    nothing = await service.http.get(USERINFO)
    other = await service.http.get(USERINFO, headers={"Authorization": "Basic YTpi"})
    refused = [
        (await ask_userinfo(service, "x"), 401, "invalid_token"),
        (
            await ask_userinfo(service, await get_machine_token(service, machine)),
            401,
            "invalid_token",
        ),
        (await ask_userinfo(service, plain), 403, "insufficient_scope"),
        (await service.http.get(f"{USERINFO}?access_token={token}"), 400, "invalid_request"),
        (
            await service.http.post(USERINFO, data={"access_token": token}, headers=bearer),
            400,
            "invalid_request",
        ),
        (
            await service.http.post(
                USERINFO, content=f"access_token={token}&access_token={token}", headers=form
            ),
            400,
            "invalid_request",
        ),
    ]

    for answer in (nothing, other):
        assert answer.status_code == 401
        assert "error" not in answer.headers["www-authenticate"]
    for answer, status, error in refused:
        assert_refused(answer, status, error)
        assert f'error="{error}"' in answer.headers["www-authenticate"]


async def test_s16_userinfo_tells_nothing_any_more_of_who_was_disabled(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    token = (await service.get_tokens(client, user))["access_token"]
    await service.app.state.users.disable(user.subject)

    assert_refused(await ask_userinfo(service, token), 401, "invalid_token")


async def test_s16_userinfo_asks_who_the_user_is_now_and_not_only_for_the_grant(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_web_client(service)
    token = (await service.get_tokens(client, user))["access_token"]

    for owner in (None, ResourceOwner(subject=user.subject, is_active=False)):
        service.server.owners = OneOwner(owner)
        assert_refused(await ask_userinfo(service, token), 401, "invalid_token")


class OneOwner:
    def __init__(self, owner: ResourceOwner | None) -> None:
        self._owner = owner

    async def find(self, subject: str, *, session: object) -> ResourceOwner | None:
        del subject, session
        return self._owner


# Metadata (OpenID Connect Discovery, RFC 8414)


async def get_metadata(service: IssuingService, path: str = OPENID, **headers: str) -> Any:
    answer = await service.http.get(path, headers=headers)
    assert answer.status_code == 200
    return answer.json()


async def test_s16_both_documents_say_the_same_and_libraries_accept_it(
    service: IssuingService,
) -> None:
    found, other = await get_metadata(service), await get_metadata(service, OAUTH)

    OpenIDProviderMetadata({**found, "id_token_signing_alg_values_supported": ["RS256"]}).validate()
    AuthorizationServerMetadata(other).validate()
    assert found == other
    assert found["issuer"] == ORIGIN


async def test_s16_nothing_of_a_request_gets_into_the_metadata(service: IssuingService) -> None:
    expected = (await service.http.get(OPENID)).content
    claims = (
        {"Host": "evil.example.com"},
        {"X-Forwarded-Host": "evil.example.com"},
        {"Forwarded": "host=evil.example.com;proto=http"},
        {"X-Forwarded-Proto": "http", "X-Forwarded-Port": "81"},
    )

    for headers in claims:
        assert (await service.http.get(OPENID, headers=headers)).content == expected


async def test_s16_all_that_is_advertised_answers_and_nothing_is_elsewhere(
    service: IssuingService,
) -> None:
    metadata = await get_metadata(service)

    for name, url in metadata.items():
        if name.endswith(("_endpoint", "jwks_uri")):
            assert url.startswith(f"{ORIGIN}/oauth2/")
            path = url.removeprefix(ORIGIN)
            statuses = {
                (await service.http.request(each, path)).status_code for each in ("GET", "POST")
            }
            assert not statuses & {404, 500}, name
    advertised = {url for name, url in metadata.items() if name.endswith("_endpoint")}
    routes = {path for path in service.app.openapi()["paths"] if path.startswith("/oauth2/")}
    assert {f"{ORIGIN}{path}" for path in routes if "{" not in path} <= {
        *advertised,
        metadata["jwks_uri"],
    }


async def test_s16_where_nobody_signs_in_only_what_programs_need_is_advertised(
    service: IssuingService,
) -> None:
    service.server.sessions = None

    metadata = await get_metadata(service)
    signed_out = await service.http.get(END_SESSION)

    assert metadata["grant_types_supported"] == ["client_credentials"]
    assert metadata["response_types_supported"] == []
    assert metadata["scopes_supported"] == ["orders:read", "orders:write"]
    assert "none" not in metadata["token_endpoint_auth_methods_supported"]
    assert metadata.keys().isdisjoint({"authorization_endpoint", "end_session_endpoint"})
    assert signed_out.status_code == 400


async def test_s16_all_ways_of_clients_to_say_who_they_are_work_and_no_others(
    service: IssuingService,
) -> None:
    metadata = await get_metadata(service)
    key = ECKey.generate_key("P-256", {"kid": "own"})
    machines = {
        method: await service.add_machine(
            method,
            auth_method=method,
            jwks={"keys": [key.as_dict(private=False)]} if method == "private_key_jwt" else None,
        )
        for method in ("client_secret_basic", "client_secret_post", "private_key_jwt")
    }

    for method, machine in machines.items():
        more = {} if machine.secret is not None else assert_with(service, key, machine)
        answer = await service.ask(machine, grant_type="client_credentials", **more)
        assert answer.status_code == 200, method
        more = {} if machine.secret is not None else assert_with(service, key, machine)
        token = answer.json()["access_token"]
        assert (await service.post(INTROSPECT, machine, token=token, **more)).json()["active"]
    assert {*machines, "none"} == {*metadata["token_endpoint_auth_methods_supported"]}
    assert {*machines} == {*metadata["introspection_endpoint_auth_methods_supported"]}
    assert {*machines, "none"} == {*metadata["revocation_endpoint_auth_methods_supported"]}


def assert_with(service: IssuingService, key: ECKey, client: RegisteredClient) -> dict[str, str]:
    now = int(service.clock.now().timestamp())
    client_id = client.client.client_id
    claims = {"iss": client_id, "sub": client_id, "aud": ORIGIN, "exp": now + 60}
    claims["jti"] = f"{id(claims)}-{len(service.events.all)}-{now}"
    assertion = jwt.encode({"alg": "ES256", "kid": "own"}, claims, key, algorithms=["ES256"])
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return {"client_assertion": assertion, "client_assertion_type": kind}


async def test_s16_all_grant_types_work_that_are_advertised_and_no_others(
    service: IssuingService, user: SignedIn
) -> None:
    metadata = await get_metadata(service)
    client, machine = await add_web_client(service), await service.add_machine()

    tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))
    await get_machine_token(service, machine)
    assert await service.is_alive(client, tokens["refresh_token"])
    others = ("password", "implicit", "urn:ietf:params:oauth:grant-type:device_code")
    for grant_type in (*others, "urn:ietf:params:oauth:grant-type:token-exchange"):
        assert_refused(
            await service.ask(client, grant_type=grant_type), 400, "unsupported_grant_type"
        )
    assert metadata["grant_types_supported"] == [
        "authorization_code",
        "client_credentials",
        "refresh_token",
    ]


async def test_s16_tokens_are_signed_as_advertised_and_say_what_is_advertised(
    service: IssuingService, user: SignedIn
) -> None:
    metadata = await get_metadata(service)
    client = await add_web_client(service)
    scopes = tuple(metadata["scopes_supported"])

    tokens = await service.get_tokens(client, user, scopes=scopes)
    signature = jws.extract_compact(tokens["id_token"].encode())
    told = {
        *json.loads(signature.payload),
        *(await ask_userinfo(service, tokens["access_token"])).json(),
    }

    assert signature.headers()["alg"] in metadata["id_token_signing_alg_values_supported"]
    assert set(tokens["scope"].split(" ")) == set(scopes)
    assert told <= {*metadata["claims_supported"]}


async def test_s16_the_documents_and_keys_are_kept_by_caches_and_come_from_memory(
    service: IssuingService,
) -> None:
    with_queries = [await service.http.get(path) for path in (OPENID, OAUTH, "/oauth2/jwks")]

    for answer in with_queries:
        path = answer.url.path
        again = await service.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert answer.headers["cache-control"] == "public, max-age=600"
        assert (again.status_code, again.content) == (304, b"")
    assert with_queries[2].headers["content-type"] == "application/jwk-set+json"


async def test_s16_a_change_of_keys_is_told_at_once(service: IssuingService) -> None:
    before = await service.http.get("/oauth2/jwks")
    await service.server.signing_keys.rotate()

    after = await service.http.get(
        "/oauth2/jwks", headers={"If-None-Match": before.headers["etag"]}
    )

    assert after.status_code == 200
    assert len(after.json()["keys"]) == 2


# Keys


async def test_s17_of_three_keys_only_the_active_one_signs(service: IssuingService) -> None:
    machine, keys = await service.add_machine(), service.server.signing_keys
    old = await get_machine_token(service, machine)
    service.clock.advance(timedelta(seconds=1))
    active = (await keys.rotate(is_immediate=True)).kid
    following = (await keys.rotate()).kid

    published = (await service.http.get("/oauth2/jwks")).json()["keys"]
    signed = [keys.sign({"number": number}, typ="at+jwt") for number in range(200)]
    used = {jws.extract_compact(token.encode()).headers()["kid"] for token in signed}

    retired = jws.extract_compact(old.encode()).headers()["kid"]
    assert {key["kid"] for key in published} == {retired, active, following}
    assert used == {active}


async def test_s17_a_retired_key_is_believed_until_its_last_token_has_expired(
    service: IssuingService,
) -> None:
    machine, keys = await service.add_machine(), service.server.signing_keys
    await keys.rotate(is_immediate=True)
    service.clock.advance(timedelta(hours=1))
    token = await get_machine_token(service, machine)
    await keys.rotate(is_immediate=True)
    service.clock.advance(timedelta(minutes=4, seconds=59))

    is_active = await introspect(service, machine, token)
    kid = jws.extract_compact(token.encode()).headers()["kid"]
    service.clock.advance(timedelta(minutes=2))

    assert is_active["active"]
    assert await keys.find_key(kid, "ES256") is None


async def test_s17_what_a_revoked_key_has_signed_is_worth_nothing(
    service: IssuingService, user: SignedIn
) -> None:
    client, machine = await add_web_client(service), await service.add_machine()
    token = (await service.get_tokens(client, user))["access_token"]
    kid = jws.extract_compact(token.encode()).headers()["kid"]
    await service.server.signing_keys.revoke(kid)

    assert await introspect(service, client, token) == INACTIVE
    assert_refused(await ask_userinfo(service, token), 401, "invalid_token")
    assert (await introspect(service, machine, await get_machine_token(service, machine)))["active"]


# Secrets


def read_all(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_s18_no_secret_is_in_the_database_or_the_log_or_an_event(
    service: IssuingService, user: SignedIn, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    client = await add_web_client(service)
    posting = await service.add_client("post", auth_method="client_secret_post")
    code = await service.get_code(client, user)
    tokens = (await service.redeem(client, code)).json()
    unused = await service.get_code(posting, user)
    renewed = (await service.refresh(client, tokens["refresh_token"])).json()
    await service.refresh(client, "fbr_nothing")
    await service.redeem(posting, unused, code_verifier=f"{VERIFIER}-wrong")
    for path in (INTROSPECT, REVOKE):
        await service.post(path, client, token=renewed["access_token"])
    await ask_userinfo(service, renewed["access_token"])
    assert client.secret is not None
    assert posting.secret is not None

    secrets = {
        "code": code,
        "unused code": unused,
        "verifier": VERIFIER,
        "secret": client.secret.get_secret_value(),
        "posted secret": posting.secret.get_secret_value(),
        **{f"first {kind}": tokens[kind] for kind in ("access_token", "id_token", "refresh_token")},
        **{f"second {kind}": renewed[kind] for kind in ("access_token", "refresh_token")},
    }

    stored = read_all(tmp_path)
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    told = repr(service.events.all)
    for name, secret in secrets.items():
        # The signature of a token proves it, and the rest of it does not.
        proof = secret.rsplit(".", 1)[-1]
        assert proof.encode() not in stored, name
        assert proof not in logged, name
        assert proof not in told, name


async def test_s18_refusals_repeat_nothing_of_what_was_sent(service: IssuingService) -> None:
    client = await service.add_machine()
    marker = "zq-something-secret-qz"

    answers = [
        await service.post(INTROSPECT, client, token=marker),
        await service.post(REVOKE, client, token=marker, token_type_hint=marker),
        await service.http.post(INTROSPECT, data={"client_id": marker, "client_secret": marker}),
        await ask_userinfo(service, marker),
        await service.http.get(END_SESSION, params={"id_token_hint": marker, "state": marker}),
        await service.http.get(
            END_SESSION,
            params={
                "client_id": client.client.client_id,
                "post_logout_redirect_uri": f"https://{marker}",
            },
        ),
    ]

    for answer in answers:
        assert marker not in answer.text
        assert marker not in str(answer.headers)


# Signing out (OpenID Connect RP-Initiated Logout)


async def add_leaving_client(service: IssuingService, name: str = "web") -> RegisteredClient:
    return await add_web_client(
        service, name, post_logout_redirect_uris=(HOME, f"{HOME}?from=shop")
    )


async def is_signed_in(service: IssuingService, user: SignedIn) -> bool:
    sessions = await service.app.state.sessions.list(SELF, user.subject)
    return user.session.id in {session.id for session in sessions}


def form_of(page: Response) -> dict[str, str]:
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    return dict(fields)


async def decide(user: SignedIn, page: Response, decision: str = "sign_out") -> Response:
    return await user.http.post(END_SESSION, data={**form_of(page), "decision": decision})


def location_of(answer: Response) -> str:
    assert answer.status_code == 303, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.headers["location"]


async def test_s20_who_brings_the_id_token_of_the_session_is_signed_out_and_sent_back(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_leaving_client(service)
    tokens = await service.get_tokens(client, user)
    parameters = {"post_logout_redirect_uri": HOME, "state": "a b&c=d/é"}

    answer = await user.http.get(
        END_SESSION, params={"id_token_hint": tokens["id_token"], **parameters}
    )

    address, _, query = location_of(answer).partition("?")
    assert (address, parse_qs(query)) == (HOME, {"state": ["a b&c=d/é"]})
    assert not await is_signed_in(service, user)
    assert (await ask_userinfo(service, tokens["access_token"])).status_code == 401


async def test_s20_a_state_is_added_to_what_the_address_has(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_leaving_client(service)
    hint = (await service.get_tokens(client, user))["id_token"]
    address = f"{HOME}?from=shop"

    answer = await user.http.get(
        END_SESSION,
        params={"id_token_hint": hint, "post_logout_redirect_uri": address, "state": "x"},
    )

    assert location_of(answer) == f"{HOME}?from=shop&state=x"


async def test_s20_without_a_hint_people_are_asked_and_sent_nowhere(
    service: IssuingService, user: SignedIn
) -> None:
    page = await user.http.get(END_SESSION, params={"state": "only"})
    is_asked = await is_signed_in(service, user)
    done = await decide(user, page)

    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert is_asked
    assert done.status_code == 200
    assert not await is_signed_in(service, user)


async def test_s20_who_does_not_want_to_stays_signed_in(
    service: IssuingService, user: SignedIn
) -> None:
    page = await user.http.get(END_SESSION)

    answer = await decide(user, page, "stay")

    assert location_of(answer) == "/"
    assert await is_signed_in(service, user)


async def test_s20_who_is_asked_comes_back_to_the_client_that_they_came_from(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_leaving_client(service)
    parameters = {
        "client_id": client.client.client_id,
        "post_logout_redirect_uri": HOME,
        "state": "x",
    }

    page = await user.http.get(END_SESSION, params=parameters)
    answer = await decide(user, page)

    assert "https://client.example.com" in page.headers["content-security-policy"]
    assert location_of(answer) == f"{HOME}?state=x"


async def test_s20_a_hint_counts_when_it_has_expired(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_leaving_client(service)
    hint = (await service.get_tokens(client, user))["id_token"]
    service.clock.advance(timedelta(hours=1))

    answer = await user.http.get(
        END_SESSION, params={"id_token_hint": hint, "post_logout_redirect_uri": HOME}
    )

    assert location_of(answer) == HOME
    assert not await is_signed_in(service, user)


async def forge(service: IssuingService, hint: str) -> dict[str, str]:
    signature = jws.extract_compact(hint.encode())
    header, claims = signature.headers(), json.loads(signature.payload)
    stranger = ECKey.generate_key("P-256")
    sign = service.server.signing_keys.sign
    return {
        "signed by somebody else": jwt.encode(header, claims, stranger, algorithms=["ES256"]),
        "of another issuer": sign({**claims, "iss": "https://evil.example.com"}, typ="JWT"),
        "an access token": sign(claims, typ="at+jwt"),
        "garbage": "garbage",
        "changed": f"{hint[:-6]}AAAAAA",
    }


async def test_s20_a_hint_that_is_not_good_signs_nobody_out_and_leads_nowhere(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_leaving_client(service)
    hint = (await service.get_tokens(client, user))["id_token"]

    for name, forged in (await forge(service, hint)).items():
        page = await user.http.get(
            END_SESSION,
            params={
                "id_token_hint": forged,
                "client_id": client.client.client_id,
                "post_logout_redirect_uri": HOME,
            },
        )
        assert page.status_code == 200, name
        assert await is_signed_in(service, user), name
        assert HOME not in page.text, name
        assert "client.example.com" not in page.headers["content-security-policy"], name
        assert "post_logout_redirect_uri" not in form_of(page), name


async def test_s20_the_hint_of_another_user_or_session_only_gets_people_asked(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_leaving_client(service)
    email = "bob@example.com"
    other = await service.sign_in(await service.add_user(email))
    again = await service.sign_in(user.subject)

    for somebody in (other, again):
        hint = (await service.get_tokens(client, somebody))["id_token"]
        page = await user.http.get(
            END_SESSION, params={"id_token_hint": hint, "post_logout_redirect_uri": HOME}
        )
        assert page.status_code == 200
        assert await is_signed_in(service, user)
        assert await is_signed_in(service, somebody)


async def test_s20_nobody_is_sent_to_what_was_not_registered(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_leaving_client(service)
    hint = (await service.get_tokens(client, user))["id_token"]
    close = (f"{HOME}/", f"{HOME}?a=b", f"{HOME}#x", HOME.upper(), f"{HOME}/../bye", CALLBACK)
    plain = HOME.replace("https", "http")
    far = ("https://evil.example.com/", "javascript:alert(1)", "//client.example.com/bye", plain)

    for address in (*close, *far):
        for named in ({"id_token_hint": hint}, {"client_id": client.client.client_id}):
            page = await user.http.get(
                END_SESSION, params={**named, "post_logout_redirect_uri": address}
            )
            assert page.status_code == 400, address
            assert "location" not in page.headers
            assert address not in page.text
    assert await is_signed_in(service, user)


async def test_s20_an_address_without_a_client_leads_nowhere(
    service: IssuingService, user: SignedIn
) -> None:
    await add_leaving_client(service)

    page = await user.http.get(END_SESSION, params={"post_logout_redirect_uri": HOME})
    done = await decide(user, page)

    assert page.status_code == done.status_code == 200
    assert HOME not in page.text


async def test_s20_two_clients_in_one_request_are_an_error(
    service: IssuingService, user: SignedIn
) -> None:
    client, other = await add_leaving_client(service), await add_leaving_client(service, "other")
    hint = (await service.get_tokens(client, user))["id_token"]

    page = await user.http.get(
        END_SESSION, params={"id_token_hint": hint, "client_id": other.client.client_id}
    )

    assert page.status_code == 400
    assert await is_signed_in(service, user)


async def test_s20_parameters_are_there_once_and_not_endless(
    service: IssuingService, user: SignedIn
) -> None:
    for query in ("state=a&state=b", "client_id=a&client_id=b", f"state={'a' * 20_000}"):
        page = await user.http.get(f"{END_SESSION}?{query}")
        assert page.status_code == 400
    assert await is_signed_in(service, user)


async def test_s20_who_is_not_signed_in_goes_where_they_wanted(service: IssuingService) -> None:
    client = await add_leaving_client(service)
    browser = await service.open_browser()

    back = await browser.get(
        END_SESSION,
        params={"client_id": client.client.client_id, "post_logout_redirect_uri": HOME},
    )
    page = await browser.get(END_SESSION)

    assert location_of(back) == HOME
    assert page.status_code == 200
    assert form_of(page) == {}


async def open_foreign(service: IssuingService, user: SignedIn) -> AsyncClient:
    """Return the browser of a user, that sends what pages of another site can have it send."""
    return AsyncClient(
        transport=ASGITransport(app=service.app, raise_app_exceptions=False),
        base_url=ORIGIN,
        headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"},
        cookies=user.http.cookies,
    )


async def test_s20_another_site_cannot_answer_for_its_visitors(
    service: IssuingService, user: SignedIn
) -> None:
    page = await user.http.get(END_SESSION)
    async with await open_foreign(service, user) as foreign:
        answers = [
            await foreign.post(END_SESSION, data={"decision": "sign_out"}),
            await foreign.post(END_SESSION, data={**form_of(page), "decision": "sign_out"}),
            await foreign.post(
                END_SESSION, data={"csrf_token": "x", "decision": "sign_out", "state": "y"}
            ),
        ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert await is_signed_in(service, user)
    assert "csrf_refused" in service.events.names


async def test_s20_a_form_without_its_token_is_refused_also_from_here(
    service: IssuingService, user: SignedIn
) -> None:
    async with await open_foreign(service, user) as browser:
        browser.headers.update({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN})
        answer = await browser.post(END_SESSION, data={"decision": "sign_out"})

    assert answer.status_code == 403
    assert await is_signed_in(service, user)


async def test_s20_a_client_may_ask_with_a_form_whose_cookies_do_not_come(
    service: IssuingService, user: SignedIn
) -> None:
    client = await add_leaving_client(service)
    hint = (await service.get_tokens(client, user))["id_token"]
    form = {"id_token_hint": hint, "post_logout_redirect_uri": HOME, "state": "x", "other": "y"}
    async with await open_foreign(service, user) as foreign:
        # Cookies that are lax go with links, and not with forms.
        foreign.cookies.clear()
        answer = await foreign.post(END_SESSION, data=form)

    again = location_of_hop(answer)
    assert "other" not in again
    assert location_of(await user.http.get(again)) == f"{HOME}?state=x"
    assert not await is_signed_in(service, user)


def location_of_hop(answer: Response) -> str:
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).path == END_SESSION
    return answer.headers["location"]


async def test_s20_what_outlives_the_session_stays(service: IssuingService, user: SignedIn) -> None:
    client = await add_leaving_client(service)
    tokens = await service.get_tokens(client, user, scopes=("openid", "offline_access"))

    await user.http.get(END_SESSION, params={"id_token_hint": tokens["id_token"]})

    assert await service.is_alive(client, tokens["refresh_token"])


async def test_s20_sessions_whose_cookie_is_strict_are_asked_about(tmp_path: Path) -> None:
    sessions = SessionSettings(enabled=True, same_site="strict")
    url = f"sqlite:///{tmp_path / 'test.db'}"
    async with open_issuing_service(Buyer, url, auth={"sessions": sessions}) as service:
        user = await service.sign_in(await service.add_user())
        browser = await service.open_browser(**{"Sec-Fetch-Site": "cross-site"})
        page = await browser.get(END_SESSION)
        # The form is of the service's own page, so all cookies come with it.
        user.http.cookies.update(browser.cookies)
        done = await decide(user, page)

        assert (page.status_code, done.status_code) == (200, 200)
        assert not await is_signed_in(service, user)


# CORS


async def test_s14_pages_of_public_clients_may_ask_and_no_others(service: IssuingService) -> None:
    await service.add_client("spa", redirect_uris=("https://spa.example.com/callback",))
    paths = {"/oauth2/token": "POST", USERINFO: "GET", REVOKE: "POST"}
    read = dict.fromkeys(("/oauth2/jwks", OPENID, OAUTH), "GET")
    known = {"Origin": "https://spa.example.com"}
    strangers = ("https://evil.example.com", "null", "https://spa.example.com.evil.example.com")

    for path, method in {**paths, **read}.items():
        ask = {"Access-Control-Request-Method": method}
        allowed = await service.http.options(path, headers={**known, **ask})
        assert allowed.headers["access-control-allow-origin"] == known["Origin"], path
        assert "access-control-allow-credentials" not in allowed.headers
        for origin in strangers:
            refused = await service.http.options(path, headers={"Origin": origin, **ask})
            assert "access-control-allow-origin" not in refused.headers, path


async def test_s14_no_page_of_another_site_reads_anything_else(service: IssuingService) -> None:
    await service.add_client("spa", redirect_uris=("https://spa.example.com/callback",))
    headers = {"Origin": "https://spa.example.com", "Access-Control-Request-Method": "POST"}

    for path in (INTROSPECT, END_SESSION, "/oauth2/authorize", "/auth/sign-in"):
        for method in ("OPTIONS", "POST"):
            answer = await service.http.request(method, path, headers=headers)
            assert "access-control-allow-origin" not in answer.headers, path
