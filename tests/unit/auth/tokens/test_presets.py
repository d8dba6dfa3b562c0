"""Tokens as each provider's own documentation shows them; times and keys are ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens import PROFILES, InvalidTokenError, make_bearer_tokens
from fastapi_baseline.auth.tokens.presets import make_introspected, read_words
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.settings.auth import TokenPreset
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.issuer import OMIT, TokenIssuer
from fastapi_baseline.testing.signing_keys import make_signing_key, sign_token

KEY = make_signing_key("RS256", kid="1")
NOW = 1_767_225_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A token of a provider: `source` shows it."""

    preset: TokenPreset
    source: str
    issuer: str
    audience: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    async def verify(self, **changes: Any) -> Principal:
        clock = ManualClock()
        issuer = TokenIssuer(self.issuer, clock=clock, key=KEY)
        issuer.endpoints.answers["/keys"] = issuer.endpoints.answers["/jwks"]
        jwks_url = f"https://{issuer.url.split('/')[2]}/keys"
        settings = AuthSettings(
            issuer=self.issuer, audience=(self.audience,), preset=self.preset, jwks_url=jwks_url
        )
        tokens = make_bearer_tokens(settings, clock=clock, make_client=issuer.client)
        merged = {"iss": self.issuer, "iat": NOW, "exp": NOW + 300, **self.claims, **changes}
        claims = {name: value for name, value in merged.items() if value is not OMIT}
        token = sign_token({"alg": "RS256", "kid": "1", **self.header}, claims, KEY)
        async with tokens.lifespan(None):
            return await tokens.verify(token)


AUTH0 = Shape(
    preset="auth0",
    source="https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles",
    issuer="https://my-domain.auth0.com/",
    audience="https://example.com/health-api",
    header={"typ": "JWT"},
    claims={
        "sub": "auth0|123456",
        "aud": ["https://example.com/health-api", "https://my-domain.auth0.com/userinfo"],
        "azp": "my_client_id",
        "scope": "openid profile read:patients read:admin",
        "permissions": ["read:patients"],
        "my_custom_claim": "my_custom_value",
    },
)
AUTH0_RFC_9068 = Shape(
    preset="auth0",
    source=AUTH0.source,
    issuer=AUTH0.issuer,
    audience=AUTH0.audience,
    header={"typ": "at+jwt"},
    claims={
        **{name: value for name, value in AUTH0.claims.items() if name != "azp"},
        "client_id": "my_client_id",
        "jti": "73WakrfVbNJBaAmhQtEeDv",
    },
)
COGNITO = Shape(
    preset="cognito",
    source="https://docs.aws.amazon.com/cognito/latest/developerguide/"
    "amazon-cognito-user-pools-using-the-access-token.html",
    issuer="https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example",
    audience="xxxxxxxxxxxxexample",
    header={},
    claims={
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "device_key": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "cognito:groups": ["testgroup"],
        "version": 2,
        "client_id": "xxxxxxxxxxxxexample",
        "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "event_id": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "token_use": "access",
        "scope": "phone openid profile resourceserver.1/appclient2 email",
        "auth_time": NOW - 60,
        "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "username": "my-test-user",
    },
)
ENTRA = Shape(
    preset="entra",
    source="https://learn.microsoft.com/en-us/entra/identity-platform/"
    "access-token-claims-reference",
    issuer="https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0",
    audience="00001111-aaaa-2222-bbbb-3333cccc4444",
    header={"typ": "JWT"},
    claims={
        "aud": "00001111-aaaa-2222-bbbb-3333cccc4444",
        "nbf": NOW,
        "aio": "opaque",
        "azp": "11112222-bbbb-3333-cccc-4444dddd5555",
        "azpacr": "0",
        "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
        "preferred_username": "ada@contoso.example",
        "rh": "opaque",
        "roles": ["Orders.Clerk"],
        "scp": "access_as_user Orders.Read",
        "sub": "pairwise-subject",
        "tid": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
        "uti": "token-id",
        "ver": "2.0",
    },
)
ENTRA_1 = Shape(
    preset="entra",
    source=ENTRA.source,
    issuer="https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/",
    audience="api://orders",
    header={"typ": "JWT", "x5t": "1"},
    claims={
        "aud": "api://orders",
        "acr": "1",
        "amr": ["pwd", "mfa"],
        "appid": "11112222-bbbb-3333-cccc-4444dddd5555",
        "appidacr": "0",
        "scp": "access_as_user Orders.Read",
        "roles": ["Orders.Clerk"],
        "sub": "pairwise-subject",
        "ver": "1.0",
    },
)
KEYCLOAK = Shape(
    preset="keycloak",
    source="https://www.keycloak.org/docs/latest/server_admin/#_oidc_token_role_mappings",
    issuer="https://sso.example.com/realms/demo",
    audience="target-client1",
    header={"typ": "JWT"},
    claims={
        "jti": "56eb8e03-a501-4d71-b38c-099fe0a714f9",
        "aud": ["target-client1", "account"],
        "sub": "9b319159-6761-4a1f-9907-b02d263580ad",
        "typ": "Bearer",
        "azp": "frontend-client",
        "sid": "d8a0aed6-b7c1-4f37-869c-da5892b542db",
        "acr": "1",
        # Releases before 25 have it in access tokens, too.
        "nonce": "TKuQExkchYh",
        "realm_access": {"roles": ["role1", "role2"]},
        "resource_access": {
            "target-client1": {"roles": ["target-client1-role"]},
            "account": {"roles": ["manage-account", "manage-account-links"]},
        },
        "scope": "openid profile email",
    },
)
OKTA = Shape(
    preset="okta",
    source="https://developer.okta.com/docs/reference/api/oidc/#access-token-payload",
    issuer="https://example.okta.com/oauth2/default",
    audience="https://api.example.com",
    header={},
    claims={
        "ver": 1,
        "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "aud": "https://api.example.com",
        "sub": "00ujmkLgagxeRrAg20g3",
        "cid": "nmdP1fcyvdVO11AL7ECm",
        "uid": "00ujmkLgagxeRrAg20g3",
        "scp": ["openid", "email", "flights", "custom"],
        "custom_claim": "CustomValue",
        "groups": ["Everyone", "Clerks"],
    },
)
SHAPES = {
    "auth0": AUTH0,
    "auth0-rfc9068": AUTH0_RFC_9068,
    "cognito": COGNITO,
    "entra": ENTRA,
    "entra-1.0": ENTRA_1,
    "keycloak": KEYCLOAK,
    "okta": OKTA,
}


