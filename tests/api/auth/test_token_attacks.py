import asyncio
import json
import zlib
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from httpx2 import AsyncClient, ConnectError, MockTransport, Request, Response
from pydantic import SecretStr

from fastapi_baseline import Settings, create_app
from fastapi_baseline.access import public
from fastapi_baseline.auth.authentication import Authentication
from fastapi_baseline.auth.dependencies import CurrentPrincipal
from fastapi_baseline.auth.guards import RequireScopes
from fastapi_baseline.auth.principals import Principal
from fastapi_baseline.auth.tokens import InvalidTokenError, make_bearer_tokens
from fastapi_baseline.settings import AuthSettings, IssuerSettings, TokenSettings
from fastapi_baseline.testing import ManualClock, running
from fastapi_baseline.testing.issuer import OMIT, TokenIssuer
from fastapi_baseline.testing.issuer_endpoints import INTROSPECTION_PATH, JWKS_PATH, OPENID_PATH
from fastapi_baseline.testing.signing_keys import (
    KeyForm,
    SigningKey,
    encode_base64url,
    make_signing_key,
    make_symmetric_key,
    sign_token,
)

RSA = make_signing_key("RS256", kid="rsa")
EC = make_signing_key("ES256", kid="ec")
STRANGER = make_signing_key("ES256", kid="ec")
START = 1_767_225_600
"""When `ManualClock` starts, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that trusts one issuer, and who attacks it."""

    issuer: TokenIssuer
    client: AsyncClient
    clock: ManualClock

    async def get(self, token: str, path: str = "/me") -> Response:
        headers = {b"Authorization": f"Bearer {token}".encode()}
        return await self.client.get(path, headers=headers)

    async def refuses(self, token: str, reason: str = "") -> bool:
        """Tell whether a token is refused as RFC 6750 says, for this reason."""
        response = await self.get(token)
        challenge = response.headers.get("www-authenticate", "")
        return (
            response.status_code == 401
            and response.json()["code"] == "invalid_token"
            and 'error="invalid_token"' in challenge
            and reason in challenge
            and (len(token) < 9 or token not in challenge + response.text)
        )


@asynccontextmanager
async def serving(
    app: FastAPI,
    issuer: TokenIssuer,
    clock: ManualClock,
    auth: AuthSettings,
    *,
    make_client: Callable[[], AsyncClient] | None = None,
) -> AsyncGenerator[Service]:
    tokens = make_bearer_tokens(auth, clock=clock, make_client=make_client or issuer.client)
    app.state.authentication = Authentication([tokens], clock=clock)
    async with tokens.lifespan(app), running(app) as client:
        yield Service(issuer, client, clock)


@pytest.fixture(scope="module")
def app() -> FastAPI:
    app = create_app(Settings(environment="test"), configure_logging=False)

    @app.get("/me")
    async def show_me(principal: CurrentPrincipal) -> dict[str, Any]:
        return {
            "who": str(principal),
            "client": principal.client_id,
            "scopes": sorted(principal.scopes),
            "roles": sorted(principal.roles),
        }

    @app.post("/me")
    async def change_me(principal: CurrentPrincipal) -> str:
        return str(principal)

    @app.get("/orders")
    async def list_orders(
        principal: Annotated[Principal, Depends(RequireScopes(all=["read"]))],
    ) -> str:
        return str(principal)

    @app.get("/prices")
    @public
    async def list_prices() -> str:
        return "prices"

    return app


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def issuer(clock: ManualClock) -> TokenIssuer:
    issuer = TokenIssuer(clock=clock, key=EC)
    issuer.keys.append(RSA)
    return issuer


@pytest.fixture
async def service(app: FastAPI, issuer: TokenIssuer, clock: ManualClock) -> AsyncGenerator[Service]:
    auth = AuthSettings(issuer=issuer.url, audience=(issuer.audience,))
    async with serving(app, issuer, clock, auth) as service:
        yield service


def parts_of(token: str) -> tuple[str, str, str]:
    header, payload, signature = token.split(".")
    return header, payload, signature


def read(part: str) -> dict[str, Any]:
    return json.loads(urlsafe_b64decode(part + "=="))


async def test_a_good_token_is_let_in(service: Service) -> None:
    token = service.issuer.mint("ada", scopes=["read", "write"], roles=["clerk"])

    response = await service.get(token)

    assert response.status_code == 200
    assert response.json() == {
        "who": "https://issuer.test|ada",
        "client": "test-client",
        "scopes": ["read", "write"],
        "roles": ["clerk"],
    }


async def test_a_request_without_a_token_is_told_no_error(service: Service) -> None:
    response = await service.client.get("/me")

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_j01_a_token_that_nobody_signed_is_refused(
    service: Service, algorithm: str, signature: str
) -> None:
    token = service.issuer.mint_unsigned(algorithm=algorithm) + signature

    assert await service.refuses(token, "signed in a way")


async def test_j01_a_good_token_without_its_signature_is_refused(service: Service) -> None:
    header, payload, _ = parts_of(service.issuer.mint())

    assert await service.refuses(f"{header}.{payload}.", "signature")
    assert await service.refuses(f"{header}.{payload}", "malformed")


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
@pytest.mark.parametrize("key", [RSA, EC], ids=["rsa", "ec"])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_j02_a_public_key_is_no_secret_of_an_hmac(
    service: Service, form: KeyForm, key: SigningKey, algorithm: str
) -> None:
    token = service.issuer.mint(key=key.as_hmac(form, algorithm=algorithm))

    assert await service.refuses(token, "signed in a way")


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
@pytest.mark.parametrize("key", [RSA, EC], ids=["rsa", "ec"])
async def test_j02_an_hmac_that_says_it_is_a_signature_is_refused(
    service: Service, form: KeyForm, key: SigningKey
) -> None:
    token = service.issuer.mint(header={"alg": key.algorithm}, key=key.as_hmac(form))

    assert await service.refuses(token, "signature")


