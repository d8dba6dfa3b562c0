from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from httpx2 import Response
from starlette.requests import HTTPConnection

from fastapi_baseline.auth.errors import AmbiguousCredentialsError
from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.tokens import (
    BearerTokens,
    InvalidTokenError,
    IssuerUnavailableError,
    TrustedIssuer,
    make_bearer_tokens,
)
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import AuthSettings, IssuerSettings
from fastapi_baseline.testing import ManualClock
from fastapi_baseline.testing.issuer import TokenIssuer
from fastapi_baseline.testing.issuer_endpoints import JWKS_PATH

METADATA = "https://api.test/.well-known/oauth-protected-resource"


class Recorded:
    def __init__(self) -> None:
        self.events: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.events.append(event)


class Proof:
    """A proof as DPoP has it, in little: a header that names the key."""

    scheme = "DPoP"

    def __init__(self) -> None:
        self.tokens: list[bytes] = []

    async def check(
        self, connection: HTTPConnection, *, token: bytes, claims: Mapping[str, Any]
    ) -> None:
        self.tokens.append(token)
        if connection.headers.get("dpop") != claims["cnf"]["jkt"]:
            raise InvalidTokenError("binding", scheme=self.scheme)


def connection_of(*authorizations: str, **headers: str) -> HTTPConnection:
    raw = [(b"host", b"api.test"), *((b"authorization", a.encode()) for a in authorizations)]
    raw += [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw})


@pytest.fixture
def events() -> Recorded:
    return Recorded()


@pytest.fixture
def proof() -> Proof:
    return Proof()


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer(clock=ManualClock())


@pytest.fixture
async def tokens(
    issuer: TokenIssuer, events: Recorded, proof: Proof
) -> AsyncGenerator[BearerTokens]:
    settings = AuthSettings(
        issuer=issuer.url, audience=(issuer.audience,), resource="https://api.test"
    )
    tokens = make_bearer_tokens(
        settings, clock=issuer.clock, make_client=issuer.client, events=events, proofs=[proof]
    )
    async with tokens.lifespan(None):
        yield tokens


@pytest.fixture
async def plain(issuer: TokenIssuer) -> AsyncGenerator[BearerTokens]:
    settings = AuthSettings(issuer=issuer.url, audience=(issuer.audience,))
    tokens = make_bearer_tokens(settings, clock=issuer.clock, make_client=issuer.client)
    async with tokens.lifespan(None):
        yield tokens


@pytest.mark.parametrize(
    ("authorization", "is_offered"),
    [
        ("Bearer x", True),
        ("bearer x", True),
        ("BEARER", True),
        ("Bearer  x", True),
        ("DPoP x", True),
        ("dpop x", True),
        ("Basic dTpw", False),
        ("Bearerx", False),
        ("Bearer\tx", False),
        ("", False),
    ],
)
def test_knows_its_own_credentials_by_their_scheme(
    tokens: BearerTokens, authorization: str, is_offered: bool
) -> None:
    assert tokens.is_offered(connection_of(authorization)) is is_offered
    assert not tokens.is_offered(connection_of())


async def test_says_who_a_token_is_for(plain: BearerTokens, issuer: TokenIssuer) -> None:
    token = issuer.mint("ada", scopes=["read"])

    principal = await plain.authenticate(connection_of(f"Bearer {token}"))

    assert (str(principal), principal.transport) == (f"{issuer.url}|ada", "bearer")
    assert await plain.verify(token) == principal


async def test_a_token_that_is_no_ascii_is_refused(plain: BearerTokens) -> None:
    with pytest.raises(InvalidTokenError):
        await plain.verify("é.\ud800.é")


@pytest.mark.parametrize("headers", [(), ("Bearer x", "Bearer x"), ("Bearer x", "Basic x")])
async def test_takes_one_header_only(plain: BearerTokens, headers: tuple[str, ...]) -> None:
    with pytest.raises(AmbiguousCredentialsError):
        await plain.authenticate(connection_of(*headers))


async def test_tells_those_without_a_good_token_where_the_metadata_are(
    tokens: BearerTokens, plain: BearerTokens
) -> None:
    assert tokens.challenge == f'Bearer realm="api", resource_metadata="{METADATA}"'
    assert plain.challenge == 'Bearer realm="api"'

    for refusing in (
        tokens.authenticate(connection_of("Bearer x")),
        tokens.verify("x"),
    ):
        with pytest.raises(InvalidTokenError) as caught:
            await refusing
        assert caught.value.challenge == (
            'Bearer error="invalid_token", error_description="The access token is malformed.", '
            f'resource_metadata="{METADATA}"'
        )


async def test_records_each_refusal_with_its_reason_and_without_the_token(
    tokens: BearerTokens, issuer: TokenIssuer, events: Recorded
) -> None:
    wrong = issuer.mint(claims={"aud": "https://other.test"})

    await tokens.authenticate(connection_of(f"Bearer {issuer.mint()}"))
    with pytest.raises(InvalidTokenError):
        await tokens.authenticate(connection_of(f"Bearer {wrong}"))

    assert events.events == [
        SecurityEvent(name="token_refused", outcome="failure", details={"reason": "audience"})
    ]