@pytest.mark.parametrize(
    ("name", "client", "scopes", "roles"),
    [
        ("auth0", "my_client_id", "openid profile read:patients read:admin", "read:patients"),
        (
            "auth0-rfc9068",
            "my_client_id",
            "openid profile read:patients read:admin",
            "read:patients",
        ),
        (
            "cognito",
            "xxxxxxxxxxxxexample",
            "phone openid profile resourceserver.1/appclient2 email",
            "testgroup",
        ),
        (
            "entra",
            "11112222-bbbb-3333-cccc-4444dddd5555",
            "access_as_user Orders.Read",
            "Orders.Clerk",
        ),
        (
            "entra-1.0",
            "11112222-bbbb-3333-cccc-4444dddd5555",
            "access_as_user Orders.Read",
            "Orders.Clerk",
        ),
        (
            "keycloak",
            "frontend-client",
            "openid profile email",
            "role1 role2 target-client1-role",
        ),
        ("okta", "nmdP1fcyvdVO11AL7ECm", "openid email flights custom", "Everyone Clerks"),
    ],
)
async def test_reads_a_token_as_the_documentation_of_its_issuer_has_it(
    name: str, client: str, scopes: str, roles: str
) -> None:
    shape = SHAPES[name]

    principal = await shape.verify()

    assert (principal.issuer, principal.subject) == (shape.issuer, shape.claims["sub"])
    assert principal.client_id == client
    assert principal.scopes == frozenset(scopes.split())
    assert principal.roles == frozenset(roles.split())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_refuses_a_token_that_is_for_another_service(shape: Shape) -> None:
    claims = {"aud": "https://other.example"}
    if shape.preset == "cognito":
        claims["client_id"] = "other"

    with pytest.raises(InvalidTokenError) as caught:
        await shape.verify(**claims)

    assert caught.value.reason == "audience"


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        # ID tokens, as the same documentation shows them.
        (AUTH0, {"azp": OMIT}),
        (AUTH0_RFC_9068, {"client_id": OMIT}),
        (AUTH0, {"nonce": "n"}),
        (AUTH0, {"at_hash": "h"}),
        (AUTH0_RFC_9068, {"c_hash": "h"}),
        (COGNITO, {"token_use": "id"}),
        (COGNITO, {"token_use": OMIT}),
        (ENTRA, {"azp": OMIT}),
        (ENTRA, {"nonce": "n"}),
        (ENTRA_1, {"appid": OMIT}),
        (KEYCLOAK, {"typ": "ID"}),
        (KEYCLOAK, {"typ": "Refresh"}),
        (KEYCLOAK, {"typ": "Offline"}),
        (KEYCLOAK, {"typ": "Logout"}),
        (KEYCLOAK, {"typ": OMIT}),
        (KEYCLOAK, {"typ": ["Bearer"]}),
        (OKTA, {"cid": OMIT}),
        (OKTA, {"nonce": "n"}),
        (OKTA, {"events": {}}),
    ],
    ids=lambda value: value.preset if isinstance(value, Shape) else str(value),
)
async def test_refuses_another_kind_of_token_of_the_same_issuer(
    shape: Shape, changes: Mapping[str, Any]
) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        await shape.verify(**changes)

    assert caught.value.reason == "type"


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_the_standard_takes_no_token_that_does_not_say_what_it_is(shape: Shape) -> None:
    strict = Shape(
        preset="standard",
        source=shape.source,
        issuer=shape.issuer,
        audience=shape.audience,
        header={"typ": "JWT"},
        claims=shape.claims,
    )

    with pytest.raises(InvalidTokenError) as caught:
        await strict.verify()

    assert caught.value.reason == "type"