@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "RS256"])
async def test_j03_a_symmetric_key_that_is_published_signs_nothing(
    service: Service, algorithm: str
) -> None:
    published = make_symmetric_key(b"x" * 32, kid="shared")
    service.issuer.keys.append(published)

    token = service.issuer.mint(header={"alg": algorithm}, key=published)

    assert await service.refuses(token)


@pytest.mark.parametrize(
    "algorithm", ["PS256", "PS384", "RS384", "RS512", "ES384", "ES512", "EdDSA", "ES256K", "XX256"]
)
async def test_j04_an_algorithm_that_is_not_accepted_is_refused(
    service: Service, algorithm: str
) -> None:
    token = service.issuer.mint(header={"alg": algorithm}, key=RSA)

    assert await service.refuses(token, "signed in a way")


async def test_j04_a_key_is_for_the_algorithm_that_is_published_with_it(
    app: FastAPI, clock: ManualClock, issuer: TokenIssuer
) -> None:
    key = make_signing_key("PS256", kid="pss")
    issuer.keys = [key.with_jwk(alg="RS256")]
    auth = AuthSettings(
        issuer=issuer.url, audience=(issuer.audience,), algorithms=("RS256", "PS256")
    )

    async with serving(app, issuer, clock, auth) as service:
        assert await service.refuses(issuer.mint(key=key), "does not publish")

        issuer.keys = [key]
        clock.advance(timedelta(hours=1))

        assert (await service.get(issuer.mint(key=key))).status_code == 200


async def test_j05_a_key_in_the_header_is_not_trusted(service: Service) -> None:
    own = make_signing_key("ES256", kid="mine")

    for kid in ("mine", "ec", OMIT):
        token = service.issuer.mint(header={"jwk": dict(own.jwk), "kid": kid}, key=own)
        assert await service.refuses(token)


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.test/jwks"},
        {"x5u": "https://evil.test/cert"},
        {"x5c": ["MIIB"]},
        {"jku": "https://evil.test/jwks", "kid": "evil"},
        {"jku": "http://169.254.169.254/latest"},
        {"x5t": "abc", "x5t#S256": "abc"},
    ],
    ids=["jku", "x5u", "x5c", "jku-and-kid", "jku-of-the-cloud", "thumbprints"],
)
async def test_j06_nothing_in_the_header_makes_the_service_ask_somebody(
    service: Service, header: Mapping[str, Any]
) -> None:
    hosts: list[str] = []
    handle = service.issuer.endpoints.answers[JWKS_PATH]

    def noting(request: Request) -> Response:
        hosts.append(request.url.host)
        return handle(request)

    service.issuer.endpoints.answers[JWKS_PATH] = noting
    token = service.issuer.mint(header=header, key=make_signing_key("ES256", kid="ec"))

    assert await service.refuses(token)
    assert set(hosts) == {"issuer.test"}
    assert {*service.issuer.endpoints.requests} == {OPENID_PATH, JWKS_PATH}


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "' OR 1=1 --",
        "https://evil.test/key",
        "\u0000",
        "ключ",
        "EC",
        "ec ",
        "\ud800",
        "k" * 300,
        "k" * 10_000,
        "",
        5,
        ["ec"],
        {"ec": 1},
        True,
    ],
    ids=str,
)
async def test_j07_an_identifier_of_a_key_is_only_compared(service: Service, kid: Any) -> None:
    stranger = make_signing_key("ES256", kid="stranger")

    assert await service.refuses(service.issuer.mint(header={"kid": kid}, key=stranger))
    assert (await service.get(service.issuer.mint())).status_code == 200


async def test_j07_two_keys_with_one_identifier_are_no_key(service: Service) -> None:
    service.issuer.keys = [EC, STRANGER]

    assert await service.refuses(service.issuer.mint(key=EC), "does not publish")
    assert await service.refuses(service.issuer.mint(key=STRANGER), "does not publish")


async def test_j07_a_token_without_an_identifier_needs_that_there_is_one_key(
    service: Service,
) -> None:
    token = service.issuer.mint(header={"kid": OMIT})

    service.issuer.keys = [EC, make_signing_key("ES256", kid="other")]
    assert await service.refuses(token, "does not publish")

    service.issuer.keys = [EC, RSA]
    service.clock.advance(timedelta(minutes=4))
    service.clock.advance(timedelta(minutes=16))
    assert (await service.get(service.issuer.mint(header={"kid": OMIT}))).status_code == 200


async def test_j08_a_signature_of_another_key_is_refused(service: Service) -> None:
    assert await service.refuses(service.issuer.mint(key=STRANGER), "signature")


async def test_j08_what_was_changed_after_it_was_signed_is_refused(service: Service) -> None:
    header, payload, signature = parts_of(service.issuer.mint("ada"))
    others = encode_base64url(json.dumps({**read(payload), "sub": "admin"}).encode())
    headed = encode_base64url(json.dumps({**read(header), "x": 1}).encode())

    assert await service.refuses(f"{header}.{others}.{signature}", "signature")
    assert await service.refuses(f"{headed}.{payload}.{signature}", "signature")