async def test_an_issuer_that_does_not_answer_is_no_refusal(
    tokens: BearerTokens, issuer: TokenIssuer, events: Recorded
) -> None:
    issuer.endpoints.answers[JWKS_PATH] = lambda _: Response(500)

    with pytest.raises(IssuerUnavailableError):
        await tokens.authenticate(connection_of(f"Bearer {issuer.mint()}"))

    assert events.events == []


async def test_a_token_with_its_proof_is_taken(
    tokens: BearerTokens, issuer: TokenIssuer, proof: Proof
) -> None:
    token = issuer.mint("ada", claims={"cnf": {"jkt": "key"}})

    principal = await tokens.authenticate(connection_of(f"DPoP {token}", dpop="key"))

    assert principal.subject == "ada"
    assert proof.tokens == [token.encode()]


async def test_a_token_with_a_wrong_proof_is_refused(
    tokens: BearerTokens, issuer: TokenIssuer, events: Recorded
) -> None:
    token = issuer.mint(claims={"cnf": {"jkt": "key"}})

    with pytest.raises(InvalidTokenError) as caught:
        await tokens.authenticate(connection_of(f"DPoP {token}", dpop="other"))

    assert caught.value.challenge is not None
    assert caught.value.challenge.startswith("DPoP ")
    assert [event.details for event in events.events] == [{"reason": "binding"}]


async def test_a_bound_token_without_its_proof_is_refused_and_an_unbound_one_with_one(
    tokens: BearerTokens, issuer: TokenIssuer, proof: Proof
) -> None:
    bound = issuer.mint(claims={"cnf": {"jkt": "key"}})

    for authorization in (f"Bearer {bound}", f"DPoP {issuer.mint()}"):
        with pytest.raises(InvalidTokenError) as caught:
            await tokens.authenticate(connection_of(authorization, dpop="key"))
        assert caught.value.reason == "binding"
    with pytest.raises(InvalidTokenError):
        await tokens.verify(bound)

    assert proof.tokens == []


def test_describes_itself_for_the_documentation(plain: BearerTokens) -> None:
    assert plain.scheme_name == "bearer"
    assert plain.scheme == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert plain.security_schemes == {
        "bearer": plain.scheme,
        "openid": {
            "type": "openIdConnect",
            "openIdConnectUrl": "https://issuer.test/.well-known/openid-configuration",
        },
    }


def test_describes_each_issuer_that_has_metadata() -> None:
    issuers = [
        IssuerSettings(issuer="https://a.test", audience=("x",)),
        IssuerSettings(issuer="https://b.test", audience=("x",), jwks_url="https://b.test/keys"),
        IssuerSettings(issuer="https://c.test", audience=("x",)),
        IssuerSettings(issuer="https://d.test", audience=("x",)),
    ]

    class Given:
        async def find_key(self, kid: str | None, algorithm: str) -> None:
            return None

    tokens = make_bearer_tokens(
        AuthSettings(issuers=tuple(issuers)),
        clock=ManualClock(),
        key_sources={"https://d.test": Given()},
    )

    assert list(tokens.security_schemes) == ["bearer", "openid-1", "openid-2"]
    assert [one.issuer for one in tokens.issuers] == [
        "https://a.test",
        "https://b.test",
        "https://c.test",
        "https://d.test",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        AuthSettings(),
        AuthSettings(issuer="http://issuer.test", audience=("x",)),
        AuthSettings(issuer="https://issuer.test", audience=("x",), algorithms=("HS256",)),
        AuthSettings(issuer="https://issuer.test", audience=("x",), resource="http://api.test"),
    ],
    ids=["no issuer", "no tls", "symmetric", "resource"],
)
def test_refuses_settings_under_which_no_token_is_safe(settings: AuthSettings) -> None:
    with pytest.raises(ConfigurationError):
        make_bearer_tokens(settings, clock=ManualClock())


def test_an_issuer_that_is_given_takes_the_place_of_that_of_the_settings() -> None:
    scheme: dict[str, Any] = {"type": "oauth2", "flows": {}}
    own = TrustedIssuer(issuer="https://a.test", audiences=frozenset({"own"}))
    named = IssuerSettings(issuer="https://a.test", audience=("x",))
    other = IssuerSettings(issuer="https://b.test", audience=("x",))

    tokens = make_bearer_tokens(
        AuthSettings(issuers=(named, other)),
        clock=ManualClock(),
        more_issuers=[own],
        more_schemes={"own": scheme},
    )

    assert [one.issuer for one in tokens.issuers] == ["https://b.test", "https://a.test"]
    assert tokens.issuers[1] is own
    assert tokens.security_schemes["own"] == scheme