async def test_roles_at_other_clients_of_keycloak_say_nothing_here() -> None:
    principal = await KEYCLOAK.verify(
        resource_access={"other": {"roles": ["admin"]}, "account": {"roles": ["admin"]}},
        realm_access=OMIT,
    )

    assert principal.roles == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"realm_access": ["admin"]},
        {"realm_access": {"roles": "admin"}},
        {"resource_access": {"target-client1": ["admin"]}},
    ],
    ids=str,
)
async def test_refuses_roles_of_another_shape(changes: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidTokenError) as caught:
        await KEYCLOAK.verify(**changes)

    assert caught.value.reason == "claims"


async def test_a_token_of_cognito_for_a_resource_is_for_that_only() -> None:
    with pytest.raises(InvalidTokenError) as caught:
        await COGNITO.verify(aud="https://other.example")

    assert caught.value.reason == "audience"


async def test_an_application_of_entra_that_asks_for_itself_has_no_scopes() -> None:
    principal = await ENTRA.verify(scp=OMIT)

    assert (principal.scopes, principal.roles) == (frozenset(), {"Orders.Clerk"})


async def test_permissions_of_auth0_are_no_scopes_since_no_client_was_granted_them() -> None:
    principal = await AUTH0.verify(scope="openid", permissions=["delete:patients"])

    assert principal.scopes == {"openid"}
    assert principal.roles == {"delete:patients"}


async def test_shows_how_well_somebody_has_proven_who_they_are() -> None:
    principal = await ENTRA_1.verify(auth_time=NOW - 30)

    assert (principal.acr, principal.amr) == ("1", {"pwd", "mfa"})
    assert principal.auth_time is not None
    assert principal.expires_at is not None
    assert (principal.expires_at - principal.auth_time).total_seconds() == 330


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (" a  b ", {"a", "b"}),
        ("a\tb", {"a\tb"}),
        ("a\u00a0b", {"a\u00a0b"}),
        (["a b", "c"], {"a b", "c"}),
        (None, set[str]()),
    ],
    ids=["spaces", "tab", "no-break space", "list", "nothing"],
)
def test_only_a_space_is_between_two_words(value: object, words: set[str]) -> None:
    assert read_words({"scope": value}, "scope") == words


@pytest.mark.parametrize("preset", PROFILES)
def test_what_an_issuer_says_when_it_is_asked_has_the_names_of_the_standard(
    preset: TokenPreset,
) -> None:
    profile = make_introspected(PROFILES[preset])

    claims = {"aud": "a", "scope": "read", "client_id": "c", "token_type": "bearer"}

    assert profile.is_access_token(claims)
    assert profile.audience(claims) == "a"
    assert profile.scopes(claims) == {"read"}
    assert profile.clients[0] == "client_id"
    assert not profile.is_access_token({**claims, "token_type": 5})