@pytest.mark.parametrize("key", [RSA, EC], ids=["rsa", "ec"])
async def test_j08_a_signature_is_taken_to_the_letter(service: Service, key: SigningKey) -> None:
    token = service.issuer.mint(key=key)
    message, _, signature = token.rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    wrong = [
        f"{message}.{signature[:-4]}",
        f"{message}.{signature}AAAA",
        f"{message}.{signature}=",
        f"{message}.{signature}==",
        f"{message}.{signature}!",
        f"{message}.{encode_base64url(raw[:-1])}",
        f"{message}.{encode_base64url(raw + raw)}",
        f"{message}.{encode_base64url(bytes(len(raw)))}",
        f"{message}.{encode_base64url(bytes(reversed(raw)))}",
        f"{message}.{signature}.{signature}",
        f".{token}",
        f"{token}.",
        # The last letter has bits that say nothing; only one way to write them counts.
        *(f"{message}.{signature[:-1]}{letter}" for letter in last if letter != signature[-1]),
    ]

    for token in wrong:
        assert await service.refuses(token)


async def test_j08_white_space_in_a_token_is_not_skipped(service: Service) -> None:
    token = service.issuer.mint()
    middle = len(token) // 2

    for space in (" ", "\t", "%0A", "\x0b"):
        response = await service.get(f"{token[:middle]}{space}{token[middle:]}")
        assert response.status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["x"], "x": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"crit": "b64"},
    ],
    ids=str,
)
async def test_j09_an_extension_that_is_critical_is_not_understood(
    service: Service, header: Mapping[str, Any]
) -> None:
    assert await service.refuses(service.issuer.mint(header=header), "malformed")


async def test_j09_a_payload_that_is_compressed_is_not_read(service: Service) -> None:
    _, payload, _ = parts_of(service.issuer.mint())
    packed = zlib.compress(json.dumps(read(payload)).encode())
    token = sign_token({"alg": "ES256", "kid": "ec", "typ": "at+jwt", "zip": "DEF"}, packed, EC)

    assert await service.refuses(token, "malformed")


async def test_j09_an_encrypted_token_is_refused(service: Service) -> None:
    parts = ["eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ", "AAAA", "AAAA", "AAAA", "AAAA"]

    assert await service.refuses(".".join(parts), "malformed")


async def test_j09_a_signature_in_json_form_is_refused(service: Service) -> None:
    protected, payload, signature = parts_of(service.issuer.mint())
    form = {"protected": protected, "payload": payload, "signature": signature}

    assert await service.refuses(json.dumps(form).replace(" ", ""), "malformed")
    assert await service.refuses(encode_base64url(json.dumps(form).encode()), "malformed")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": START - 30}, "expired"),
        ({"exp": START - 31}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -5}, "does not say"),
        ({"exp": OMIT}, "does not say"),
        ({"exp": None}, "does not say"),
        ({"exp": str(START + 60)}, "does not say"),
        ({"exp": True}, "does not say"),
        ({"exp": [START + 60]}, "does not say"),
        ({"exp": float("nan")}, "malformed"),
        ({"exp": float("inf")}, "malformed"),
        ({"exp": 10**18}, "does not say"),
        ({"exp": 10**400}, "does not say"),
        ({"nbf": START + 31}, "not valid yet"),
        ({"nbf": "now"}, "does not say"),
        ({"nbf": None}, "does not say"),
        ({"iat": START + 31}, "not valid yet"),
        ({"iat": False}, "does not say"),
    ],
    ids=str,
)
async def test_j10_a_time_that_is_wrong_is_refused(
    service: Service, claims: Mapping[str, Any], reason: str
) -> None:
    assert await service.refuses(service.issuer.mint(claims=claims), reason)


async def test_j10_a_time_without_end_is_refused(service: Service) -> None:
    header, payload, _ = parts_of(service.issuer.mint())
    endless = json.dumps({**read(payload), "exp": 1}).replace('"exp": 1', '"exp": 1e400')

    assert await service.refuses(sign_token(read(header), endless.encode(), EC), "does not say")


@pytest.mark.parametrize(
    "audience",
    [
        OMIT,
        None,
        "",
        [],
        {},
        5,
        True,
        "https://other.test",
        "https://api.test/",
        "https://api.test.evil.test",
        "https://API.test",
        "api.test",
        "https://api.tes",
        " https://api.test",
        ["https://other.test"],
        ["https://api.test", 5],
        [["https://api.test"]],
        {"https://api.test": 1},
        "https://other.test https://api.test",
    ],
    ids=str,
)
async def test_j11_a_token_for_somebody_else_is_refused(service: Service, audience: Any) -> None:
    token = service.issuer.mint(claims={"aud": audience})

    assert await service.refuses(token, "meant for another")


@pytest.mark.parametrize(
    "audience",
    ["https://api.test", ["https://api.test"], ["https://other.test", "https://api.test"]],
)
async def test_j11_a_token_for_several_is_for_each(service: Service, audience: Any) -> None:
    response = await service.get(service.issuer.mint(claims={"aud": audience}))

    assert response.status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        OMIT,
        None,
        "",
        "https://issuer.test/",
        "https://ISSUER.test",
        "http://issuer.test",
        "https://issuer.test.evil.test",
        "https://other.test",
        ["https://issuer.test"],
        {"https://issuer.test": 1},
        5,
    ],
    ids=str,
)
async def test_j12_an_issuer_is_compared_to_the_letter(service: Service, name: Any) -> None:
    assert await service.refuses(service.issuer.mint(claims={"iss": name}), "not trusted")


