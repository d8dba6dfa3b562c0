import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends
from httpx2 import AsyncClient
from joserfc import jws

from fastapi_baseline.auth import CurrentPrincipal, RequireRoles
from fastapi_baseline.auth.principals import SELF, Principal
from fastapi_baseline.auth.server.own_tokens import (
    ACCESS_TOKEN,
    ID_TOKEN,
    is_of_user,
    make_own_issuer,
    make_security_scheme,
    read_own_token,
)
from fastapi_baseline.auth.tokens import BearerTokens, InvalidTokenError
from fastapi_baseline.auth.users import UserRecord
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, UUIDPrimaryKey
from fastapi_baseline.settings.auth import TokenSettings
from fastapi_baseline.testing.issuing import ORIGIN, IssuingService, open_issuing_service


class Owner(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "own_tokens_owner"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncGenerator[IssuingService]:
    async with open_issuing_service(Owner, f"sqlite:///{tmp_path / 'test.db'}") as service:
        yield service


def make_tokens(service: IssuingService, *, audience: str = ORIGIN) -> BearerTokens:
    return BearerTokens(
        issuers=[make_own_issuer(ORIGIN, audiences=[audience])],
        settings=TokenSettings(),
        clock=service.clock,
        key_sources={ORIGIN: service.server.signing_keys},
    )


async def get_tokens(service: IssuingService) -> tuple[str, dict[str, Any]]:
    subject = await service.add_user(roles=["clerk"])
    user = await service.sign_in(subject)
    client = await service.add_client(scopes=("openid", "orders:read"))
    return subject, await service.get_tokens(client, user, scopes=("openid", "orders:read"))


async def get_machine_token(service: IssuingService) -> tuple[str, str]:
    machine = await service.add_machine()
    answer = await service.ask(machine, grant_type="client_credentials")
    return machine.client.client_id, answer.json()["access_token"]


async def test_a_user_is_the_same_principal_as_in_a_session(service: IssuingService) -> None:
    subject, tokens = await get_tokens(service)

    principal = await make_tokens(service).verify(tokens["access_token"])

    (session,) = await service.app.state.sessions.list(SELF, subject)
    assert str(principal) == str(session.as_principal()) == subject
    assert (principal.issuer, principal.transport) == (SELF, "bearer")
    assert principal.scopes == {"openid", "orders:read"}
    assert principal.roles == {"clerk"}
    assert principal.session_id == session.id
    assert principal.auth_time == session.auth_time
    assert (principal.acr, principal.amr) == ("aal1", {"pwd"})


async def test_a_program_is_a_principal_of_the_issuer(service: IssuingService) -> None:
    client_id, token = await get_machine_token(service)

    principal = await make_tokens(service).verify(token)

    assert (principal.issuer, principal.subject) == (ORIGIN, client_id)
    assert principal.client_id == client_id
    assert principal.session_id is None
    assert not principal.roles


async def test_only_access_tokens_for_this_service_are_accepted(service: IssuingService) -> None:
    _, tokens = await get_tokens(service)

    for token, audience in ((tokens["id_token"], ORIGIN), (tokens["access_token"], f"{ORIGIN}/x")):
        with pytest.raises(InvalidTokenError):
            await make_tokens(service, audience=audience).verify(token)


async def test_a_program_does_not_become_a_user_by_its_name(service: IssuingService) -> None:
    subject, tokens = await get_tokens(service)
    signature = jws.extract_compact(tokens["access_token"].encode())
    claims = json.loads(signature.payload)
    without_grant = {name: value for name, value in claims.items() if name != "grant"}
    sign = service.server.signing_keys.sign

    accept = make_tokens(service).verify
    by_name = await accept(sign({**without_grant, "client_id": subject}, typ="at+jwt"))
    by_subject = await accept(sign({**claims, "client_id": subject}, typ="at+jwt"))

    assert by_name.issuer == by_subject.issuer == ORIGIN
    assert is_of_user(claims)
    assert not is_of_user(without_grant)


async def test_a_token_is_read_if_it_is_ours_of_its_kind_and_good(
    service: IssuingService,
) -> None:
    _, tokens = await get_tokens(service)

    async def read(token: str, kind: str, **options: Any) -> Any:
        keys, clock = service.server.signing_keys, service.clock
        return await read_own_token(
            token, issuer=ORIGIN, keys=keys, clock=clock, kind=kind, **options
        )

    access, identity = tokens["access_token"], tokens["id_token"]
    assert (await read(access, ACCESS_TOKEN))["iss"] == ORIGIN
    assert (await read(identity, ID_TOKEN))["iss"] == ORIGIN
    assert await read(access, ID_TOKEN) is None
    assert await read(identity, ACCESS_TOKEN) is None
    assert await read("x" * 20_000, ACCESS_TOKEN) is None
    assert await read(access[:-8], ACCESS_TOKEN) is None
    service.clock.advance(timedelta(minutes=5))
    assert await read(access, ACCESS_TOKEN) is None
    assert await read(identity, ID_TOKEN, may_be_expired=True) is not None


async def test_routes_of_the_service_accept_its_tokens_as_they_do_sessions(tmp_path: Path) -> None:
    def include(app: Any) -> None:
        @app.get("/me")
        async def show(principal: CurrentPrincipal) -> str:
            return str(principal)

    url = f"sqlite:///{tmp_path / 'test.db'}"
    async with open_issuing_service(Owner, url, include=include) as service:
        subject, tokens = await get_tokens(service)
        client_id, token = await get_machine_token(service)

        async def ask(http: AsyncClient, **headers: str) -> Any:
            return (await http.get("/me", headers=headers)).json()

        user = await service.sign_in(subject)
        assert await ask(user.http) == subject
        assert await ask(service.http, Authorization=f"Bearer {tokens['access_token']}") == subject
        assert await ask(service.http, Authorization=f"Bearer {token}") == f"{ORIGIN}|{client_id}"
        refused = await service.http.get(
            "/me", headers={"Authorization": f"Bearer {tokens['id_token']}"}
        )
        assert refused.status_code == 401


async def test_a_client_of_others_does_not_act_with_the_roles_of_its_users(tmp_path: Path) -> None:
    def include(app: Any) -> None:
        @app.get("/desk")
        async def show(
            principal: Annotated[Principal, Depends(RequireRoles(all=["clerk"]))],
        ) -> str:
            return str(principal)

    url = f"sqlite:///{tmp_path / 'test.db'}"
    async with open_issuing_service(Owner, url, include=include) as service:
        user = await service.sign_in(await service.add_user(roles=["clerk"]))
        statuses: list[int] = []
        for is_own in (True, False):
            client = await service.add_client(f"own {is_own}", is_first_party=is_own)
            token = (await service.get_tokens(client, user))["access_token"]
            answer = await service.http.get("/desk", headers={"Authorization": f"Bearer {token}"})
            statuses.append(answer.status_code)

    assert statuses == [200, 403]


def test_the_documentation_gets_tokens_with_a_code() -> None:
    scheme = make_security_scheme(
        authorization_url=f"{ORIGIN}/authorize", token_url=f"{ORIGIN}/token", scopes=("openid",)
    )

    assert scheme == {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": f"{ORIGIN}/authorize",
                "tokenUrl": f"{ORIGIN}/token",
                "refreshUrl": f"{ORIGIN}/token",
                "scopes": {"openid": ""},
            }
        },
    }


@pytest.mark.parametrize(
    ("issuer", "audiences"), [("http://shop.example.com", ["x"]), (ORIGIN, [])]
)
def test_an_issuer_that_is_not_safe_is_none(issuer: str, audiences: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        make_own_issuer(issuer, audiences=audiences)