async def test_j12_one_issuer_does_not_sign_for_another(app: FastAPI, clock: ManualClock) -> None:
    first = TokenIssuer("https://first.test", clock=clock, key=EC)
    second = TokenIssuer("https://second.test", clock=clock, key=make_signing_key(kid="two"))
    auth = AuthSettings(
        issuers=(
            IssuerSettings(issuer=first.url, audience=("https://api.test",)),
            IssuerSettings(issuer=second.url, audience=("https://api.test",)),
        )
    )

    def both() -> AsyncClient:
        hosts = {"first.test": first, "second.test": second}
        return AsyncClient(
            transport=MockTransport(
                lambda request: hosts[request.url.host].endpoints.handle(request)
            )
        )

    async with serving(app, first, clock, auth, make_client=both) as service:
        assert (await service.get(first.mint("ada"))).json()["who"] == "https://first.test|ada"
        assert (await service.get(second.mint("ada"))).json()["who"] == "https://second.test|ada"
        assert await service.refuses(first.mint(claims={"iss": second.url}), "does not publish")
        assert await service.refuses(
            second.mint(claims={"iss": first.url}, header={"kid": "ec"}), "signature"
        )


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": OMIT}, {}),
        ({"typ": "JWT"}, {"nonce": "n", "at_hash": "h"}),
        ({"typ": "id+jwt"}, {}),
        ({"typ": "logout+jwt"}, {"events": {}}),
        ({"typ": "rt+jwt"}, {}),
        ({"typ": "dpop+jwt"}, {}),
        ({"typ": "oauth-authz-req+jwt"}, {}),
        ({"typ": "at+jwt "}, {}),
        ({"typ": "at"}, {}),
        ({"typ": ""}, {}),
        ({"typ": "at+jwt"}, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
    ],
    ids=str,
)
async def test_j13_a_token_of_another_kind_is_refused(
    service: Service, header: Mapping[str, Any], claims: Mapping[str, Any]
) -> None:
    token = service.issuer.mint(header=header, claims=claims)

    assert await service.refuses(token, "no access token")


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
async def test_j13_a_type_may_be_written_as_rfc_7515_allows(service: Service, kind: str) -> None:
    assert (await service.get(service.issuer.mint(header={"typ": kind}))).status_code == 200


@pytest.mark.parametrize("kind", [5, None, ["at+jwt"], {"at+jwt": 1}], ids=str)
async def test_j13_a_type_is_a_text(service: Service, kind: Any) -> None:
    assert await service.refuses(service.issuer.mint(header={"typ": kind}))


async def test_j14_a_token_without_the_scope_is_known_and_not_let_in(service: Service) -> None:
    response = await service.get(service.issuer.mint(scopes=["write"]), "/orders")

    assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert 'scope="read"' in response.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("read", 200),
        ("write read", 200),
        (["write", "read"], 200),
        ("readonly", 403),
        ("read:all", 403),
        ("READ", 403),
        ("write,read", 403),
        ("write\tread", 403),
        ("write\u00a0read", 403),
        (["admin read"], 403),
        ([], 403),
        ("", 403),
        (OMIT, 403),
        (None, 403),
        (5, 401),
        ([["read"]], 401),
        ({"read": True}, 401),
    ],
    ids=str,
)
async def test_j15_a_scope_is_one_word_and_is_compared_to_the_letter(
    service: Service, scope: Any, status: int
) -> None:
    token = service.issuer.mint(claims={"scope": scope})

    assert (await service.get(token, "/orders")).status_code == status


async def test_j16_what_is_not_signed_grants_nothing(service: Service) -> None:
    token = service.issuer.mint(header={"scope": "read", "roles": ["admin"]})
    header, payload, signature = parts_of(token)
    injected = encode_base64url(json.dumps({**read(payload), "roles": ["admin"]}).encode())

    response = await service.client.get(
        "/me",
        headers={"Authorization": f"Bearer {token}", "X-Roles": "admin", "X-Scope": "read"},
        params={"scope": "read", "roles": "admin"},
    )

    assert (response.json()["scopes"], response.json()["roles"]) == ([], [])
    assert await service.refuses(f"{header}.{injected}.{signature}", "signature")
    assert (await service.get(token, "/orders")).status_code == 403


async def test_j16_claims_that_other_issuers_use_grant_nothing(service: Service) -> None:
    token = service.issuer.mint(
        claims={
            "scp": ["read"],
            "permissions": ["read"],
            "realm_access": {"roles": ["admin"]},
            "groups": ["admin"],
            "cognito:groups": ["admin"],
            "role": "admin",
            "is_admin": True,
        }
    )

    me = (await service.get(token)).json()

    assert (me["scopes"], me["roles"]) == ([], [])


@pytest.mark.parametrize("roles", ["admin", 5, [["admin"]], {"admin": True}, [None]], ids=str)
async def test_j16_roles_are_a_list_of_words(service: Service, roles: Any) -> None:
    assert await service.refuses(service.issuer.mint(claims={"roles": roles}), "does not say")


async def test_j17_a_token_in_the_url_or_in_a_form_is_ignored(service: Service) -> None:
    token = service.issuer.mint()

    in_query = await service.client.get("/me", params={"access_token": token})
    in_form = await service.client.post("/me", data={"access_token": token})
    in_cookie = await service.client.get("/me", headers={"Cookie": f"access_token={token}"})

    for response in (in_query, in_form, in_cookie):
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer realm="api"'
        assert token not in response.text


async def test_j18_two_authorization_headers_are_refused(service: Service) -> None:
    token = service.issuer.mint()
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    mixed = [("Authorization", "Basic dTpw"), ("Authorization", f"Bearer {token}")]

    for headers in (twice, mixed):
        response = await service.client.get("/me", headers=headers)
        assert (response.status_code, response.json()["code"]) == (400, "ambiguous_credentials")


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("Bearer {}", 200),
        ("bearer {}", 200),
        ("BEARER {}", 200),
        ("Bearer   {}", 200),
        ("Bearer {} ", 200),
        ("Bearer {0} {0}", 401),
        ("Bearer {0},{0}", 401),
        ("Bearer {0}, Bearer {0}", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Bearer\t{}", 401),
        ("Bearer: {}", 401),
        ("Bearer token={}", 401),
        ('Bearer "{}"', 401),
        ("{}", 401),
        ("Token {}", 401),
        ("Basic {}", 401),
        ("Bearer é{}", 401),
        ("Bearer \u2028", 401),
        ("Bearer ...", 401),
        ("Bearer ..", 401),
        ("Bearer .", 401),
        ("Bearer a.b.c", 401),
        ("Bearer {}\x00", 401),
        ("Bearer " + "A" * 100_000, 401),
        ("Bearer " + "A" * 50_000 + "." + "A" * 50_000 + ".A", 401),
        ("Bearer " + "." * 16_000, 401),
        ("", 401),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_j18_a_strange_header_is_never_an_error_of_the_service(
    service: Service, written: str, status: int
) -> None:
    value = written.format(service.issuer.mint()) if "{" in written else written

    response = await service.client.get("/me", headers={b"Authorization": value.encode()})

    assert response.status_code == status
    assert status == 200 or response.headers["www-authenticate"].startswith("Bearer ")


async def test_j18_a_public_route_does_not_read_tokens(service: Service) -> None:
    assert (await service.get("x.y.z", "/prices")).text == '"prices"'


async def test_j19_a_storm_of_unknown_keys_asks_once_in_a_while(service: Service) -> None:
    good = service.issuer.mint()
    assert (await service.get(good)).status_code == 200
    before = service.issuer.endpoints.count(JWKS_PATH)
    header, payload, signature = parts_of(good)

    for minute_half in range(3):
        for number in range(200):
            named = {**read(header), "kid": f"{minute_half}-{number}"}
            kid = encode_base64url(json.dumps(named).encode())
            assert (await service.get(f"{kid}.{payload}.{signature}")).status_code == 401
            if number % 50 == 0:
                assert (await service.get(good)).status_code == 200
        assert service.issuer.endpoints.count(JWKS_PATH) - before == minute_half + 1
        service.clock.advance(timedelta(seconds=30))


async def test_j19_ten_thousand_unknown_keys_at_once_ask_once(
    issuer: TokenIssuer, clock: ManualClock
) -> None:
    auth = AuthSettings(issuer=issuer.url, audience=(issuer.audience,))
    tokens = make_bearer_tokens(auth, clock=clock, make_client=issuer.client)
    good = issuer.mint()
    header, payload, signature = parts_of(good)
    assert (await tokens.verify(good)).subject == "user-1"
    before = issuer.endpoints.count(JWKS_PATH)

    async def attack(number: int) -> bool:
        named = encode_base64url(json.dumps({**read(header), "kid": str(number)}).encode())
        try:
            await tokens.verify(f"{named}.{payload}.{signature}")
        except InvalidTokenError as error:
            return error.reason == "key"
        return False

    async with tokens.lifespan(None):
        refused = await asyncio.gather(*(attack(number) for number in range(10_000)))

        assert all(refused)
        assert issuer.endpoints.count(JWKS_PATH) - before == 1
        assert (await tokens.verify(good)).subject == "user-1"


def answering(*arguments: Any, **keywords: Any) -> Callable[[Request], Response]:
    return lambda _: Response(*arguments, **keywords)


def failing(_: Request) -> Response:
    raise ConnectError("refused")


SHORT = make_signing_key("RS256", kid="short", bits=1024)
WRONG_ANSWERS: dict[str, Callable[[Request], Response]] = {
    "500": answering(500, json={"keys": [dict(EC.jwk)]}),
    "404": answering(404),
    "204": answering(204),
    "down": failing,
    "html": answering(200, html="<html>Sign in to the hotel's network</html>"),
    "no object": answering(200, json=[dict(EC.jwk)]),
    "no keys": answering(200, json={}),
    "keys are no list": answering(200, json={"keys": dict(EC.jwk)}),
    "empty": answering(200, json={"keys": []}),
    "nothing": answering(200, content=b""),
    "deep": answering(200, content=b'{"keys":' + b"[" * 100_000),
    "short key": answering(200, json={"keys": [dict(SHORT.jwk)]}),
    "compressed": answering(
        200, content=zlib.compress(b"{}"), headers={"Content-Encoding": "deflate"}
    ),
    "redirect": answering(302, headers={"Location": "https://evil.test/jwks"}),
    "permanent redirect": answering(308, headers={"Location": "http://127.0.0.1/jwks"}),
}


@pytest.mark.parametrize("wrong", WRONG_ANSWERS)
async def test_j20_without_keys_nobody_is_let_in(
    service: Service, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    service.issuer.endpoints.answers[JWKS_PATH] = WRONG_ANSWERS[wrong]

    response = await service.get(service.issuer.mint())

    assert (response.status_code, response.json()["code"]) == (503, "issuer_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert "could not be fetched" in caplog.text
    assert {*service.issuer.endpoints.requests} == {OPENID_PATH, JWKS_PATH}


@pytest.mark.parametrize("wrong", WRONG_ANSWERS)
async def test_j20_the_last_good_keys_are_used_for_a_day(service: Service, wrong: str) -> None:
    assert (await service.get(service.issuer.mint())).status_code == 200
    service.issuer.endpoints.answers[JWKS_PATH] = WRONG_ANSWERS[wrong]

    service.clock.advance(timedelta(minutes=10, hours=24) - timedelta(seconds=1))
    assert (await service.get(service.issuer.mint())).status_code == 200

    service.clock.advance(timedelta(seconds=1))
    assert (await service.get(service.issuer.mint())).status_code == 503


async def test_j20_an_issuer_that_is_down_is_asked_less_and_less(service: Service) -> None:
    service.issuer.endpoints.answers[JWKS_PATH] = failing
    asked: list[int] = []

    for _ in range(120):
        assert (await service.get(service.issuer.mint())).status_code == 503
        asked.append(service.issuer.endpoints.count(JWKS_PATH))
        service.clock.advance(timedelta(seconds=1))

    assert asked[0] == 1
    assert asked[-1] == 7


async def test_j20_keys_come_back_with_their_issuer(service: Service) -> None:
    answer = service.issuer.endpoints.answers[JWKS_PATH]
    service.issuer.endpoints.answers[JWKS_PATH] = failing
    assert (await service.get(service.issuer.mint())).status_code == 503

    service.issuer.endpoints.answers[JWKS_PATH] = answer
    service.clock.advance(timedelta(seconds=1))

    assert (await service.get(service.issuer.mint())).status_code == 200


async def test_j20_a_key_that_is_bad_takes_no_other_with_it(service: Service) -> None:
    bad: list[Any] = [
        None,
        "key",
        {},
        {"kty": "AKP", "pub": "AA"},
        {"kty": ["EC"]},
        {"kty": "RSA", "n": "!!", "e": "AQAB", "kid": "a"},
        {"kty": "RSA", "n": 5, "e": "AQAB"},
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {**EC.private_jwk, "kid": "leaked"},
        dict(SHORT.jwk),
        {**RSA.jwk, "use": "enc", "kid": "enc"},
        {**RSA.jwk, "key_ops": ["encrypt"], "kid": "ops"},
        {**RSA.jwk, "key_ops": 5, "kid": "odd"},
        {**RSA.jwk, "kid": 5},
        {**RSA.jwk, "e": "AQ", "kid": "one"},
        {"kty": "OKP", "crv": "X25519", "x": EC.jwk["x"]},
    ]
    service.issuer.endpoints.answers[JWKS_PATH] = answering(
        200, json={"keys": [*bad, dict(EC.jwk)]}
    )

    assert (await service.get(service.issuer.mint(key=EC))).status_code == 200
    for key in (SHORT, RSA.with_kid("enc"), RSA.with_kid("ops"), RSA.with_kid("odd")):
        assert await service.refuses(service.issuer.mint(key=key), "does not publish")
    assert await service.refuses(service.issuer.mint(key=EC.with_kid("leaked")), "not publish")


async def test_j20_an_answer_without_end_is_not_read_to_the_end(service: Service) -> None:
    sent = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal sent
        while True:
            sent += 64_000
            yield b" " * 64_000

    service.issuer.endpoints.answers[JWKS_PATH] = lambda _: Response(200, content=endless())

    assert (await service.get(service.issuer.mint())).status_code == 503
    assert sent < 1_000_000


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_j20_an_issuer_that_answers_slowly_is_not_waited_for(
    app: FastAPI, clock: ManualClock, head: bytes
) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(head)
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    issuer = TokenIssuer(url, clock=clock, key=EC)
    auth = AuthSettings(
        issuer=url,
        audience=(issuer.audience,),
        tokens=TokenSettings(timeout=timedelta(seconds=0.2)),
    )

    async with (
        server,
        serving(app, issuer, clock, auth, make_client=AsyncClient) as service,
    ):
        response = await service.get(issuer.mint())

    assert (response.status_code, response.json()["code"]) == (503, "issuer_unavailable")


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.test"},
        {"issuer": "https://issuer.test/"},
        {"issuer": None},
        {"jwks_uri": "http://issuer.test/jwks"},
        {"jwks_uri": "http://127.0.0.1/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"jwks_uri": ["https://issuer.test/jwks"]},
        {"jwks_uri": "https://"},
    ],
    ids=str,
)
async def test_j20_metadata_that_are_wrong_are_not_followed(
    service: Service, metadata: dict[str, Any]
) -> None:
    right = service.issuer.metadata()
    service.issuer.endpoints.answers[OPENID_PATH] = answering(200, json={**right, **metadata})

    assert (await service.get(service.issuer.mint())).status_code == 503
    assert service.issuer.endpoints.requests == [OPENID_PATH]


async def test_j21_a_new_key_is_accepted_at_once(service: Service) -> None:
    old = service.issuer.mint()
    assert (await service.get(old)).status_code == 200

    service.issuer.rotate()

    assert (await service.get(service.issuer.mint())).status_code == 200
    assert (await service.get(old)).status_code == 200


async def test_j21_many_tokens_of_a_new_key_wait_for_one_fetch(service: Service) -> None:
    assert (await service.get(service.issuer.mint())).status_code == 200
    service.issuer.rotate()
    token = service.issuer.mint()

    responses = await asyncio.gather(*(service.get(token) for _ in range(50)))

    assert {response.status_code for response in responses} == {200}
    assert service.issuer.endpoints.count(JWKS_PATH) == 2


async def test_j21_a_retired_key_is_refused_from_when_it_is_known(service: Service) -> None:
    old = service.issuer.mint(lifetime=timedelta(hours=2))
    assert (await service.get(old)).status_code == 200

    service.issuer.rotate(keeps_old=False)
    assert (await service.get(old)).status_code == 200
    assert (await service.get(service.issuer.mint())).status_code == 200
    assert await service.refuses(old, "does not publish")


async def test_j21_a_retired_key_is_refused_when_the_keys_are_too_old(service: Service) -> None:
    old = service.issuer.mint(lifetime=timedelta(hours=2))
    assert (await service.get(old)).status_code == 200

    service.issuer.rotate(keeps_old=False)
    service.clock.advance(timedelta(minutes=10))

    assert await service.refuses(old, "does not publish")


@pytest.mark.parametrize("skew", [0, 30, 120])
async def test_j22_clocks_may_differ_by_so_much_to_the_second(
    app: FastAPI, issuer: TokenIssuer, clock: ManualClock, skew: int
) -> None:
    settings = TokenSettings(clock_skew=timedelta(seconds=skew))
    auth = AuthSettings(issuer=issuer.url, audience=(issuer.audience,), tokens=settings)

    async with serving(app, issuer, clock, auth) as service:
        for edge, accepted in ((START - skew + 1, True), (START - skew, False)):
            token = issuer.mint(claims={"exp": edge, "iat": 0})
            assert (await service.get(token)).is_success is accepted
        for name in ("nbf", "iat"):
            for edge, accepted in ((START + skew, True), (START + skew + 1, False)):
                token = issuer.mint(claims={name: edge})
                assert (await service.get(token)).is_success is accepted


async def test_j22_a_token_ends_while_time_goes_by(service: Service) -> None:
    token = service.issuer.mint(lifetime=timedelta(seconds=60))

    service.clock.advance(timedelta(seconds=60 + 30) - timedelta(microseconds=1))
    assert (await service.get(token)).status_code == 200

    service.clock.advance(timedelta(microseconds=1))
    assert await service.refuses(token, "expired")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"5",
        b'"text"',
        b"[]",
        b"[1]",
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        '{"sub":"ada"}'.encode("utf-16"),
        b'{"sub":"\xff"}',
        b'{"a":' * 3_000,
        b"[" * 10_000,
        b'{"a":' + b"9" * 5_000 + b"}",
        b"{'sub':'ada'}",
        b"{}{}",
    ],
    ids=lambda payload: repr(payload)[:20],
)
async def test_j23_a_payload_that_is_no_object_is_refused(service: Service, payload: bytes) -> None:
    token = sign_token({"alg": "ES256", "kid": "ec", "typ": "at+jwt"}, payload, EC)

    assert await service.refuses(token, "malformed")


async def test_j23_a_header_that_is_no_object_is_refused(service: Service) -> None:
    _, payload, signature = parts_of(service.issuer.mint())

    for header in (
        b"[]",
        b'["alg"]',
        b'"alg"',
        b"5",
        b"null",
        b"{",
        b"{}",
        b'{"alg":5}',
        b"[" * 380,
    ):
        token = f"{encode_base64url(header)}.{payload}.{signature}"
        assert await service.refuses(token, "malformed")


async def test_j23_of_two_members_with_one_name_the_last_counts_everywhere(
    service: Service,
) -> None:
    token = service.issuer.mint("ada")
    header, payload, _ = parts_of(token)
    text = json.dumps(read(payload))
    twice = '{"sub": "admin", "iss": "https://evil.test", "aud": "other", ' + text[1:]
    reversed_ = text[:-1] + ', "aud": "other"}'

    good = await service.get(sign_token(read(header), twice.encode(), EC))

    assert good.json()["who"] == "https://issuer.test|ada"
    assert await service.refuses(sign_token(read(header), reversed_.encode(), EC), "another")


async def test_j23_claims_that_are_too_many_are_refused(service: Service) -> None:
    token = service.issuer.mint(claims={"padding": "x" * 1_000_000})

    assert await service.refuses(token, "malformed")


@pytest.mark.parametrize(
    "subject",
    [OMIT, None, "", 5, 1.5, True, ["ada"], {"ada": 1}, "a\0da", "a\nda", "\ud800", "x" * 2_000],
    ids=str,
)
async def test_j23_a_subject_is_a_text_that_can_be_shown(service: Service, subject: Any) -> None:
    assert await service.refuses(service.issuer.mint(claims={"sub": subject}), "does not say")


@pytest.mark.parametrize(
    "claims",
    [
        {"client_id": 5},
        {"client_id": ["a"]},
        {"client_id": "a\0"},
        {"acr": 1},
        {"amr": "pwd", "acr": {}},
        {"amr": [1]},
        {"auth_time": "now"},
        {"auth_time": -1},
    ],
    ids=str,
)
async def test_j23_a_claim_of_a_wrong_type_is_refused(
    service: Service, claims: Mapping[str, Any]
) -> None:
    assert await service.refuses(service.issuer.mint(claims=claims), "does not say")


@pytest.fixture
async def asking(app: FastAPI, issuer: TokenIssuer, clock: ManualClock) -> AsyncGenerator[Service]:
    """Give a service that asks its issuer about opaque tokens."""
    auth = AuthSettings(
        issuers=(
            IssuerSettings(
                issuer=issuer.url,
                audience=(issuer.audience,),
                introspection_url=issuer.url + INTROSPECTION_PATH,
                client_id="orders",
                client_secret=SecretStr("planted"),
            ),
        )
    )
    async with serving(app, issuer, clock, auth) as service:
        yield service


def asked(service: Service) -> int:
    return service.issuer.endpoints.count(INTROSPECTION_PATH)


async def test_j24_an_opaque_token_is_asked_about(asking: Service) -> None:
    token = asking.issuer.mint_opaque("ada", scopes=["read"], roles=["clerk"])

    response = await asking.get(token)

    assert response.json() == {
        "who": "https://issuer.test|ada",
        "client": "test-client",
        "scopes": ["read"],
        "roles": ["clerk"],
    }


async def test_j24_an_opaque_token_is_refused_where_nobody_can_be_asked(service: Service) -> None:
    assert await service.refuses(service.issuer.mint_opaque(), "malformed")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"active": False}, "not active"),
        ({"active": "true"}, "not active"),
        ({"active": 1}, "not active"),
        ({"active": OMIT}, "not active"),
        ({"aud": "https://other.test"}, "meant for another"),
        ({"aud": OMIT}, "meant for another"),
        ({"aud": []}, "meant for another"),
        ({"iss": "https://evil.test"}, "not trusted"),
        ({"iss": None}, "not trusted"),
        ({"nbf": START + 31}, "not valid yet"),
        ({"token_type": "refresh_token"}, "no access token"),
        ({"token_use": "refresh_token"}, "no access token"),
        ({"token_use": "id"}, "no access token"),
        ({"sub": OMIT}, "does not say"),
        ({"scope": 5}, "does not say"),
        ({"cnf": {"jkt": "x"}}, "bound to a key"),
    ],
    ids=str,
)
async def test_j24_what_the_issuer_does_not_vouch_for_is_refused(
    asking: Service, claims: Mapping[str, Any], reason: str
) -> None:
    assert await asking.refuses(asking.issuer.mint_opaque(claims=claims), reason)


async def test_j24_a_made_up_token_is_refused_and_not_asked_about_again_at_once(
    asking: Service,
) -> None:
    for _ in range(5):
        assert await asking.refuses("made-up", "not active")
    assert asked(asking) == 1

    asking.clock.advance(timedelta(seconds=10))
    assert await asking.refuses("made-up", "not active")
    assert asked(asking) == 2


async def test_j24_what_could_be_no_token_is_not_asked_about(asking: Service) -> None:
    for wrong in ("é", "a b", "a,b", "=a", "x" * 20_000):
        assert (await asking.get(wrong)).status_code == 401

    assert asked(asking) == 0


async def test_j24_a_revoked_token_is_refused_when_the_answer_is_too_old(asking: Service) -> None:
    token = asking.issuer.mint_opaque()
    assert (await asking.get(token)).status_code == 200
    asking.issuer.revoke(token)

    asking.clock.advance(timedelta(seconds=30) - timedelta(microseconds=1))
    assert (await asking.get(token)).status_code == 200
    assert asked(asking) == 1

    asking.clock.advance(timedelta(microseconds=1))
    assert await asking.refuses(token, "not active")


async def test_j24_an_answer_is_not_kept_beyond_the_end_of_the_token(asking: Service) -> None:
    token = asking.issuer.mint_opaque(lifetime=timedelta(seconds=10))
    assert (await asking.get(token)).status_code == 200

    asking.clock.advance(timedelta(seconds=10) - timedelta(microseconds=1))
    assert (await asking.get(token)).status_code == 200
    assert asked(asking) == 1

    asking.clock.advance(timedelta(microseconds=1))
    assert await asking.refuses(token, "not active")
    assert asked(asking) == 2


async def test_j24_one_token_is_asked_about_once_at_a_time(asking: Service) -> None:
    token = asking.issuer.mint_opaque()

    responses = await asyncio.gather(*(asking.get(token) for _ in range(20)))

    assert {response.status_code for response in responses} == {200}
    assert asked(asking) == 1


@pytest.mark.parametrize(
    "wrong", [name for name in WRONG_ANSWERS if name not in {"no keys", "empty", "short key"}]
)
async def test_j24_if_the_issuer_does_not_answer_nobody_is_let_in(
    asking: Service, wrong: str
) -> None:
    right = asking.issuer.endpoints.answers[INTROSPECTION_PATH]
    answer = WRONG_ANSWERS[wrong]
    if wrong == "keys are no list":
        answer = answering(200, json=["active"])
    asking.issuer.endpoints.answers[INTROSPECTION_PATH] = answer
    token = asking.issuer.mint_opaque()

    response = await asking.get(token)
    assert (response.status_code, response.json()["code"]) == (503, "issuer_unavailable")

    asking.issuer.endpoints.answers[INTROSPECTION_PATH] = right
    assert (await asking.get(token)).status_code == 200


async def test_j24_an_issuer_that_is_down_is_left_alone_for_a_while(asking: Service) -> None:
    asking.issuer.endpoints.answers[INTROSPECTION_PATH] = failing

    for number in range(10):
        assert (await asking.get(f"opaque-{number}")).status_code == 503
    assert asked(asking) == 3

    asking.clock.advance(timedelta(seconds=1))
    assert (await asking.get("opaque")).status_code == 503
    assert asked(asking) == 4


async def test_j24_the_token_and_the_secret_are_sent_in_no_url_and_logged_nowhere(
    asking: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    seen: list[Request] = []

    def noting(request: Request) -> Response:
        seen.append(request)
        return Response(500)

    asking.issuer.endpoints.answers[INTROSPECTION_PATH] = noting
    response = await asking.get("planted-token")

    [request] = seen
    assert (request.method, str(request.url)) == ("POST", asking.issuer.url + INTROSPECTION_PATH)
    assert b"token=planted-token" in request.content
    assert "planted" not in caplog.text + response.text


@pytest.mark.parametrize(
    "confirmation",
    [{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}, {"x5t#S256": "abc"}, {}, None],
    ids=str,
)
async def test_j25_a_token_that_is_bound_to_a_key_is_not_taken_without_its_proof(
    service: Service, confirmation: Any
) -> None:
    token = service.issuer.mint(claims={"cnf": confirmation})

    assert await service.refuses(token, "bound to a key")

    other = await service.client.get("/me", headers={"Authorization": f"DPoP {token}"})
    assert other.status_code == 401
